"""Random online convex problems on [-1, 1]^d, whose best point in hindsight has a closed form."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Signs:
    """The slopes of f_t(x) = slope_t x for each coordinate: its scale, times +1 or -1 by the toss
    of a coin. All coordinates of all runs stand beside each other, run by run."""

    scales: tuple[float, ...]
    runs: int
    seed: int

    @property
    def rms(self) -> float:
        """The root of the mean squared slope."""
        return float(np.sqrt(np.mean(np.square(self.scales))))

    @property
    def columns(self) -> np.ndarray:
        """The scale of each coordinate of each run."""
        return np.tile(self.scales, self.runs)

    def slopes(self, start: int, stop: int) -> np.ndarray:
        """The slopes of steps start to stop - 1, of shape (steps, runs times coordinates), drawn
        from (seed, start), so that a trial can resume at a stretch."""
        rng = np.random.default_rng([self.seed, start])
        columns = self.columns
        return np.where(rng.random((stop - start, len(columns))) < 0.5, columns, -columns)

    def expected(self, t: Any) -> Any:
        """The mean regret of any player after t steps, for t not too small, where the losses are
        linear: by the central limit theorem the best point gains sqrt(2 t / pi) of a scale, and
        who does not know the next toss expects nothing."""
        return np.sqrt(2 * np.asarray(t) / np.pi) * np.sum(self.scales)


def best_loss(t: Any, slopes: np.ndarray, curvature: Any) -> np.ndarray:
    """The least over x in [-1, 1] of t curvature x^2 / 2 + slopes x: what the best point loses in t
    steps of curvature x^2 / 2 + slope_t x, where the slopes have this sum."""
    flat = t * np.broadcast_to(curvature, slopes.shape)
    curved = np.clip(-slopes / np.where(flat > 0, flat, 1), -1, 1)
    x = np.where(flat > 0, curved, -np.sign(slopes))
    return (flat * x / 2 + slopes) * x
