"""The schedules that are functions of t alone.

The simplest also give their values `over` an array of steps (steps, 1), with the same bits.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from math import cos, exp, log, pi, sqrt
from typing import Annotated, Any

import numpy as np

from optim.engine.kinds import Steps, Value, but
from optim.schedules.base import BaseSchedule, CheckedSchedule, check, is_count


class Constant(BaseSchedule):
    """value."""

    value: Any

    def __call__(self, t: int) -> Any:
        return self.value

    def over(self, times: Any) -> Any:
        """The values at all of these steps."""
        return self.value


class InverseSqrt(BaseSchedule):
    """value / sqrt(t): the step size of the paper's theorems."""

    value: Any

    def __call__(self, t: int) -> Any:
        return self.value / sqrt(t)

    def over(self, times: Any) -> Any:
        """The values at all of these steps."""
        return self.value / np.sqrt(times)


class Power(BaseSchedule):
    """value * t^exponent."""

    value: Any
    exponent: Any

    def __call__(self, t: int) -> Any:
        return self.value * _power(float(t), self.exponent)

    def over(self, times: Any) -> Any:
        """The values at all of these steps."""
        return self.value * np.power(times, self.exponent)


class Exponential(CheckedSchedule):
    """value * rate^(t - 1): beta1 lambda^(t-1) of the paper's Corollary 1."""

    value: Value
    rate: Value

    def __call__(self, t: int) -> Any:
        return self.value * self.rate ** (t - 1)


class Inverse(BaseSchedule):
    """value / t."""

    value: Any

    def __call__(self, t: int) -> Any:
        return self.value / t

    def over(self, times: Any) -> Any:
        """The values at all of these steps."""
        return self.value / times


class OneMinusInverse(BaseSchedule):
    """1 - 1/t: as beta2, it makes v the mean of all squared gradients (Corollary 2)."""

    def __call__(self, t: int) -> float:
        return 1 - 1 / t

    def over(self, times: Any) -> Any:
        """The values at all of these steps."""
        return 1 - 1 / times


class _Annealed(CheckedSchedule, ABC):
    start: Value
    end: Value
    steps: Steps

    def __call__(self, t: int) -> Any:
        return _between(self.start, self.end, self.shape(min((t - 1) / self.steps, 1.0)))

    @abstractmethod
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
        return _half_cosine(x)


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
        while done >= period:
            done -= period
            period *= self.growth
        return _between(self.start, self.end, _half_cosine(done / period))


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
        return _between(self.low, self.high, x * self.shrink**cycle)


class OneCycle(CheckedSchedule):
    """From start to peak in `rise` steps and down to end in `fall` steps.

    Smith 2018; along half cosines, as in PyTorch and optax, where his were straight lines.
    """

    start: Value
    peak: Value
    end: Value
    rise: Steps
    fall: Steps

    def __call__(self, t: int) -> Any:
        done = t - 1
        if done <= self.rise:
            return _between(self.start, self.peak, _half_cosine(done / self.rise))
        x = min((done - self.rise) / self.fall, 1.0)
        return _between(self.peak, self.end, _half_cosine(x))


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
        fits = isinstance(given, tuple) and all(is_count(one, 1) for one in given)
        fits = fits and list(given) == sorted(set(given))
        check(self, "milestones", fits, "a tuple of increasing integers from 1")

    def __call__(self, t: int) -> Any:
        return self.value * self.factor ** bisect_right(self.milestones, t - 1)


class WarmUp(CheckedSchedule):
    """t / steps of the schedule's first value for `steps` steps, then the schedule from its t = 1.

    Goyal et al. 2017; from 0 and per step as in Ma and Yarats 2021.
    """

    steps: Steps
    schedule: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "schedule", callable(self.schedule), "one such as Constant(0.1)")

    def __call__(self, t: int) -> Any:
        if t <= self.steps:
            return self.schedule(1) * (t / self.steps)
        return self.schedule(t - self.steps)

    # absent, for hasattr, where the schedule has none

    @property
    def state_dict(self) -> Any:
        """That of the schedule."""
        return self.schedule.state_dict

    @property
    def load_state_dict(self) -> Any:
        """That of the schedule."""
        return self.schedule.load_state_dict


class WarmUpStableDecay(CheckedSchedule):
    """A rise to value in `warm_up` steps, `stable` steps there, a line to end in `decay` steps.

    Hu et al. 2024 (WSD), whose decay is exponential; in a line as in Hägele et al. 2024.
    """

    value: Value
    warm_up: Steps
    stable: Annotated[Steps, but(low=0)]
    decay: Steps
    end: Value = 0.0

    def __call__(self, t: int) -> Any:
        if t <= self.warm_up:
            return self.value * (t / self.warm_up)
        done = max(t - 1 - self.warm_up - self.stable, 0)
        return _between(self.value, self.end, min(done / self.decay, 1.0))


class MemoryWarmUp(CheckedSchedule):
    """A beta from start to end, both inside (0, 1), whose memory 1 / -log(beta) grows linearly.

    Pagliardini, Ablin and Grangier 2024, Section 3, for AdEMAMix's beta3.
    """

    start: Value
    end: Value
    steps: Steps

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("start", "end"):
            value = getattr(self, name)
            check(self, name, isinstance(value, float) and 0 < value < 1, "a number inside (0, 1)")

    def __call__(self, t: int) -> Any:
        if t >= self.steps:
            return self.end
        done = t / self.steps
        return exp(1 / ((1 - done) / log(self.start) + done / log(self.end)))


def _power(t: float, exponent: Any) -> Any:
    if getattr(exponent, "ndim", 0):
        return t**exponent
    return float(np.power(t, exponent))  # not Python's, so that an array of steps gives the same


def _between(start: Any, end: Any, x: float) -> Any:
    return (1 - x) * start + x * end  # start at 0 and end at 1, to the last bit


def _half_cosine(x: float) -> float:
    return (1 - cos(pi * x)) / 2
