"""Schedules: functions of the step t = 1, 2, ... that any hyperparameter may be.

Any callable of t is a schedule; these print what they are, so that a manifest can say it. A
schedule over n steps starts at t = 1, is at its end after n steps, at t = n + 1, and stays there.
Values may be arrays, one value per coordinate.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from dataclasses import field
from math import copysign, cos, inf, pi
from numbers import Integral, Real
from typing import Any, dataclass_transform

import numpy as np

from minigrad.backend import to_host
from optim.declared import Declared

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
class _Schedule(Declared):
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


class _Checked(_Schedule):
    """Raises ValueError for counts that are none, and for numbers that are negative."""

    def __post_init__(self) -> None:
        for one in self.declared():
            name = one.name
            if name in LEAST:
                fits = _is_count(getattr(self, name), LEAST[name])
                _check(self, name, fits, f"an integer from {LEAST[name]}")
            elif one.init and name not in ("schedule", "milestones"):
                _check(self, name, _is_positive(getattr(self, name)), "finite and not negative")


class Constant(_Schedule):
    """value."""

    value: Any

    def __call__(self, t: int) -> Any:
        return self.value


class InverseSqrt(_Schedule):
    """value / sqrt(t): the step size of the paper's theorems."""

    value: Any

    def __call__(self, t: int) -> Any:
        return self.value / t**0.5


class Power(_Schedule):
    """value * t^exponent."""

    value: Any
    exponent: Any

    def __call__(self, t: int) -> Any:
        return self.value * t**self.exponent


class Exponential(_Checked):
    """value * rate^(t - 1): beta1 lambda^(t-1) of the paper's Corollary 1."""

    value: Any
    rate: float

    def __call__(self, t: int) -> Any:
        return self.value * self.rate ** (t - 1)


class Inverse(_Schedule):
    """value / t."""

    value: Any

    def __call__(self, t: int) -> Any:
        return self.value / t


class OneMinusInverse(_Schedule):
    """1 - 1/t: as beta2, it makes v the mean of all squared gradients (Corollary 2)."""

    def __call__(self, t: int) -> float:
        return 1 - 1 / t


class _Annealed(_Checked, ABC):
    start: Any
    end: Any
    steps: int

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

    power: Any

    def shape(self, x: float) -> Any:
        return 1 - (1 - x) ** self.power


class Cosine(_Annealed):
    """From start to end along half a cosine. Loshchilov and Hutter 2017."""

    def shape(self, x: float) -> Any:
        return _half_cosine(x)


class CosineRestarts(_Checked):
    """Half a cosine from start to end, again and again: warm restarts.

    The first takes `steps` steps and each `growth` times as many as the one before.
    Loshchilov and Hutter 2017 (SGDR).
    """

    start: Any
    end: Any
    steps: int
    growth: int = 1

    def __call__(self, t: int) -> Any:
        done, period = t - 1, self.steps
        if self.growth == 1:  # as many periods as there are would be too many to go through
            done %= period
        while done >= period:
            done -= period
            period *= self.growth
        return _between(self.start, self.end, _half_cosine(done / period))


class Cyclic(_Checked):
    """A straight line from low to high in `rise` steps and back in `fall` steps, again and again.

    Each cycle rises `shrink` times as far as the one before. Smith 2017: 1 is his "triangular"
    policy, 0.5 his "triangular2".
    """

    low: Any
    high: Any
    rise: int
    fall: int
    shrink: float = 1.0

    def __call__(self, t: int) -> Any:
        cycle, done = divmod(t - 1, self.rise + self.fall)
        left = self.rise + self.fall - done
        x = done / self.rise if done <= self.rise else left / self.fall
        return _between(self.low, self.high, x * self.shrink**cycle)


class OneCycle(_Checked):
    """From start to peak in `rise` steps and down to end in `fall` steps.

    Smith 2018; along half cosines, as in PyTorch and optax, where his were straight lines.
    """

    start: Any
    peak: Any
    end: Any
    rise: int
    fall: int

    def __call__(self, t: int) -> Any:
        done = t - 1
        if done <= self.rise:
            return _between(self.start, self.peak, _half_cosine(done / self.rise))
        x = min((done - self.rise) / self.fall, 1.0)
        return _between(self.peak, self.end, _half_cosine(x))


class Step(_Checked):
    """value, times factor after every so many steps."""

    value: Any
    factor: float
    every: int

    def __call__(self, t: int) -> Any:
        return self.value * self.factor ** ((t - 1) // self.every)


class MultiStep(_Checked):
    """value, times factor after each number of steps in the tuple `milestones`."""

    value: Any
    factor: float
    milestones: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        given = self.milestones
        fits = isinstance(given, tuple) and all(_is_count(one, 1) for one in given)
        fits = fits and list(given) == sorted(set(given))
        _check(self, "milestones", fits, "a tuple of increasing integers from 1")

    def __call__(self, t: int) -> Any:
        return self.value * self.factor ** bisect_right(self.milestones, t - 1)


class WarmUp(_Checked):
    """t / steps of the schedule's first value for `steps` steps, then the schedule from its t = 1.

    Goyal et al. 2017; from 0 and per step as in Ma and Yarats 2021.
    """

    steps: int
    schedule: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self, "schedule", callable(self.schedule), "one such as Constant(0.1)")

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


class WarmUpStableDecay(_Checked):
    """A rise to value in `warm_up` steps, `stable` steps there, a line to end in `decay` steps.

    Hu et al. 2024 (WSD), whose decay is exponential; in a line as in Hägele et al. 2024.
    """

    value: Any
    warm_up: int
    stable: int
    decay: int
    end: Any = 0.0

    def __call__(self, t: int) -> Any:
        if t <= self.warm_up:
            return self.value * (t / self.warm_up)
        done = max(t - 1 - self.warm_up - self.stable, 0)
        return _between(self.value, self.end, min(done / self.decay, 1.0))


class ReduceOnPlateau(_Checked):
    """value times a scale that `feed` lowers when a loss has stopped falling; as in PyTorch.

    A loss is better if it is below the best by more than `threshold` of the best. After more than
    `patience` losses in a row that are not, the scale is multiplied by factor, down to min_scale,
    and for `cooldown` feeds none counts as bad. To follow a metric that should rise, feed its
    negative. The optimizer saves and restores what the feeds have left.
    """

    value: Any
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    cooldown: int = 0
    min_scale: float = 0.0

    scale: float = field(default=1.0, init=False, repr=False)
    best: float = field(default=inf, init=False, repr=False)
    bad: int = field(default=0, init=False, repr=False)  # feeds in a row
    resting: int = field(default=0, init=False, repr=False)  # feeds left of the cooldown

    # unlike other schedules it changes, so it is equal to itself alone
    __eq__, __hash__ = object.__eq__, object.__hash__

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("factor", "min_scale"):
            value = getattr(self, name)
            _check(self, name, isinstance(value, Real) and value <= 1, "a number up to 1")

    def __call__(self, t: int) -> Any:
        return self.value * self.scale

    def feed(self, loss: float) -> None:
        """Take in the latest loss; the value is lower, if at all, from the next step on."""
        loss = float(loss)
        self.bad += 1
        if loss < self.best * (1 - copysign(self.threshold, self.best)):
            self.best, self.bad = loss, 0
        if self.resting:
            self.resting -= 1
            self.bad = 0
        if self.bad > self.patience:
            self.scale = max(self.scale * self.factor, self.min_scale)
            self.bad, self.resting = 0, self.cooldown

    def state_dict(self) -> dict[str, Any]:
        """What feeds have left: scale, best, bad, resting."""
        return {name: getattr(self, name) for name in ("scale", "best", "bad", "resting")}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from a state; raises ValueError, and changes nothing, where it does not fit."""
        if saved.keys() != (own := self.state_dict()).keys():
            raise ValueError(f"the state has {list(saved)}; give one with {list(own)}.")
        vars(self).update(saved)


def _between(start: Any, end: Any, x: float) -> Any:
    return (1 - x) * start + x * end  # start at 0 and end at 1, to the last bit


def _half_cosine(x: float) -> float:
    return (1 - cos(pi * x)) / 2


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, Integral) and int(value) >= least


def _is_positive(value: Any) -> bool:
    try:
        number = to_host(value)
        return bool(np.all((number >= 0) & (number < inf)))
    except TypeError:
        return False


def _check(owner: Any, name: str, fits: bool, wanted: str) -> None:
    if not fits:
        value = getattr(owner, name)
        raise ValueError(f"{type(owner).__name__}: {name}={value!r}; it must be {wanted}.")
