"""What schedules have in common: how they are declared, printed, compared and checked."""

from dataclasses import field
from numbers import Integral
from typing import Any, ClassVar, dataclass_transform

import numpy as np

from minigrad.backend import to_host
from optim.engine.declared import Declared
from optim.engine.kinds import Kind, kinds
from optim.engine.registry import SCHEDULES
from optim.engine.settings import comparable, fixed_copy


@dataclass_transform(field_specifiers=(field,))
class BaseSchedule(Declared):
    """Base: fixed once it is built, and equal to one of the same class and fields.

    Arrays are copied. `a * b` is Product(a, b).
    """

    takes_arrays: ClassVar[bool] = False  # whether t may be an array of steps
    __array_ufunc__ = None  # so that an array times a schedule is a schedule

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        SCHEDULES.setdefault(cls.__name__, cls)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            raise AttributeError(f"{name} of {self!r} is fixed; build another schedule.")
        vars(self)[name] = fixed_copy(value)

    def _values(self) -> Any:
        return comparable(tuple([getattr(self, f.name) for f in self.declared()]))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __mul__(self, other: Any) -> Any:
        return SCHEDULES["Product"](self, other)

    def __rmul__(self, other: Any) -> Any:
        return SCHEDULES["Product"](other, self)

    def __repr__(self) -> str:
        shown = [f.name for f in self.declared() if f.repr]
        given = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({given})"


class CheckedSchedule(BaseSchedule):
    """Raises ValueError for counts that are none, and for numbers that are negative."""

    def __post_init__(self) -> None:
        for name, kind in kinds(type(self)).items():
            if isinstance(kind, Kind) and kind.name in ("Steps", "Value"):
                wanted = (
                    f"an integer from {kind.low:g}" if kind.whole else "finite and not negative"
                ) + ", or a schedule" * (kind.schedule and not kind.whole)
                check(self, name, _fits(getattr(self, name), kind), wanted)


def is_count(value: Any, least: int) -> bool:
    """Whether it is an integer, and not below the least."""
    return isinstance(value, Integral) and int(value) >= least


def are_counts(values: Any, least: int) -> bool:
    """Whether it is a tuple of integers, none of them below the least or the one before."""
    every = isinstance(values, tuple) and all(is_count(one, least) for one in values)
    return every and list(values) == sorted(values)


def at(value: Any, t: int) -> Any:
    """A value that may be a schedule, at step t."""
    return value(t) if callable(value) else value


def progress(done: int, steps: int) -> float:
    """How much of the way is done after so many of the steps: all of it, where there are none."""
    return min(done / steps, 1.0) if steps else 1.0


def _fits(value: Any, kind: Kind) -> bool:
    if kind.whole:
        return is_count(value, int(kind.low))
    if callable(value):
        return kind.schedule
    try:
        return bool(np.all(kind.contains(to_host(value))))
    except TypeError:
        return False


def check(owner: Any, name: str, fits: bool, wanted: str) -> None:
    """Raise ValueError, which says what is wanted, unless the owner's field of that name fits."""
    if not fits:
        value = getattr(owner, name)
        raise ValueError(f"{type(owner).__name__}: {name}={value!r}; it must be {wanted}.")
