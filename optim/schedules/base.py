"""What schedules have in common: how they are declared, printed, compared and checked."""

from dataclasses import field
from math import inf
from numbers import Integral
from typing import Any, dataclass_transform

import numpy as np

from minigrad.backend import to_host
from optim.engine.declared import Declared

LEAST = {  # the counts of steps, cycles or feeds by name, and the least that each may be
    "steps": 1,
    "rise": 1,
    "fall": 1,
    "growth": 1,
    "every": 1,
    "warm_up": 1,
    "stable": 0,
    "decay": 1,
    "patience": 0,
    "cooldown": 0,
}


@dataclass_transform(field_specifiers=(field,))
class BaseSchedule(Declared):
    """Base: fixed once it is built, and equal to one of the same class and fields."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            raise AttributeError(f"{name} of {self!r} is fixed; build another schedule.")
        vars(self)[name] = value

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, f.name) for f in self.declared())

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        shown = [f.name for f in self.declared() if f.repr]
        given = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({given})"


class CheckedSchedule(BaseSchedule):
    """Raises ValueError for counts that are none, and for numbers that are negative."""

    def __post_init__(self) -> None:
        for one in self.declared():
            name = one.name
            if name in LEAST:
                fits = is_count(getattr(self, name), LEAST[name])
                check(self, name, fits, f"an integer from {LEAST[name]}")
            elif one.init and name not in ("schedule", "milestones"):
                check(self, name, _is_positive(getattr(self, name)), "finite and not negative")


def is_count(value: Any, least: int) -> bool:
    """Whether it is an integer, and not below the least."""
    return isinstance(value, Integral) and int(value) >= least


def _is_positive(value: Any) -> bool:
    try:
        number = to_host(value)
        return bool(np.all((number >= 0) & (number < inf)))
    except TypeError:
        return False


def check(owner: Any, name: str, fits: bool, wanted: str) -> None:
    """Raise ValueError, which says what is wanted, unless the owner's field of that name fits."""
    if not fits:
        value = getattr(owner, name)
        raise ValueError(f"{type(owner).__name__}: {name}={value!r}; it must be {wanted}.")
