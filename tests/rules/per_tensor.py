"""The rules of optim/rules/per_tensor.py: their rows in the table, and papers in NumPy."""

from typing import Any

import numpy as np

import optim
from tests.rules.cases import ROOT
from tests.rules.formulas import at, norm, over
from tests.rules.rows import Row, moment


def _ratio(above: Any, below: Any) -> Any:
    return above / below if above and below else 1.0


def lars(x, gradients, lr, momentum, weight_decay, trust_coefficient):
    """You, Gitman and Ginsburg 2017, Algorithm 1."""
    v = np.zeros_like(x)
    for g in gradients:
        rate = _ratio(trust_coefficient * norm(x), norm(g) + weight_decay * norm(x))
        v = momentum * v + lr * rate * (g + weight_decay * x)
        x = x - v
        yield x


def lamb(x, gradients, lr, betas, eps, weight_decay):
    """You et al. 2020, Algorithm 2, where phi(z) = z."""
    (b1, b2), m, v = betas, 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        r = over(m / (1 - b1**t), np.sqrt(v / (1 - b2**t)) + eps)
        update = r + weight_decay * x
        x = x - lr * _ratio(norm(x), norm(update)) * update
        yield x


def novograd(x, gradients, lr, betas, eps, weight_decay):
    """Ginsburg et al. 2019."""
    b1, b2 = betas
    m = v = None
    for g in gradients:
        v = norm(g) ** 2 if v is None else b2 * v + (1 - b2) * norm(g) ** 2
        update = over(g, np.sqrt(v) + eps) + weight_decay * x
        m = update if m is None else b1 * m + update
        x = x - lr * m
        yield x


def sm3(x, gradients, lr, momentum, eps):
    """Anil, Gupta, Koren and Singer 2019, SM3-II, coordinate by coordinate, with momentum."""
    sets = [(axis, i) for axis in range(x.ndim) for i in range(x.shape[axis])] or [()]

    def holding(place):
        return list(enumerate(place)) or [()]

    mu, m = dict.fromkeys(sets, 0.0), np.zeros_like(x)
    for g in gradients:
        new, u = dict.fromkeys(sets, 0.0), np.zeros_like(x)
        for place in np.ndindex(x.shape):
            nu = min(mu[r] for r in holding(place)) + g[place] ** 2
            u[place] = g[place] / np.sqrt(nu + eps) if g[place] else 0.0
            for r in holding(place):
                new[r] = max(new[r], nu)
        mu, m = new, momentum * m + (1 - momentum) * u
        x = x - lr * m
        yield x


def adafactor(x, gradients, lr, decay_rate, eps, min_scale, d, weight_decay):
    """Shazeer and Stern 2018, Algorithm 4, with eps and lr as in torch.optim.Adafactor."""

    def rms(a):
        return norm(a) / np.sqrt(a.size)

    v = np.zeros_like(x)  # R and C are the sums of rows and columns of v, by linearity
    for t, g in enumerate(gradients, 1):
        beta2 = 1 - t**-decay_rate
        v = beta2 * v + (1 - beta2) * g**2
        estimate = v
        if x.ndim > 1:
            rows, columns = v.mean(-1), v.mean(-2)
            mean = np.maximum(v.mean((-1, -2)), eps)
            estimate = np.einsum("...i,...j->...ij", rows, columns) / mean[..., None, None]
        u = g / np.sqrt(np.maximum(estimate, eps**2))
        u = u / max(1.0, rms(u) / d)
        scale = max(min_scale, rms(x)) * min(lr, 1 / np.sqrt(t))
        x = (1 - lr * weight_decay) * x - scale * u
        yield x


def adam_mini(x, gradients, lr, betas, eps):
    """Zhang et al. 2024: blocks are output units, which are last, or whole vectors."""
    (b1, b2), m, v = betas, 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        blocks = [g[..., j] for j in range(g.shape[-1])] if g.ndim > 1 else [g]
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * np.array([np.mean(block**2) for block in blocks])
        step = lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + (eps or 1e-300))
        x = x - step.reshape(x.shape)
        yield x


def cautious_adamw(
    x: Any, gradients: Any, lr: Any, betas: Any, eps: float, weight_decay: float
) -> Any:
    """Liang et al. 2024: AdamW's update where it agrees with the gradient, rescaled."""
    beta1, beta2 = betas
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        u = over(m / (1 - beta1**t), np.sqrt(v / (1 - beta2**t)) + eps)
        mask = u * g > 0
        scale = mask.size / (np.count_nonzero(mask) + 1)
        x = x - at(lr, t) * (scale * np.where(mask, u, 0) + weight_decay * x)
        yield x


def mars(
    x: Any, gradients: Any, lr: Any, betas: Any, eps: float, weight_decay: float, gamma: float
) -> Any:
    """Yuan et al. 2024, MARS-AdamW with the last gradient for that of the last point."""
    beta1, beta2 = betas
    m, v, last = (np.zeros_like(x) for _ in range(3))
    for t, g in enumerate(gradients, 1):
        c = g + gamma * beta1 / (1 - beta1) * (g - last)
        if np.sqrt(np.sum(c**2)) > 1:
            c = c / np.sqrt(np.sum(c**2))
        m = beta1 * m + (1 - beta1) * c
        v = beta2 * v + (1 - beta2) * c**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        x = x - at(lr, t) * (over(m_hat, np.sqrt(v_hat) + eps) + weight_decay * x)
        last = g
        yield x


CASES = (
    {},
    {"lr": ROOT, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1},
    {"lr": 0.01, "betas": (0.0, 0.99), "eps": 0.1, "weight_decay": 0.0},
)

ROWS = {
    optim.LARS: Row(
        {"lr": 1.0, "momentum": 0.9, "weight_decay": 0.0, "trust_coefficient": 1e-3},
        paper=lars,
        cases=(
            {},
            {"lr": 2.0, "weight_decay": 0.1},
            {"momentum": 0.5, "trust_coefficient": 0.03, "weight_decay": 1.0},
        ),
        descends={"lr": 1.0, "trust_coefficient": 0.1},
        rosenbrock={"lr": 1.0},
        elementwise=False,
    ),
    optim.LAMB: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-6, "weight_decay": 0.0},
        paper=lamb,
        cases=(
            {},
            {"lr": 0.01, "betas": (0.5, 0.9), "weight_decay": 0.1},
            {"eps": 0, "weight_decay": 1.0},
        ),
        elementwise=False,
    ),
    optim.NovoGrad: Row(
        {"lr": 1e-2, "betas": (0.9, 0.25), "eps": 1e-6, "weight_decay": 0.0},
        paper=novograd,
        cases=({}, {"betas": (0.95, 0.98), "weight_decay": 0.1}, {"lr": 0.1, "eps": 0}),
        elementwise=False,
    ),
    optim.SM3: Row(
        {"lr": 0.1, "momentum": 0.9, "eps": 1e-8},
        paper=sm3,
        cases=({}, {"lr": 1.0, "eps": 0}, {"momentum": 0.0, "eps": 0.1}),
        descends={"lr": 0.5},
        elementwise=False,
    ),
    optim.Adafactor: Row(
        {
            "lr": 1e-2,
            "decay_rate": 0.8,
            "eps": 1e-15,
            "min_scale": 1e-3,
            "d": 1.0,
            "weight_decay": 0.0,
        },
        paper=adafactor,
        cases=(
            {},
            {"lr": 0.3, "decay_rate": 0.5, "d": 0.3, "weight_decay": 0.1},
            {"eps": 1e-3, "min_scale": 2.0},
        ),
        elementwise=False,
    ),
    optim.AdamMini: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8},
        paper=adam_mini,
        cases=({}, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 0.1}, {"eps": 0}),
        elementwise=False,
    ),
    optim.CautiousAdamW: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2},
        paper=cautious_adamw,
        cases=CASES,
        elementwise=False,
        moves_at_zero=True,
        descends={"lr": 0.1, "weight_decay": 0.0},
    ),
    optim.MARS: Row(
        {
            "lr": 3e-3,
            "betas": (0.95, 0.99),
            "eps": 1e-8,
            "weight_decay": 0.0,
            "gamma": 0.025,
        },
        paper=mars,
        cases=(*CASES, {"lr": 0.1, "gamma": 0.5}),
        direction=moment,
        elementwise=False,
    ),
}
