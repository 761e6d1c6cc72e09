"""The problems that are searched: a period of slopes with one spike or more, or independent draws.

The slope of f_t is +c at a spike and -1 elsewhere, times a scale. A point to play is in [-1, 1];
the best is the end that the mean slope points away from, the worst is the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import ceil, floor, lcm
from typing import Any

import numpy as np

from experiments.problems.linear import Periodic, Stochastic

PERIODS = (
    *(2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 32, 40, 50, 64, 80, 101, 128, 160, 200),
    *(256, 320, 400, 512, 640, 800, 1000, 2000, 4000, 8000, 16_000, 32_000),
)
SPIKES, BLOCKS = (1, 2, 4), (0.1, 0.3, 0.45)  # one after the other, or this share of the period
SCALES = (1.0, 0.01, 100.0)
RATIOS = (  # of the sum of the spikes to that of the rest, which decides on which end is the best
    *(0.2, 0.33, 0.5, 0.67, 0.8, 0.9, 0.95, 0.98),
    *(1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0),
)
RARITIES = (0.3, 0.1, 0.03, 0.01)  # probabilities of a spike that is drawn


@dataclass(frozen=True)
class Spiked(Periodic):
    """Periodic with `spikes` large slopes in a row, the first at t = spike."""

    spikes: int = 1

    def __str__(self) -> str:
        if self.spikes == 1:
            return super().__str__()
        of_one = str(Periodic(self.large, self.small, self.period, self.spike))
        first, last = of_one.split(" if ")[0], of_one.split(" else ")[1]
        return f"{first} if (t - {self.spike}) mod {self.period} < {self.spikes}, else {last}"

    @property
    def mathtext(self) -> str:
        """The formula as matplotlib sets it."""
        one = super().mathtext
        if self.spikes == 1:
            return one
        place = rf"t\;\mathrm{{mod}}\;{self.period} = {self.spike % self.period}"
        places = rf"(t - {self.spike})\;\mathrm{{mod}}\;{self.period} < {self.spikes}"
        return one.replace(place, places)

    @property
    def mean(self) -> float:
        """The mean slope of a period."""
        return float(self.one_period.mean())

    @property
    def rms(self) -> float:
        """The root of the mean squared slope of a period."""
        return float(np.sqrt(np.square(self.one_period).mean()))

    @property
    def worst(self) -> float:
        """The end of [-1, 1] with the largest sum of losses."""
        return float(np.sign(self.mean))

    @cached_property
    def one_period(self) -> np.ndarray:
        """The slopes of steps 1 to `period`."""
        after = (np.arange(1, self.period + 1) - self.spike) % self.period
        return np.where(after < self.spikes, self.large, -self.small)

    def slopes(self, start: int, stop: int) -> np.ndarray:
        """The slopes of steps start to stop - 1, of shape (steps, 1)."""
        first = (start - 1) % self.period
        return np.resize(np.roll(self.one_period, -first), stop - start)[:, None]

    def regret(self, slopes: np.ndarray, x: np.ndarray) -> np.ndarray:
        """f_t(x) less f_t of the best point, step by step."""
        return slopes * (x + self.worst)


@dataclass(frozen=True)
class Drawn(Stochastic):
    """Stochastic, where the mean slope may be negative."""

    @property
    def worst(self) -> float:
        """The end of [-1, 1] with the largest expected loss."""
        return float(np.sign(self.mean))

    def regret(self, slopes: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The expected regret of a step."""
        return self.mean * (x + self.worst)


KNOWN = (  # of Reddi, Kale and Kumar 2018: Section 5, and Theorem 1 with C = 3
    Spiked(1010.0, 10.0, 101),
    Spiked(3.0, 1.0, 3),
)


def periodic(scale: float = 1.0) -> Iterator[Spiked]:
    """The periodic problems of the search at a scale."""
    for period in PERIODS:
        for spikes in sorted({*SPIKES, *(int(share * period) for share in BLOCKS)}):
            if 0 < spikes < period / 2 or (period, spikes) == (2, 1):
                balance = (period - spikes) / spikes
                for c in dict.fromkeys(_short(ratio * balance, balance) for ratio in RATIOS):
                    yield Spiked(scale * c, scale, period, spikes=spikes)


def _short(c: float, balance: float) -> float:
    """c in few digits, away from the balance."""
    unit = 1 if c >= 10 else 10
    return (ceil(c * unit - 1e-9) if c > balance else floor(c * unit + 1e-9)) / unit


def simple(rare_wins: bool, longest: int = 512) -> Iterator[Spiked]:
    """Problems of one number, the shortest period first: `c x if t mod c = 1, else -x`, as in
    Theorem 2 of Reddi, Kale and Kumar, or with a period of c + 2, on which the rare slope loses."""
    for period in range(3, longest + 1):
        if period <= 128 or period % 16 == 0:
            c = period if rare_wins else period - 2
            yield Spiked(float(c), 1.0, period)


def whole(rare_wins: bool) -> Iterator[Spiked]:
    """Problems of two whole numbers, the shortest period first."""
    for period in (*range(2, 129), *(p for p in PERIODS if p > 128)):
        rest = period - 1
        of_rest = sorted(r for r in RATIOS if (r > 1) == rare_wins)
        wholes = (ceil(r * rest) if rare_wins else floor(r * rest) for r in of_rest)
        for c in dict.fromkeys(wholes):
            if c > 0:
                yield Spiked(float(c), 1.0, period)


def drawn(copies: int, seed: int) -> Iterator[Drawn]:
    """The problems with independent draws."""
    for probability, ratio in product(RARITIES, (0.5, 0.8, 0.95, 1.05, 1.2, 2.0)):
        c = ratio * (1 - probability) / probability
        yield Drawn(float(np.round(c, 3)), 1.0, probability, copies, seed)


def as_slopes(problems: Any) -> np.ndarray:
    """The slopes of problems in a period that they share, (period, problems)."""
    steps = lcm(*(problem.period for problem in problems))
    return np.stack([np.resize(problem.one_period, steps) for problem in problems], axis=1)
