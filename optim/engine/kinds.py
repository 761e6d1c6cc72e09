"""What a hyperparameter may be: its kind, said once where it is declared.

lr: Rate = 1e-3
betas: tuple[Beta, Beta] = (0.9, 0.999)
ahead: Annotated[Rate, "how far to look ahead"] = 0.5
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from math import inf
from numbers import Integral, Real
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np

from minigrad.backend import Array, to_host

Setting = float | Callable[[int], Any] | Array  # an array has one value per coordinate


@dataclass(frozen=True)
class Kind:
    """A range of numbers, and whether schedules and arrays of these are taken."""

    name: str = "Number"
    low: float = -inf
    high: float = inf
    has_low: bool = True  # whether the ends belong to it
    has_high: bool = False
    schedule: bool = True
    array: bool = True
    whole: bool = False  # integers alone
    fixed: bool = False  # read when the optimizer is built, so that it cannot be set later
    elsewhere: bool = False  # read by `update`, so that no pass need take it
    meaning: str = ""

    @property
    def range(self) -> str:
        """As it is written in mathematics."""
        if self.whole:
            return f"whole numbers from {self.low:g}"
        first, last = (
            "[" if self.has_low and self.low > -inf else "(",
            "]" if self.has_high else ")",
        )
        return f"{first}{self.low:g}, {self.high:g}{last}"

    def contains(self, number: Any) -> Any:
        """Whether a number is in the range, or each of an array is."""
        above = number >= self.low if self.has_low else number > self.low
        below = number <= self.high if self.has_high else number < self.high
        return above & below & (number > -inf)

    def check(self, what: str, shown: Any, number: Any) -> None:
        """Raise ValueError for a number or an array that is outside; `what` and `shown` say it."""
        fits = self.contains(to_host(number) if hasattr(number, "ndim") else number)
        if not (fits if isinstance(fits, bool) else np.all(fits)):
            raise ValueError(f"{what}={shown!r} is outside {self.range}; choose one inside.")

    def check_form(self, what: str, setting: Any, shown: Any) -> None:
        """Raise TypeError or ValueError for a schedule or an array where it takes none."""
        if self.whole:
            if not isinstance(setting, Integral) or int(setting) < self.low:
                positive = (
                    "a positive integer" if self.low == 1 else f"an integer from {self.low:g}"
                )
                raise ValueError(f"{what}={shown!r} is not {positive}; give one.")
        elif not self.schedule and not isinstance(setting, Real):
            raise TypeError(f"{what}={shown!r}: {what} is one number.")


Number = Annotated[Setting, Kind("Number")]
Rate = Annotated[Setting, Kind("Rate", 0)]
Beta = Annotated[Setting, Kind("Beta", 0, 1)]
Fraction = Annotated[Setting, Kind("Fraction", 0, 1, has_high=True)]
Positive = Annotated[Setting, Kind("Positive", 0, has_low=False)]
Eps = Annotated[float, Kind("Eps", 0, schedule=False, array=False)]
Count = Annotated[int, Kind("Count", 1, whole=True, fixed=True)]
Fixed = Annotated[float, Kind("Fixed", 0, has_low=False, schedule=False, array=False, fixed=True)]


@dataclass(frozen=True)
class Change:
    """Beside a kind in Annotated: what differs from it."""

    changes: tuple[tuple[str, Any], ...]


def but(**changes: Any) -> Change:
    """A kind that differs in these: Annotated[Beta, but(array=False)]."""
    return Change(tuple(changes.items()))


ONE_NUMBER = but(array=False)  # or a schedule of numbers
READ_BY_UPDATE = but(array=False, elsewhere=True)
READ_BY_START = but(fixed=True)


def kind_of(annotation: Any) -> Kind | tuple[Kind, ...]:
    """The kind of a field, or that of each part of a tuple."""
    form = getattr(annotation, "__origin__", None)
    if get_origin(form) is tuple:  # Annotated[tuple[Beta, Beta], "what they are"]
        changes = annotation.__metadata__
        return tuple(_kind(Annotated[part, *changes]) for part in get_args(form))
    if form is tuple:
        return tuple(_kind(part) for part in get_args(annotation))
    return _kind(annotation)


def _kind(annotation: Any) -> Kind:
    kind = Kind()
    for one in getattr(annotation, "__metadata__", ()):
        if isinstance(one, Kind):
            kind = one
        elif isinstance(one, Change):
            kind = replace(kind, **dict(one.changes))
        elif isinstance(one, str):
            kind = replace(kind, meaning=one)
    return kind


@cache
def kinds(cls: Any) -> dict[str, Kind | tuple[Kind, ...]]:
    """The kinds of the fields of a class, by name."""
    own = cls.__dataclass_fields__
    if any(isinstance(f.type, str) for f in own.values()):
        hints = get_type_hints(cls, include_extras=True)
        return {name: kind_of(hints[name]) for name in own}
    return {name: kind_of(f.type) for name, f in own.items()}


def shown_type(annotation: Any) -> str:
    """How a type reads in help: Rate, tuple[Beta, Beta]."""
    kind = kind_of(annotation)
    if isinstance(kind, tuple):
        return f"tuple[{', '.join(one.name for one in kind)}]"
    if hasattr(annotation, "__metadata__"):
        return kind.name
    return (
        getattr(annotation, "__name__", str(annotation))
        if isinstance(annotation, type)
        else (str(annotation).replace("typing.", "").replace("collections.abc.", ""))
    )
