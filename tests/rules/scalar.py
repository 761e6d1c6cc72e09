"""Update rules as the papers print them: one coordinate, plain Python floats.

Each takes x_1, the gradients g_1, g_2, ... (an iterable), functions of t for what the paper
indexes by t, and the ends of F, an interval; it yields x_2, x_3, ...
"""

from collections.abc import Callable, Iterable, Iterator
from math import inf, sqrt

Function = Callable[[int], float]


def adam(
    x: float,
    gradients: Iterable[float],
    lr: Function,
    beta1: Function,
    beta2: Function,
    lo: float = -inf,
    hi: float = inf,
) -> Iterator[float]:
    """Adam without bias correction: Reddi, Kale and Kumar 2018, Algorithm 1 with Section 2.2.

    With beta2 a function of t it is AdamNC, their Algorithm 3.
    """
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        b1, b2 = beta1(t), beta2(t)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        x = min(max(x - _step(lr(t), m, v), lo), hi)
        yield x


def amsgrad(
    x: float,
    gradients: Iterable[float],
    lr: Function,
    beta1: Function,
    beta2: Function,
    lo: float = -inf,
    hi: float = inf,
    rho: Function = lambda t: 1.0,
) -> Iterator[float]:
    """AMSGrad: Reddi, Kale and Kumar 2018, Algorithm 2; with rho < 1 the maximum leaks."""
    m = v = v_max = 0.0
    for t, g in enumerate(gradients, 1):
        b1, b2 = beta1(t), beta2(t)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        v_max = max(rho(t) * v_max, v)
        x = min(max(x - _step(lr(t), m, v_max), lo), hi)
        yield x


def corrected_adam(
    x: float,
    gradients: Iterable[float],
    lr: Function,
    beta1: Function,
    beta2: Function,
    lo: float = -inf,
    hi: float = inf,
    eps: float = 0.0,
) -> Iterator[float]:
    """Adam: Kingma and Ba 2015, Algorithm 1, with products of betas for their powers."""
    m = v = 0.0
    product1 = product2 = 1.0
    for t, g in enumerate(gradients, 1):
        b1, b2 = beta1(t), beta2(t)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        product1 *= b1
        product2 *= b2
        m_hat, v_hat = m / (1 - product1), v / (1 - product2)
        x = min(max(x - _step(lr(t), m_hat, v_hat, eps), lo), hi)
        yield x


def _step(lr: float, m: float, v: float, eps: float = 0.0) -> float:
    """lr m / (sqrt(v) + eps), where 0/0 is no step: the papers leave that case out."""
    return lr * m / (sqrt(v) + eps) if m else 0.0
