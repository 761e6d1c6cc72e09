"""The schedules that are functions of t alone.

The simplest take an array of steps too, (steps, 1), and give the bits that one step after the other
gives.
"""

from bisect import bisect_right
from math import pi
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from optim.engine.kinds import FROM_0, Steps, Value
from optim.schedules.base import BaseSchedule, CheckedSchedule, are_counts, check, progress


class _OfArrays(BaseSchedule):
    """Base: one step, or an array of steps."""

    takes_arrays = True


class Constant(_OfArrays):
    """value."""

    value: Any

    def __call__(self, t: int) -> Any:
        return self.value


class InverseSqrt(_OfArrays):
    """value / sqrt(t): the step size of the paper's theorems."""

    value: Any

    def __call__(self, t: int) -> Any:
        return self.value / np.sqrt(t)


class Power(_OfArrays):
    """value * t^exponent."""

    value: Any
    exponent: Any

    def __call__(self, t: int) -> Any:
        return self.value * np.power(1.0 * t, self.exponent)


class Exponential(CheckedSchedule):
    """value * rate^(t - 1): beta1 lambda^(t-1) of the paper's Corollary 1."""

    value: Value
    rate: Value

    def __call__(self, t: int) -> Any:
        return self.value * self.rate ** (t - 1)


class Inverse(_OfArrays):
    """value / t."""

    value: Any

    def __call__(self, t: int) -> Any:
        return self.value / t


class OneMinusInverse(_OfArrays):
    """1 - 1/t: as beta2, it makes v the mean of all squared gradients (Corollary 2)."""

    def __call__(self, t: Any) -> Any:
        return 1 - 1 / t


class _Annealed(CheckedSchedule):
    """Base: from start to end in some steps, along the `shape` that a subclass has."""

    start: Value
    end: Value
    steps: Annotated[Steps, FROM_0]

    def __call__(self, t: int) -> Any:
        return between(self.start, self.end, self.shape(progress(t - 1, self.steps)))

    if TYPE_CHECKING:

        def shape(self, x: float) -> Any:
            """How much of the way from start to end is done when x of the steps are."""


class Linear(_Annealed):
    """From start to end in a straight line."""

    def shape(self, x: float) -> Any:
        return x


class Polynomial(_Annealed):
    """end + (start - end) (1 - x)^power, where x of the steps are done."""

    power: Value

    def shape(self, x: float) -> Any:
        return 1 - (1 - x) ** self.power


class Cosine(_Annealed):
    """From start to end along half a cosine. Loshchilov and Hutter 2017."""

    def shape(self, x: float) -> Any:
        return half_cosine(x)


class CosineRestarts(CheckedSchedule):
    """Half a cosine from start to end, again and again: warm restarts.

    The first takes `steps` steps and each `growth` times as many as the one before.
    Loshchilov and Hutter 2017 (SGDR).
    """

    start: Value
    end: Value
    steps: Steps
    growth: Steps = 1

    def __call__(self, t: int) -> Any:
        done, period = t - 1, self.steps
        if self.growth == 1:  # as many periods as there are would be too many to go through
            done %= period
        else:
            while done >= period:
                done -= period
                period *= self.growth
        return between(self.start, self.end, half_cosine(done / period))


class Cyclic(CheckedSchedule):
    """A straight line from low to high in `rise` steps and back in `fall` steps, again and again.

    Each cycle rises `shrink` times as far as the one before. Smith 2017: 1 is his "triangular"
    policy, 0.5 his "triangular2".
    """

    low: Value
    high: Value
    rise: Steps
    fall: Steps
    shrink: Value = 1.0

    def __call__(self, t: int) -> Any:
        cycle, done = divmod(t - 1, self.rise + self.fall)
        left = self.rise + self.fall - done
        x = done / self.rise if done <= self.rise else left / self.fall
        return between(self.low, self.high, x * self.shrink**cycle)


class OneCycle(CheckedSchedule):
    """From start to peak in `rise` steps and down to end in `fall` steps.

    Smith 2018; along half cosines, as in PyTorch and optax, where his were straight lines.
    """

    start: Value
    peak: Value
    end: Value
    rise: Annotated[Steps, FROM_0]
    fall: Annotated[Steps, FROM_0]

    def __call__(self, t: int) -> Any:
        done = t - 1
        if done < self.rise:
            return between(self.start, self.peak, half_cosine(done / self.rise))
        return between(self.peak, self.end, half_cosine(progress(done - self.rise, self.fall)))


class Step(CheckedSchedule):
    """value, times factor after every so many steps."""

    value: Value
    factor: Value
    every: Steps

    def __call__(self, t: int) -> Any:
        return self.value * self.factor ** ((t - 1) // self.every)


class MultiStep(CheckedSchedule):
    """value, times factor after each number of steps in the tuple `milestones`."""

    value: Value
    factor: Value
    milestones: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        given = self.milestones
        fits = are_counts(given, 1) and len(set(given)) == len(given)
        check(self, "milestones", fits, "a tuple of increasing integers from 1")

    def __call__(self, t: int) -> Any:
        return self.value * self.factor ** bisect_right(self.milestones, t - 1)


def between(start: Any, end: Any, x: float) -> Any:
    return (1 - x) * start + x * end  # start at 0 and end at 1, to the last bit


def half_cosine(x: float) -> Any:
    return (1 - np.cos(pi * x)) / 2
