"""Online linear problems on [-1, 1]: Reddi, Kale and Kumar 2018, Sections 3 and 5.

A problem gives the slopes of f_t(x) = slope_t x for a stretch of steps, one column per copy, and
the regret of playing x against -1, the best fixed point where the mean slope is positive.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

# Of numbers or of arrays; the page has them as JavaScript that is printed from a trace


def periodic_slope(t: Any, large: Any, small: Any, period: Any, spike: Any) -> Any:
    return np.where(t % period == spike % period, large, -small)


def drawn_slope(draw: Any, large: Any, small: Any, probability: Any) -> Any:
    """The slope for a draw from [0, 1)."""
    return np.where(draw < probability, large, -small)


def mean_slope(large: Any, small: Any, probability: Any) -> Any:
    return probability * large - (1 - probability) * small


def regret(slope: Any, x: Any) -> Any:
    """f(x) - f(-1)."""
    return slope * (x + 1)


@dataclass(frozen=True)
class Periodic:
    """Slope `large` at t = spike, spike + period, spike + 2 period, ..., else -1 * `small`.

    `large` may be an array with one value per copy; the problem as a string is its formula.
    """

    large: Any
    small: float
    period: int
    spike: int = 1

    def __str__(self) -> str:
        place = f"t mod {self.period} = {self.spike % self.period}"
        return f"{_times_x(self.large)} if {place}, else {_times_x(-self.small)}"

    @property
    def mathtext(self) -> str:
        """The formula as matplotlib sets it."""
        place = rf"t\;\mathrm{{mod}}\;{self.period} = {self.spike % self.period}"
        return (
            rf"$f_t(x) = {_times_x(self.large)}$ if ${place}$, else ${_times_x(-self.small)}$, "
            r"on $[-1, 1]$"
        )

    @property
    def mean(self) -> Any:
        """The mean slope of a period."""
        return (self.large - (self.period - 1) * self.small) / self.period

    @property
    def rms(self) -> Any:
        """The root of the mean squared slope of a period."""
        squares = np.square(self.large) + (self.period - 1) * np.square(self.small)
        return np.sqrt(squares / self.period)

    def slopes(self, start: int, stop: int) -> np.ndarray:
        """The slopes of steps start to stop - 1, of shape (steps, copies)."""
        t = np.arange(start, stop)[:, None]
        large = np.atleast_1d(self.large)
        return periodic_slope(t, large, self.small, self.period, self.spike)

    def regret(self, slopes: np.ndarray, x: np.ndarray) -> np.ndarray:
        """f_t(x) - f_t(-1), step by step."""
        return regret(slopes, x)


@dataclass(frozen=True)
class Stochastic:
    """Slope `large` with the given probability, else -1 * `small`; each copy has its own draws."""

    large: float
    small: float
    probability: float
    copies: int
    seed: int

    def __str__(self) -> str:
        chance = f"with probability {self.probability:g}"
        return f"{_times_x(self.large)} {chance}, else {_times_x(-self.small)}"

    @property
    def mathtext(self) -> str:
        """The formula as matplotlib sets it."""
        return (
            rf"$f_t(x) = {_times_x(self.large)}$ with probability ${self.probability:g}$, else "
            rf"${_times_x(-self.small)}$, on $[-1, 1]$"
        )

    @property
    def mean(self) -> float:
        """The expected slope."""
        return mean_slope(self.large, self.small, self.probability)

    @property
    def rms(self) -> float:
        """The root of the expected squared slope."""
        large, small = np.square([self.large, self.small])
        return float(np.sqrt(self.probability * large + (1 - self.probability) * small))

    def slopes(self, start: int, stop: int) -> np.ndarray:
        """As of Periodic, but drawn from (seed, start), so that a trial can resume at a stretch."""
        draws = np.random.default_rng([self.seed, start]).random((stop - start, self.copies))
        return drawn_slope(draws, self.large, self.small, self.probability)

    def regret(self, slopes: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The expected regret of a step."""
        return regret(self.mean, x)


@dataclass(frozen=True)
class Impulse:
    """Slope `usual`, but at step `at` that times `outlier`."""

    usual: float
    outlier: float
    at: int

    @property
    def rms(self) -> float:
        """The root of the mean squared slope but for the outlier."""
        return self.usual

    def slopes(self, start: int, stop: int) -> np.ndarray:
        """The slopes of steps start to stop - 1, of shape (steps, 1)."""
        large = np.arange(start, stop) == self.at
        return np.where(large, self.outlier * self.usual, self.usual)[:, None]

    def regret(self, slopes: np.ndarray, x: np.ndarray) -> np.ndarray:
        """f_t(x) - f_t(-1), step by step."""
        return regret(slopes, x)


def _times_x(slope: Any) -> str:
    """A slope as it stands before x in a formula; C for those of several copies."""
    text = "C" if np.ndim(slope) else f"{slope:g}"
    return "x" if text == "1" else "-x" if text == "-1" else f"{text} x"


def theorem_2(period: int) -> Periodic:
    """f_t(x) = Cx if t mod C = 1, else -x: the problem of Theorem 2."""
    return Periodic(large=period, small=1, period=period)


REDDI = Periodic(large=1010, small=10, period=101)  # Section 5, where Adam goes to +1
