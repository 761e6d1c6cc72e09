"""The rules of optim/rules/long_memory.py: their rows in the table, and papers in NumPy."""

from typing import Any

import numpy as np

import optim
from optim.schedules import Inverse, OneMinusInverse
from tests.rules import scalar as scalar_rules
from tests.rules.cases import DECAYING, PAPER, ROOT, half_inverse
from tests.rules.formulas import at, over
from tests.rules.rows import Row, moment


def adamx(x: Any, gradients: Any, lr: Any, betas: Any, eps: float) -> Any:
    """Tran and Phong 2019, Algorithm 2."""
    m, v, v_hat = (np.zeros_like(x) for _ in range(3))
    for t, g in enumerate(gradients, 1):
        beta1, beta2 = (at(beta, t) for beta in betas)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        if t == 1:
            v_hat = v
        else:
            before = at(betas[0], t - 1)
            v_hat = np.maximum((1 - beta1) ** 2 / (1 - before) ** 2 * v_hat, v)
        x = x - at(lr, t) * over(m, np.sqrt(v_hat) + eps)
        yield x


def nosadam(x: Any, gradients: Any, lr: Any, beta1: Any, gamma: float, eps: float) -> Any:
    """Huang, Wang and Dong 2019: beta2 = B_{t-1} / B_t, where B_t = 1^-gamma + ... + t^-gamma."""
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        b = [sum(k**-gamma for k in range(1, last + 1)) for last in (t - 1, t)]
        beta2 = b[0] / b[1]
        m = at(beta1, t) * m + (1 - at(beta1, t)) * g
        v = beta2 * v + (1 - beta2) * g**2
        x = x - at(lr, t) * over(m, np.sqrt(v) + eps)
        yield x


def adax(x: Any, gradients: Any, lr: Any, betas: Any, eps: float) -> Any:
    """Li et al. 2020, with eps beside the root of the corrected v."""
    beta1, beta2 = betas
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        v = (1 + beta2) * v + beta2 * g**2
        v_hat = v / ((1 + beta2) ** t - 1)
        x = x - at(lr, t) * over(m, np.sqrt(v_hat) + eps)
        yield x


def rising(t: int) -> float:
    """0.9 (1 - 1/t), from 0."""
    return 0.9 - 0.9 / t


ROWS = {
    optim.AdamNC: Row(
        {"lr": 1e-3, "betas": (0.9, OneMinusInverse()), "eps": 0},
        scalar=scalar_rules.adam,
        cases=({}, {"lr": ROOT}, {"lr": ROOT, "betas": (DECAYING, OneMinusInverse())}),
        direction=moment,
    ),
    optim.AMSGrad: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 0},
        scalar=scalar_rules.amsgrad,
        cases=PAPER,
        direction=moment,
    ),
    optim.AMSGradTorch: Row({"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}, direction=moment),
    optim.AMSGradKeras: Row({"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-7}, direction=moment),
    optim.AMSGradOptax: Row({"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}, direction=moment),
    optim.LeakyAMSGrad: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 0, "rho": 0.9999},
        scalar=scalar_rules.amsgrad,
        cases=tuple(
            {**case, "rho": rho} for case in PAPER for rho in (0.9999, 0.995, half_inverse)
        ),
        direction=moment,
    ),
    optim.AdamX: Row(
        {"lr": 1e-3, "betas": (Inverse(0.9), 0.999), "eps": 0},
        paper=adamx,
        cases=(
            {},
            {"lr": ROOT, "betas": (DECAYING, 0.99)},
            {"lr": 0.1, "betas": (0.5, half_inverse)},
            {"lr": 0.03, "betas": (rising, 0.9), "eps": 0.1},
        ),
        direction=moment,
    ),
    optim.NosAdam: Row(
        {"lr": 1e-3, "beta1": 0.9, "gamma": 0.1, "eps": 0},
        paper=nosadam,
        cases=(
            {},
            {"lr": ROOT, "gamma": 1.0},
            {"lr": 0.1, "beta1": DECAYING, "gamma": 0.0},
            {"lr": 0.1, "beta1": 0.5, "gamma": 2.5, "eps": 0.1},
        ),
        direction=moment,
    ),
    optim.AdaX: Row(
        {"lr": 1.5e-3, "betas": (0.9, 1e-4), "eps": 1e-12},
        paper=adax,
        cases=(
            {},
            {"lr": ROOT, "betas": (0.5, 0.01)},
            {"lr": 0.1, "betas": (0.0, 0.9), "eps": 0.1},
        ),
        direction=moment,
    ),
}
