"""Linear prediction from features that are seen often or seldom."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Features:
    """y = sum of weight_i x_i + noise, where x_i is normal with the chance frequencies_i, else 0.

    The weights are 1, -1, 1, ..., and from the step `shift` on their opposites.
    """

    frequencies: tuple[float, ...]
    noise: float
    shift: int

    def weights(self, t: int) -> np.ndarray:
        """Those of step t."""
        first = (-1.0) ** np.arange(len(self.frequencies))
        return first if t < self.shift else -first

    def draws(self, seed: int, start: int, stop: int, runs: int) -> tuple[np.ndarray, np.ndarray]:
        """The features (steps, runs, features) and the noise (steps, runs) of steps start to
        stop - 1, drawn from (seed, start), so that a trial can resume at a stretch."""
        rng, n = np.random.default_rng([seed, start]), len(self.frequencies)
        seen = rng.random((stop - start, runs, n)) < self.frequencies
        x = np.where(seen, rng.standard_normal(seen.shape), 0.0)
        return x, self.noise * rng.standard_normal(seen.shape[:2])

    def error(self, w: np.ndarray, t: int) -> np.ndarray:
        """Half of the mean square by which predictions with w (..., features) are off, without the
        noise."""
        return (w - self.weights(t)) ** 2 @ np.array(self.frequencies) / 2
