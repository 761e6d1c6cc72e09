"""What a hyperparameter may be, and its value at step t."""

import math
from collections.abc import Callable
from numbers import Integral, Real
from types import SimpleNamespace
from typing import Any

import numpy as np

from minigrad.backend import Array, to_host, xp

Schedule = float | Callable[[int], Any] | Array  # an array has one value per coordinate
Betas = tuple[Schedule, Schedule]

CLOSED = np.nextafter(1, 2)  # excluding this includes 1
RANGES = {  # by name: from 0, included, to this, excluded
    "lr": np.inf,
    "eps": np.inf,
    "betas": 1.0,
    "beta1": 1.0,
    "momentum": 1.0,
    "alpha": 1.0,
    "rho": CLOSED,
    "d0": np.inf,
    "r_eps": np.inf,
    "weight_decay": np.inf,
    "trust_coefficient": np.inf,
    "decay_rate": np.inf,
    "min_scale": np.inf,
    "d": np.inf,
    "nu": CLOSED,
    "lambd": np.inf,
    "t0": np.inf,
    "etas": np.inf,
    "step_sizes": np.inf,
    "l1": np.inf,
    "l2": np.inf,
    "momentum_decay": np.inf,
    "final_lr": np.inf,
    "gamma": np.inf,
    "partial": CLOSED,
    "nus": CLOSED,
    "radius": np.inf,
}
POSITIVE = {"d", "d0", "r_eps", "radius"}  # which may not be 0
# positive integers, fixed once an optimizer is built
COUNTS = {"delay", "history", "evaluations", "every", "precondition_frequency"}


def check_range(name: str, value: Any, default: Any, end: float | None = None) -> None:
    """Raise TypeError or ValueError for what is no hyperparameter, or is out of range at t = 1.

    The range ends before `end`, or where RANGES says.
    """
    if name in COUNTS:
        if not isinstance(value, Integral) or int(value) < 1:
            raise ValueError(f"{name}={value!r} is not a positive integer; give one.")
        return
    wanted = len(default) if isinstance(default, tuple) else 0
    if (len(value) if isinstance(value, tuple) else 0) != wanted:
        form = f"a tuple of {'two' if wanted == 2 else wanted}" if wanted else "one value"
        raise TypeError(f"{name}={value!r}: {name} is {form}.")
    if name in ("eps", "d0", "r_eps") and not isinstance(value, Real):
        raise TypeError(f"{name}={value!r}: {name} is one number.")
    end = end or RANGES[name]
    for place, part in parts(name, value):
        number = valued(place, part, 1)
        number = to_host(number) if hasattr(number, "ndim") else number
        least = number > 0 if name in POSITIVE else number >= 0
        if not np.all(least & (number < end)):
            until = "1]" if end == CLOSED else f"{end})"
            first = "(0" if name in POSITIVE else "[0"
            raise ValueError(f"{name}={value!r} is outside {first}, {until}; choose one inside.")


def check_number(value: Any, what: str) -> None:
    """Raise ValueError for an array."""
    if getattr(value, "ndim", 0):
        raise ValueError(
            f"{what} is one number, not an array of shape {value.shape}; give a number or a "
            "schedule of numbers."
        )


def root(value: Any) -> Any:
    """The square root of a number or, on its device, of an array; both are rounded alike."""
    return value**0.5 if getattr(value, "ndim", 0) else math.sqrt(value)


def power(base: Any, exponent: Any) -> Any:
    """The one to the other, each a number or, on its device, an array; all are rounded alike."""
    if getattr(base, "ndim", 0) or getattr(exponent, "ndim", 0):
        return base**exponent
    return float(np.power(base, exponent))


def where(condition: Any, value: Any, other: Any) -> Any:
    """The one or the other, by a truth value or, on its device, by an array of them."""
    if getattr(condition, "ndim", 0):
        return xp.where(condition, value, other)
    return value if condition else other


class Hyperparameters:
    """A rule's hyperparameters: as they were set, and as they are at a step."""

    def __init__(self, settings: dict[str, Any]):
        self.moving = {name: one for name, one in settings.items() if _moves(one)}
        still = {name: one for name, one in settings.items() if name not in self.moving}
        self.values = SimpleNamespace(**{name: valued(name, one, 1) for name, one in still.items()})

    def at(self, t: int) -> SimpleNamespace:
        """The values at step t, valid until the next call."""
        for name, setting in self.moving.items():
            value = valued(name, setting, t)
            if type(value) is not float:
                _refuse_nan(name, value, t)
            setattr(self.values, name, value)
        return self.values


def valued(name: str, setting: Any, t: int) -> Any:
    """A setting at step t in float64, in which scalars are computed; an array on the device.

    Raises TypeError for what is no number and no array.
    """
    if isinstance(setting, tuple):
        return tuple([valued(name, part, t) for part in setting])
    value = setting(t) if callable(setting) else setting
    if type(value) is float:
        return value
    if isinstance(value, Real):
        return float(value)
    if not hasattr(value, "ndim"):
        when = f" at step {t}" if callable(setting) else ""
        raise TypeError(f"{name}={value!r}{when} is not a number, a schedule or an array.")
    return xp.array(value, "float64") if value.ndim else float(value)


def copied(setting: Any) -> Any:
    """The setting, with arrays that nobody else holds."""
    if isinstance(setting, tuple):
        return tuple([copied(part) for part in setting])
    return setting.copy() if getattr(setting, "ndim", 0) else setting


def parts(name: str, setting: Any) -> list[tuple[str, Any]]:
    """What a hyperparameter consists of, by place: "lr", "betas[0]"."""
    if isinstance(setting, tuple):
        return [(f"{name}[{i}]", part) for i, part in enumerate(setting)]
    return [(name, setting)]


def stateful(settings: dict[str, Any]) -> dict[str, Any]:
    """The schedules among hyperparameters that have a state, by place: "lr", "betas[0]"."""
    every = [part for name, setting in settings.items() for part in parts(name, setting)]
    return {place: one for place, one in every if hasattr(one, "state_dict")}


def restore(schedules: dict[str, Any], saved: dict[str, Any]) -> None:
    """Load the state of each; raises ValueError, and changes none, where one does not fit."""
    lacks, extra = sorted(schedules.keys() - saved), sorted(saved.keys() - schedules)
    if lacks or extra:
        raise ValueError(
            f"the saved state lacks the schedules {lacks} and has {extra} too many; "
            "build the optimizer with the schedules that it was saved with."
        )
    before = {place: one.state_dict() for place, one in schedules.items()}
    try:
        for place, one in schedules.items():
            one.load_state_dict(saved[place])
    except Exception:
        for place, one in schedules.items():
            one.load_state_dict(before[place])
        raise


def _refuse_nan(name: str, value: Any, t: int) -> None:
    """Raise ValueError for NaN in an array; on a device it would have to be waited for."""
    for part in value if isinstance(value, tuple) else (value,):
        if isinstance(part, np.ndarray) and np.isnan(part).any():
            raise ValueError(f"{name} is NaN at step {t}; mend the schedule.")


def _moves(setting: Any) -> bool:
    return any(map(callable, setting)) if isinstance(setting, tuple) else callable(setting)
