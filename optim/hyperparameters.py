"""What a hyperparameter may be, and its value at step t."""

import math
from collections.abc import Callable
from numbers import Real
from types import SimpleNamespace
from typing import Any

import numpy as np

from minigrad.backend import Array, to_host

Schedule = float | Callable[[int], Any] | Array  # an array has one value per coordinate
Betas = tuple[Schedule, Schedule]

CLOSED = np.nextafter(1, 2)  # excluding this includes 1
RANGES = {  # by name: from 0, included, to this, excluded
    "lr": np.inf,
    "eps": np.inf,
    "betas": 1.0,
    "momentum": 1.0,
    "alpha": 1.0,
    "rho": CLOSED,
    "weight_decay": np.inf,
}
COUNTS: set[str] = set()  # positive integers, fixed once an optimizer is built


def check_range(name: str, value: Any, default: Any) -> None:
    """Raise TypeError or ValueError for what is no hyperparameter, or is out of range at t = 1."""
    if name in COUNTS:
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value!r} is not a positive integer; give one.")
        return
    wanted = len(default) if isinstance(default, tuple) else 0
    if (len(value) if isinstance(value, tuple) else 0) != wanted:
        form = f"a tuple of {'two' if wanted == 2 else wanted}" if wanted else "one value"
        raise TypeError(f"{name}={value!r}: {name} is {form}.")
    if name == "eps" and not isinstance(value, Real):
        raise TypeError(f"eps={value!r}: eps is one number.")
    for part in value if isinstance(value, tuple) else (value,):
        number = to_host(part(1) if callable(part) else part)
        try:
            fits = bool(np.all((number >= 0) & (number < RANGES[name])))
        except TypeError as error:
            raise TypeError(f"{name}={value!r} is not a number, a schedule or an array.") from error
        if not fits:
            end = "1]" if RANGES[name] == CLOSED else f"{RANGES[name]})"
            raise ValueError(f"{name}={value!r} is outside [0, {end}; choose one inside.")


def root(value: Any) -> Any:
    """The square root of a number or, on its device, of an array; both are rounded alike."""
    return value**0.5 if getattr(value, "ndim", 0) else math.sqrt(value)


class Hyperparameters:
    """A rule's hyperparameters: as they were set, and as they are at a step."""

    def __init__(self, settings: dict[str, Any]):
        self.values = SimpleNamespace(**{name: _exact(value) for name, value in settings.items()})
        self.moving = [name for name, setting in settings.items() if _moves(setting)]
        self.settings = settings

    def at(self, t: int) -> SimpleNamespace:
        """The values at step t, valid until the next call."""
        for name in self.moving:
            setting = self.settings[name]
            if isinstance(setting, tuple):
                value: Any = tuple([s(t) if callable(s) else s for s in setting])
            else:
                value = setting(t)
            setattr(self.values, name, _exact(value))
        return self.values


def _exact(value: Any) -> Any:
    """A value in float64, in which scalars are computed; whatever the dtype it is given in."""
    if type(value) is float or callable(value):
        return value
    if isinstance(value, tuple):
        return tuple([_exact(part) for part in value])
    return value.astype("float64", copy=False) if getattr(value, "ndim", 0) else float(value)


def _moves(setting: Any) -> bool:
    return any(map(callable, setting)) if isinstance(setting, tuple) else callable(setting)
