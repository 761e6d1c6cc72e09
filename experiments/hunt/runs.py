"""Runs of a rule on many problems at once: where x is, and the average regret, at powers of ten."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.hunt.hunted import Hunted
from minigrad import to_host, xp

VALUES = 2**20  # steps times coordinates that are played at once


@dataclass(frozen=True)
class Run:
    """x before step t and R_t / t, each (times, coordinates).

    For each coordinate also how far x has been from x_1, and the least x, towards the best point.
    """

    t: np.ndarray
    x: np.ndarray
    average: np.ndarray
    moved: np.ndarray
    lowest: np.ndarray

    def at(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """x_t and R_t / t of each coordinate."""
        (row,) = np.flatnonzero(self.t == t)
        return self.x[row], self.average[row]


def run(
    hunted: Hunted,
    problems: Sequence[Any],
    x1: np.ndarray,
    times: Sequence[int],
    boxed: bool = True,
    enough: Callable[[Run], bool] = lambda _: False,
) -> Run:
    """Play the problems, one a coordinate, until the last of the times, or until that is enough."""
    rms = np.array([problem.rms for problem in problems])
    opt, _ = hunted.built(x1, rms if np.ptp(rms) else float(rms[0]), boxed)
    worst = np.array([problem.worst for problem in problems])
    regret, moved, lowest = np.zeros(len(x1)), np.zeros(len(x1)), x1 * worst
    xs: list[Any] = []
    averages: list[Any] = []
    slopes = Columns(problems)
    t, stretch = 0, max(1, VALUES // len(x1))
    for stop in times:
        while t < stop:
            steps = min(stop - t, stretch)
            g = slopes(t + 1, t + 1 + steps)
            played = to_host(opt.play(xp.asarray(g)))
            regret += slopes.regret(g, played, worst)
            rows = np.ascontiguousarray(played.T)  # along which NumPy is faster
            low, high = rows.min(axis=1), rows.max(axis=1)
            moved = np.maximum(moved, np.maximum(high - x1, x1 - low))
            lowest = np.minimum(lowest, np.minimum(low * worst, high * worst))
            t += steps
        xs.append(played[-1].copy())
        averages.append(regret / t)
        so_far = Run(np.array(times[: len(xs)]), np.array(xs), np.array(averages), moved, lowest)
        if enough(so_far):
            break
    return so_far


class Columns:
    """The slopes of problems, one a column."""

    def __init__(self, problems: Sequence[Any]):
        self.problems = list(dict.fromkeys(problems))
        self.place = [self.problems.index(problem) for problem in problems]
        random = [hasattr(problem, "probability") for problem in problems]
        self.drawn = all(random)
        self.mean = np.array([problem.mean for problem in problems])

    def __call__(self, start: int, stop: int) -> np.ndarray:
        """Those of steps start to stop - 1, (steps, problems)."""
        if self.drawn:
            return np.hstack([problem.slopes(start, stop) for problem in self.problems])
        columns = np.hstack([problem.slopes(start, stop) for problem in self.problems])
        return columns[:, self.place] if len(self.place) > 1 else columns

    def regret(self, g: np.ndarray, x: np.ndarray, worst: np.ndarray) -> np.ndarray:
        """The sum over these steps of f_t(x_t) less f_t of the best point, in expectation of what
        is drawn."""
        if self.drawn:
            return self.mean * (x + worst).sum(axis=0)
        return np.einsum("ij,ij->j", g, x) + worst * g.sum(axis=0)
