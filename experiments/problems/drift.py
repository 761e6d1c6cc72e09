"""How far x moves in a period of an online problem, in closed form: Periodic's spike and drift."""

from typing import Any

import numpy as np

from experiments.problems.linear import Periodic


def move(
    age: Any, beta1: Any, beta2: Any, rho: Any, large: Any, small: Any, period: Any
) -> np.ndarray:
    """Of x, `age` steps after the spike, once the moments are periodic, in units of alpha.

    This is for LeakyAMSGrad: rho = 0 is Adam (with bias correction or without), rho = 1 AMSGrad.
    """
    return -_mean(beta1, -small, large, age, period) / root(age, beta2, rho, large, small, period)


def drift(problem: Periodic, betas: tuple[Any, Any], rho: float = 0.0) -> np.ndarray:
    """The sum of the moves of a period; the betas may be arrays.

    As alpha falls, x goes to +1 where it is positive and to -1 where it is negative.
    """
    beta1, beta2 = (np.asarray(beta, dtype=float)[..., None] for beta in betas)
    age = np.arange(problem.period)
    moves = move(age, beta1, beta2, rho, problem.large, problem.small, problem.period)
    return np.sum(moves, axis=-1)


def climbing(problem: Periodic, beta1: float) -> list[tuple[float, float]]:
    """The intervals of beta2 with which x drifts to +1, from the lowest."""
    depth = np.linspace(0, 8, 2001)  # -log10(1 - beta2)
    moved = drift(problem, (beta1, 1 - 10.0**-depth))
    (turns,) = np.nonzero((moved[1:] > 0) != (moved[:-1] > 0))
    parts = moved[turns] / (moved[turns] - moved[turns + 1])
    ends = 1 - 10.0 ** -(depth[turns] + parts * np.diff(depth)[turns])
    if moved[0] > 0:
        ends = np.concatenate([[0.0], ends])
    return [(float(low), float(high)) for low, high in zip(ends[::2], ends[1::2], strict=True)]


def adopt_pulls(problem: Periodic, beta2: Any) -> tuple[np.ndarray, np.ndarray]:
    """How far the spike alone moves x down in a period under ADOPT without its clip, and the other
    slopes up, once v is periodic, in units of alpha: each is divided by the root of v before it.
    Taniguchi et al., arXiv:2411.02853, Algorithm 2."""
    beta2, large, small = np.asarray(beta2, dtype=float)[..., None], problem.large, problem.small
    age = np.arange(problem.period)
    pulls = 1 / np.sqrt(_mean(beta2, small * small, large * large, age, problem.period))
    return large * pulls[..., -1], small * np.sum(pulls[..., :-1], axis=-1)


def drifts(problem: Periodic, beta1: np.ndarray, beta2: np.ndarray, rho: float = 0.0) -> np.ndarray:
    """The drift of every beta2, which are the rows, with every beta1, as a product of matrices."""
    large, small, age = problem.large, problem.small, np.arange(problem.period)
    roots = root(age, beta2[:, None], rho, large, small, problem.period)
    return -1 / roots @ _mean(beta1[:, None], -small, large, age, problem.period).T


def root(age: Any, beta2: Any, rho: Any, large: Any, small: Any, period: Any) -> Any:
    """What `move` divides by: sqrt(v), or of what the rule keeps of v's maximum."""
    v = _mean(beta2, small * small, large * large, age, period)
    first = _mean(beta2, small * small, large * large, 0, period)
    return np.sqrt(np.maximum(rho**age * first, v))


def _mean(beta: Any, usual: Any, spike: Any, age: Any, period: Any) -> Any:
    """The running mean of a sequence that is `usual` except at spikes."""
    return usual + (spike - usual) * (1 - beta) * beta**age / (1 - beta**period)
