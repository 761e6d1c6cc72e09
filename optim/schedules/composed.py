"""Schedules made of schedules, whose state is saved with theirs."""

from bisect import bisect_right
from typing import Annotated, Any

from optim.engine.kinds import MAY_CHANGE, Value
from optim.schedules.base import CheckedSchedule, are_counts, at, check


class Product(CheckedSchedule):
    """first times second, each a schedule or a value: Cosine(0.1, 0, 90) * ReduceOnPlateau(1.0)."""

    first: Annotated[Value, MAY_CHANGE, "a value, or a schedule"]
    second: Annotated[Value, MAY_CHANGE, "a value, or a schedule"]

    def __call__(self, t: int) -> Any:
        return at(self.first, t) * at(self.second, t)


class Sequence(CheckedSchedule):
    """One schedule after another, each from its own t = 1: the next after each of the milestones.

    Sequence((Linear(0, 0.1, 10), Cosine(0.1, 0, 90)), milestones=(10,))
    """

    schedules: tuple[Any, ...]
    milestones: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        given = self.schedules
        fits = isinstance(given, tuple) and len(given) > 0 and all(map(callable, given))
        check(self, "schedules", fits, "a tuple of schedules, such as Constant(0.1)")
        fits = are_counts(self.milestones, 0) and len(self.milestones) == len(given) - 1
        wanted = f"a tuple of {len(given) - 1}, one fewer than schedules: integers from 0 in order"
        check(self, "milestones", fits, wanted)

    def __call__(self, t: int) -> Any:
        i = bisect_right(self.milestones, t - 1)
        return self.schedules[i](t - (self.milestones[i - 1] if i else 0))
