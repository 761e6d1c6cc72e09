"""Online linear problems on [-1, 1]: Reddi, Kale and Kumar 2018, Sections 3 and 5.

A problem gives the slopes of f_t(x) = slope_t x for a stretch of steps, one column per copy, and
the regret of playing x against -1, the best fixed point.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Periodic:
    """Slope `large` at t = 1, 1 + period, 1 + 2 period, ..., else -1 * `small`.

    `large` may be an array with one value per copy; the problem as a string is its formula.
    """

    large: Any
    small: float
    period: int

    def __str__(self) -> str:
        large = "C" if np.ndim(self.large) else f"{self.large:g}"
        return f"{large} x if t mod {self.period} = 1, else -{self.small:g} x"

    def slopes(self, start: int, stop: int) -> np.ndarray:
        """The slopes of steps start to stop - 1, of shape (steps, copies)."""
        spike = np.arange(start, stop) % self.period == 1
        return np.where(spike[:, None], np.atleast_1d(self.large), -self.small)

    def regret(self, slopes: np.ndarray, x: np.ndarray) -> np.ndarray:
        """f_t(x) - f_t(-1), step by step."""
        return slopes * (x + 1)


@dataclass(frozen=True)
class Stochastic:
    """Slope `large` with the given probability, else -1 * `small`; each copy has its own draws."""

    large: float
    small: float
    probability: float
    copies: int
    seed: int

    @property
    def mean(self) -> float:
        """The expected slope."""
        return self.probability * self.large - (1 - self.probability) * self.small

    def slopes(self, start: int, stop: int) -> np.ndarray:
        """As of Periodic, but drawn from (seed, start), so that a trial can resume at a stretch."""
        draws = np.random.default_rng([self.seed, start]).random((stop - start, self.copies))
        return np.where(draws < self.probability, self.large, -self.small)

    def regret(self, slopes: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The expected regret of a step."""
        return self.mean * (x + 1)


REDDI = Periodic(large=1010, small=10, period=101)  # Section 5, where Adam goes to +1
