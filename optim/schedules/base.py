"""What schedules have in common: how they are declared, printed, compared and checked."""

from dataclasses import field
from numbers import Integral
from typing import Any, ClassVar, dataclass_transform

import numpy as np

from minigrad.backend import to_host
from optim.engine.declared import Declared
from optim.engine.kinds import Kind, kinds


@dataclass_transform(field_specifiers=(field,))
class BaseSchedule(Declared):
    """Base: fixed once it is built, and equal to one of the same class and fields."""

    takes_arrays: ClassVar[bool] = False  # whether t may be an array of steps

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
        for name, kind in kinds(type(self)).items():
            if isinstance(kind, Kind) and kind.name in ("Steps", "Value"):
                wanted = (
                    f"an integer from {kind.low:g}" if kind.whole else "finite and not negative"
                )
                check(self, name, _fits(getattr(self, name), kind), wanted)


def is_count(value: Any, least: int) -> bool:
    """Whether it is an integer, and not below the least."""
    return isinstance(value, Integral) and int(value) >= least


def _fits(value: Any, kind: Kind) -> bool:
    if kind.whole:
        return is_count(value, int(kind.low))
    try:
        return bool(np.all(kind.contains(to_host(value))))
    except TypeError:
        return False


def check(owner: Any, name: str, fits: bool, wanted: str) -> None:
    """Raise ValueError, which says what is wanted, unless the owner's field of that name fits."""
    if not fits:
        value = getattr(owner, name)
        raise ValueError(f"{type(owner).__name__}: {name}={value!r}; it must be {wanted}.")
