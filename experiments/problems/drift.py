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
    return -_mean(beta1, -small, large, age, period) / _root(age, beta2, rho, large, small, period)


def drift(problem: Periodic, betas: tuple[Any, Any], rho: float = 0.0) -> np.ndarray:
    """The sum of the moves of a period; the betas may be arrays.

    As alpha falls, x goes to +1 where it is positive and to -1 where it is negative.
    """
    beta1, beta2 = (np.asarray(beta, dtype=float)[..., None] for beta in betas)
    age = np.arange(problem.period)
    moves = move(age, beta1, beta2, rho, problem.large, problem.small, problem.period)
    return np.sum(moves, axis=-1)


def drifts(problem: Periodic, beta1: np.ndarray, beta2: np.ndarray, rho: float = 0.0) -> np.ndarray:
    """The drift of every beta2, which are the rows, with every beta1, as a product of matrices."""
    large, small, age = problem.large, problem.small, np.arange(problem.period)
    root = _root(age, beta2[:, None], rho, large, small, problem.period)
    return -1 / root @ _mean(beta1[:, None], -small, large, age, problem.period).T


def _root(age: Any, beta2: Any, rho: Any, large: Any, small: Any, period: Any) -> Any:
    """sqrt(v_max)."""
    v = _mean(beta2, small * small, large * large, age, period)
    first = _mean(beta2, small * small, large * large, 0, period)
    return np.sqrt(np.maximum(rho**age * first, v))


def _mean(beta: Any, usual: Any, spike: Any, age: Any, period: Any) -> Any:
    """The running mean of a sequence that is `usual` except at spikes."""
    return usual + (spike - usual) * (1 - beta) * beta**age / (1 - beta**period)
