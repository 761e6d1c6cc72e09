"""Functions of one number whose slope is seen with noise: slopes of x, and draws of the noise.

A slope is of an array of any shape; a noise gives, for a number of steps, what is added to it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import xp


def quadratic(x: Any) -> Any:
    """The slope of x^2 / 2."""
    return x


STEEPEST = 2 / np.sqrt(27)  # tilt at which one of the two wells is lost


def double_well(x: Any, tilt: float) -> Any:
    """The slope of x^4 / 4 - x^2 / 2 + tilt x."""
    return x * x * x - x + tilt


def double_well_height(x: Any, tilt: float) -> Any:
    """x^4 / 4 - x^2 / 2 + tilt x."""
    return x**4 / 4 - x**2 / 2 + tilt * x


def double_well_extrema(tilt: float) -> np.ndarray:
    """The bottom of the better well, the top between the two, and the bottom of the worse, for a
    tilt above 0 and below STEEPEST."""
    return np.sort(np.roots([1, 0, -1, tilt]).real)


def soft_absolute(x: Any) -> Any:
    """The slope of sqrt(1 + x^2)."""
    return x / xp.sqrt(1 + x * x)


def signs(rng: np.random.Generator, steps: int, copies: int, probability: float = 1) -> np.ndarray:
    """Mean 0 and variance 1, (steps, copies): with that probability one of +-1 / sqrt(probability),
    else 0."""
    draws = rng.random((steps, copies))
    size = 1 / np.sqrt(probability)
    return np.where(draws < probability / 2, size, np.where(draws < probability, -size, 0.0))


def bernoulli(
    rng: np.random.Generator, steps: int, copies: int, p: float, batches: Sequence[int] = (1,)
) -> np.ndarray:
    """Means of batches of p - B, where B is 1 with probability p, else 0; (steps, batches, copies):
    the noise of the slope of E (x - B + p)^2 / 2. Dereich et al., arXiv:2511.06675."""
    means = [rng.binomial(batch, p, (steps, copies)) / batch for batch in batches]
    return p - np.stack(means, axis=1)
