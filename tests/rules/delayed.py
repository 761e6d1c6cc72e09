"""The rules of optim/rules/delayed.py: their rows in the table, and papers in NumPy."""

from typing import Any

import numpy as np

import optim
from tests.rules.cases import DECAYING, ROOT
from tests.rules.formulas import at, over
from tests.rules.rows import Row, moment


def adopt(x: Any, gradients: Any, lr: Any, betas: Any, eps: float) -> Any:
    """Taniguchi et al. 2024, Algorithm 2: its step t is the t-th after the one that sets v."""
    beta1, beta2 = betas
    gradients = list(gradients)
    m, v = np.zeros_like(x), gradients[0] ** 2
    yield x
    for t, g in enumerate(gradients[1:], 1):
        normed = np.clip(g / np.maximum(np.sqrt(v), eps), -(t**0.25), t**0.25)
        m = beta1 * m + (1 - beta1) * normed
        x = x - at(lr, t + 1) * m
        v = beta2 * v + (1 - beta2) * g**2
        yield x


def acprop(x: Any, gradients: Any, lr: Any, betas: Any, eps: float) -> Any:
    """Zhuang et al. 2021, with the bias correction and the first step of their implementation."""
    beta1, beta2 = betas
    m, s = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        s_hat = s / (1 - beta2 ** (t - 1)) if t > 1 else 1.0
        x = x - at(lr, t) * g / (np.sqrt(s_hat) + eps)
        m = beta1 * m + (1 - beta1) * g
        s = beta2 * s + (1 - beta2) * (g - m) ** 2 + eps
        yield x


def avagrad(x: Any, gradients: Any, lr: Any, betas: Any, eps: float) -> Any:
    """Savarese et al. 2021, Algorithm 2."""
    beta1, beta2 = betas
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        eta = 1 / (np.sqrt(v) + eps)
        x = x - at(lr, t) * eta / np.linalg.norm(eta / np.sqrt(x.size)) * m
        v = beta2 * v + (1 - beta2) * g**2
        yield x


def adashift(
    x: Any, gradients: Any, lr: Any, betas: Any, eps: float, delay: int, phi: Any = np.asarray
) -> Any:
    """Zhou et al. 2019: m of the last n gradients, v of those before, and a spatial phi."""
    beta2 = betas[1]
    past: list[Any] = []
    for t, g in enumerate(gradients, 1):
        past.append(g)
        if t > delay:
            weights = [at(betas[0], t) ** i for i in range(delay)]
            m = sum(w * past[-1 - i] for i, w in enumerate(weights)) / sum(weights)
            v = sum(
                (1 - beta2) * beta2 ** (t - delay - k) * phi(past[k - 1] ** 2)
                for k in range(1, t - delay + 1)
            )
            v_hat = v / (1 - beta2 ** (t - delay))
            x = x - at(lr, t) * over(m, np.sqrt(v_hat) + eps)
        yield x


def max_adashift(*args: Any, **settings: Any) -> Any:
    """The same with the largest of a tensor's squares."""
    return adashift(*args, **settings, phi=np.max)


CASES = (
    {},
    {"lr": ROOT, "betas": (0.5, 0.9), "eps": 1e-3},
    {"lr": 0.01, "betas": (0.0, 0.99), "eps": 0.1},
)
SHIFTED = (
    *CASES,
    {"lr": 0.1, "delay": 1},
    {"lr": 0.01, "betas": (DECAYING, 0.99)},
    {"lr": ROOT, "delay": 7, "betas": (0.99, 0.0), "eps": 1e-3},
)

ROWS = {
    optim.ADOPT: Row(
        {"lr": 1e-3, "betas": (0.9, 0.9999), "eps": 1e-6},
        paper=adopt,
        cases=CASES,
    ),
    optim.ACProp: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-16},
        paper=acprop,
        cases=CASES,
    ),
    optim.AvaGrad: Row(
        {"lr": 0.1, "betas": (0.9, 0.999), "eps": 0.1},
        paper=avagrad,
        cases=CASES,
        elementwise=False,
    ),
    optim.AdaShift: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-10, "delay": 10},
        paper=adashift,
        cases=SHIFTED,
        direction=moment,
        elementwise=False,
        takes_huge_gradients=True,  # they are squared later
        idle=("v", "step"),
    ),
    optim.MaxAdaShift: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-10, "delay": 10},
        paper=max_adashift,
        cases=SHIFTED,
        elementwise=False,
        takes_huge_gradients=True,  # they are squared later
        idle=("v", "step"),
    ),
}
