"""What a hyperparameter may be: its kind, said once where it is declared.

lr: Rate = 1e-3
betas: tuple[Beta, Beta] = (0.9, 0.999)
ahead: Annotated[Rate, "how far to look ahead"] = 0.5
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from inspect import formatannotation
from math import inf
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypeAlias, get_args, get_origin, get_type_hints

import numpy as np

from minigrad.backend import Array, to_host

Setting = float | Callable[[int], Any] | Array  # an array has one value per coordinate


@dataclass(frozen=True, eq=False, repr=False)
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

    def __repr__(self) -> str:
        return self.name

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
                error = ValueError if isinstance(setting, Real) else TypeError
                raise error(f"{what}={shown!r} is not {positive}; give one.")
        elif not self.schedule and not isinstance(setting, Real):
            raise TypeError(f"{what}={shown!r}: {what} is one number; give one.")


if TYPE_CHECKING:  # to a type checker they are what may be given
    Number: TypeAlias = Setting
    Rate: TypeAlias = Setting
    Beta: TypeAlias = Setting
    Fraction: TypeAlias = Setting
    Positive: TypeAlias = Setting
    Eps: TypeAlias = float
    Fixed: TypeAlias = float
    Count: TypeAlias = int
    Steps: TypeAlias = int
    Value: TypeAlias = Any
else:
    Number = Kind("Number")
    Rate = Kind("Rate", 0)
    Beta = Kind("Beta", 0, 1)
    Fraction = Kind("Fraction", 0, 1, has_high=True)
    Positive = Kind("Positive", 0, has_low=False)
    Eps = Kind("Eps", 0, schedule=False, array=False)
    Fixed = Kind("Fixed", 0, has_low=False, schedule=False, array=False, fixed=True)
    Count = Kind("Count", 1, whole=True, fixed=True)
    Steps = Kind("Steps", 1, whole=True)
    Value = Kind("Value", 0, schedule=False)

MEANINGS = {  # of names that mean the same wherever they stand
    "params": "the tensors to update",
    "lr": "step size",
    "betas": "how much of each running mean stays each step",
    "beta1": "how much of the mean of gradients stays each step",
    "momentum": "how much of the sum or mean of gradients stays each step",
    "nu": "part of the mean in the step, beside the gradient",
    "eps": "added to the divisor",
    "weight_decay": "how fast the weights shrink, times lr",
    "value": "what it gives, or begins with",
    "start": "first value",
    "end": "last value",
    "steps": "steps to the end",
    "schedule": "what follows",
    "schedules": "what follow one another",
    "milestones": "steps before each change",
    "norm": "largest Euclidean norm",
    "decay": "how much of the average stays each update",
    "inner": "the optimizer that is wrapped",
    "projection": "a set to stay in, as optim.Box(-1, 1)",
    "eager": "call the kernels themselves, for print and breakpoint()",
}


def but(**changes: Any) -> dict[str, Any]:
    """Beside a kind in Annotated, what differs from it: Annotated[Beta, but(array=False)]."""
    return changes


ONE_NUMBER = but(array=False)  # or a schedule of numbers
READ_BY_UPDATE = but(array=False, elsewhere=True)
READ_BY_START = but(fixed=True)
FROM_0 = but(low=0)
MAY_CHANGE = but(schedule=True)  # a schedule too


def kind_of(annotation: Any) -> Kind | tuple[Kind, ...]:
    """The kind of a field, or that of each part of a tuple."""
    changes = getattr(annotation, "__metadata__", ())
    form = annotation.__origin__ if changes else annotation
    if get_origin(form) is tuple and ... not in get_args(form):
        return tuple(_changed(part, changes) for part in get_args(form))
    return _changed(form, changes)


def _changed(form: Any, changes: tuple[Any, ...]) -> Kind:
    if hasattr(form, "__metadata__"):  # a part of a tuple
        form, changes = form.__origin__, (*form.__metadata__, *changes)
    kind = form if isinstance(form, Kind) else Kind()
    for one in changes:
        if isinstance(one, dict):
            kind = replace(kind, **one)
        elif isinstance(one, str):
            kind = replace(kind, meaning=one)
    return kind


def kinds(cls: Any) -> dict[str, Kind | tuple[Kind, ...]]:
    """The kinds of the fields of a class, by name."""
    return _kinds(cls)


@cache
def _kinds(cls: Any) -> dict[str, Kind | tuple[Kind, ...]]:
    return {name: kind_of(annotation) for name, annotation in types(cls).items()}


def types(cls: Any) -> dict[str, Any]:
    """The types of the fields of a class, by name, also where they are written as text."""
    return _types(cls)


@cache
def _types(cls: Any) -> dict[str, Any]:
    written = {f.name: f.type for f in fields(cls)}
    if not any(isinstance(one, str) for one in written.values()):
        return written
    try:
        read = get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"a type of {cls.__name__} cannot be read, since {error}; declare it at the top of "
            "the module, and not only for type checkers."
        ) from error
    return {name: read[name] for name in written}


def shown_type(annotation: Any) -> str:
    """How a type reads in help: Rate, tuple[Beta, Beta]."""
    kind = kind_of(annotation)
    if isinstance(kind, tuple):
        return f"tuple[{', '.join(one.name for one in kind)}]"
    if isinstance(getattr(annotation, "__origin__", annotation), Kind):
        return kind.name
    return formatannotation(annotation)


def described(cls: Any) -> str:
    """A line for each field of a class: what it does, its range, its default."""
    lines = []
    for f in fields(cls):
        kind = kinds(cls)[f.name]
        parts = kind if isinstance(kind, tuple) else (kind,)
        if not f.init:
            continue
        said = parts[0].meaning or MEANINGS.get(f.name, "")
        bounded = [one for one in parts if one.low > -inf or one.high < inf]
        ranges = dict.fromkeys(one.range if one.whole else f"in {one.range}" for one in bounded)
        ranged = " and ".join(ranges)
        default = "" if f.default is MISSING else f"{f.default!r} by default"
        facts = ", ".join(filter(None, (ranged, default)))
        lines.append(f"    {f.name}: {'; '.join(filter(None, (said, facts)))}")
    return "\n".join(lines)
