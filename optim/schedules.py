"""Schedules: functions of the step t = 1, 2, ... that any hyperparameter may be.

Any callable of t is a schedule; these print what they are, so that a manifest can say it.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Constant:
    """value."""

    value: Any

    def __call__(self, t: int) -> Any:
        return self.value


@dataclass(frozen=True)
class InverseSqrt:
    """value / sqrt(t): the step size of the paper's theorems."""

    value: Any

    def __call__(self, t: int) -> Any:
        return self.value / t**0.5


@dataclass(frozen=True)
class Power:
    """value * t^exponent."""

    value: Any
    exponent: Any

    def __call__(self, t: int) -> Any:
        return self.value * t**self.exponent


@dataclass(frozen=True)
class Exponential:
    """value * rate^(t - 1): beta1 lambda^(t-1) of the paper's Corollary 1."""

    value: Any
    rate: float

    def __call__(self, t: int) -> Any:
        return self.value * self.rate ** (t - 1)


@dataclass(frozen=True)
class Inverse:
    """value / t."""

    value: Any

    def __call__(self, t: int) -> Any:
        return self.value / t


@dataclass(frozen=True)
class OneMinusInverse:
    """1 - 1/t: as beta2, it makes v the mean of all squared gradients (Corollary 2)."""

    def __call__(self, t: int) -> float:
        return 1 - 1 / t
