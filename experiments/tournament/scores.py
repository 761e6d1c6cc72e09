"""What a tournament comes to: a target for each problem, the steps to it, and performance profiles.

As in AlgoPerf, Dahl et al., arXiv:2306.07179: a score is the integral of a rule's performance
profile, from 1 to TAU times the steps of the fastest, as a share of the most that it can be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.tournament.search import NEAR, best_rate, first_below

TAU = 4.0
TAUS = np.linspace(1, TAU, 61)  # at which profiles are drawn
SHARE = 0.75  # of the steps: where a reference rule has come by then is the target
SLACK = 1.01  # so that a minimum that rules share is no matter of rounding
CONFIDENCE = 95  # per cent


@dataclass(frozen=True)
class Played:
    """A rule on a problem: the traces of its search, and which rate it is judged by."""

    trace: Mapping[str, np.ndarray]
    converges: bool

    @property
    def best(self) -> int:
        """The place of that rate."""
        tuned = self.trace.get("tuned", self.trace["reported"])
        return best_rate(tuned, self.trace["t"], self.converges)

    @property
    def rate(self) -> float:
        return float(self.trace["rates"][self.best])

    @property
    def curves(self) -> np.ndarray:
        """What is reported at that rate, (times, seeds)."""
        chosen: np.ndarray = self.trace["reported"][:, self.best].astype(float)
        return chosen

    @property
    def failed(self) -> int:
        """How many of its runs at that rate failed."""
        return int((self.trace["failed"][self.best] > 0).sum())

    @property
    def at_edge(self) -> bool:
        """Whether the best rate is at an edge of the widened grid."""
        return len(self.trace["rates"]) > 1 and self.best in (0, len(self.trace["rates"]) - 1)

    def lowest(self) -> float:
        """Where the median seed has come to at best, at SHARE of the steps."""
        t = self.trace["t"]
        early = t <= 1 + SHARE * (t[-1] - 1)
        return float(np.median(self.curves[early].min(axis=0)))


def target(references: list[Played]) -> float:
    """What a rule is to reach on a problem: where the best of the references has come to, but no
    nearer to a least value than NEAR of the way from the start."""
    level = SLACK * min(one.lowest() for one in references)
    first = references[0]
    if first.converges:
        level = max(level, NEAR * float(np.median(first.curves[0])))
    return level


def arrivals(played: Played, level: float) -> np.ndarray:
    """The first of the times at which each seed is at the level, by rate, (rates, seeds)."""
    return first_below(played.trace["reported"], level, played.trace["t"])


def ratios(steps: np.ndarray) -> np.ndarray:
    """By how much more steps than the fastest a rule takes, (rules, problems); inf: never."""
    fastest = steps.min(axis=0)
    times: np.ndarray = steps / np.where(np.isfinite(fastest), fastest, 1.0)
    return times


def profile(ratios: np.ndarray, taus: np.ndarray) -> np.ndarray:
    """The share of the problems, (rules, taus), that a rule solves in tau times the steps of the
    fastest. Dolan and Moré 2002."""
    share: np.ndarray = (ratios[:, :, None] <= taus).mean(axis=1)
    return share


def score(steps: np.ndarray) -> np.ndarray:
    """The integral of each rule's profile from 1 to TAU over TAU - 1, of steps (rules, problems).

    A problem adds what is left of that range where the rule has solved it.
    """
    left = (TAU - ratios(steps)) / (TAU - 1)
    mean: np.ndarray = np.clip(left, 0, 1).mean(axis=1)
    return mean


def median(steps: np.ndarray) -> np.ndarray:
    """Over the seeds, the last axis; of an even number the upper of the two in the middle, since
    with inf there is no mean."""
    middle: np.ndarray = np.sort(steps, axis=-1)[..., steps.shape[-1] // 2]
    return middle


def resampled(steps: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Scores (resamples, rules) of steps (rules, problems, seeds) where problems and seeds are
    drawn with replacement, the same for all rules."""
    rng = np.random.default_rng(seed)
    _, problems, seeds = steps.shape
    found = []
    for _ in range(resamples):
        of = rng.integers(problems, size=problems)
        drawn = rng.integers(seeds, size=(problems, seeds))
        found.append(score(median(steps[:, of[:, None], drawn])))
    return np.array(found)


def interval(samples: np.ndarray) -> Any:
    """The percentiles between which CONFIDENCE of the samples are, along the first axis."""
    rest = (100 - CONFIDENCE) / 2
    return np.percentile(samples, [rest, 100 - rest], axis=0)


def ties(samples: np.ndarray, leader: int) -> np.ndarray:
    """Which rules tie with the leader: the interval of the difference has 0 in it, (rules,)."""
    low, high = interval(samples - samples[:, leader, None])
    tied: np.ndarray = (low <= 0) & (0 <= high)
    return tied
