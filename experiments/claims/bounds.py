"""What theorems say that R_T is at most, from a run's own numbers, as Hindsight records them.

In all of them `metric` is sqrt(V_T)/alpha_T, `weighted` the sum over t of beta1_t sqrt(V_t)/alpha_t
and `norm` that of the gradients so far, each summed over the coordinates, and each coordinate lies
in an interval of length D. Where alpha_t = alpha/sqrt(t), the metric has the sqrt(T) of the bound.
"""

from collections.abc import Callable, Mapping

import numpy as np

D = 2.0  # of [-1, 1]

Trace = Mapping[str, np.ndarray]
Bound = Callable[[Trace, float, tuple[float, float]], np.ndarray]


def descent(trace: Trace, alpha: float, betas: tuple[float, float]) -> np.ndarray:
    """Of SGD: Zinkevich 2003, Theorem 1, without replacing the gradients by the largest of them."""
    return D**2 / 2 * trace["metric"] + trace["energy"] / 2


def adagrad(trace: Trace, alpha: float, betas: tuple[float, float]) -> np.ndarray:
    """Of AdaGrad at a constant alpha: Duchi, Hazan and Singer 2011, Theorem 5."""
    return D**2 / 2 * trace["metric"] + alpha * trace["norm"]


def amsgrad(trace: Trace, alpha: float, betas: tuple[float, float]) -> np.ndarray:
    """Of AMSGrad: Reddi, Kale and Kumar 2018, Theorem 4, as its arXiv revision corrects it."""
    (beta1, beta2), t = betas, trace["t"][:, None]
    factor = alpha * np.sqrt(1 + np.log(t)) / ((1 - beta1 / np.sqrt(beta2)) * np.sqrt(1 - beta2))
    return (
        D**2 / (1 - beta1) * trace["metric"]
        + D**2 / (1 - beta1) ** 2 * trace["weighted"]
        + factor / (1 - beta1) ** 2 * trace["norm"]
    )


def adamnc(trace: Trace, alpha: float, betas: tuple[float, float]) -> np.ndarray:
    """Of AdamNC: their Theorem 5, corrected likewise, where zeta is alpha."""
    beta1 = betas[0]
    return (
        D**2 / (2 * (1 - beta1)) * trace["metric"]
        + D**2 / (1 - beta1) ** 2 * trace["weighted"]
        + 2 * alpha / (1 - beta1) ** 3 * trace["norm"]
    )


BOUNDS: dict[str, Bound] = {
    "SGD": descent,
    "AdaGrad": adagrad,
    "AMSGrad": amsgrad,
    "AdamNC": adamnc,
}
