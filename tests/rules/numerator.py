"""The rules of optim/rules/numerator.py: their rows in the table, and papers in NumPy."""

import numpy as np

import optim
from tests.rules.adam import ADAM, CASES
from tests.rules.cases import DECAYING, ROOT, half_inverse
from tests.rules.formulas import at, mean, over, power
from tests.rules.rows import Row, moment


def qhadam(x, gradients, lr, betas, eps, nus):
    """Ma and Yarats 2019, QHAdam."""
    m = v = 0
    for t, g in enumerate(gradients, 1):
        m, v = mean(at(betas[0], t), m, g), mean(at(betas[1], t), v, g**2)
        m_hat, v_hat = m / (1 - power(betas[0], t)), v / (1 - power(betas[1], t))
        nu1, nu2 = (at(nu, t) for nu in nus)
        x = x - at(lr, t) * over(
            (1 - nu1) * g + nu1 * m_hat, np.sqrt((1 - nu2) * g**2 + nu2 * v_hat) + eps
        )
        yield x


def grams(x, gradients, lr, betas, eps):
    """Cao, Li and Song 2024."""
    m = v = 0
    for t, g in enumerate(gradients, 1):
        m, v = mean(at(betas[0], t), m, g), mean(at(betas[1], t), v, g**2)
        m_hat, v_hat = m / (1 - power(betas[0], t)), v / (1 - power(betas[1], t))
        x = x - at(lr, t) * np.sign(g) * abs(over(m_hat, np.sqrt(v_hat) + eps))
        yield x


def laprop(x, gradients, lr, betas, eps):
    """Ziyin, Wang and Ueda 2020."""
    m = n = 0
    for t, g in enumerate(gradients, 1):
        n = mean(at(betas[1], t), n, g**2)
        m = mean(at(betas[0], t), m, over(g, np.sqrt(n / (1 - power(betas[1], t))) + eps))
        x = x - at(lr, t) * m / (1 - power(betas[0], t))
        yield x


def adan(x, gradients, lr, betas, eps, weight_decay):
    """Xie et al. 2022, with bias-corrected means."""
    b1, b2, b3 = betas
    m = v = n = 0
    last = gradients[0]
    for t, g in enumerate(gradients, 1):
        m, v = mean(at(b1, t), m, g), mean(at(b2, t), v, g - last)
        n = mean(at(b3, t), n, (g + at(b2, t) * (g - last)) ** 2)
        m_hat, v_hat, n_hat = (a / (1 - power(b, t)) for a, b in zip((m, v, n), betas, strict=True))
        step = over(m_hat + at(b2, t) * v_hat, np.sqrt(n_hat) + eps)
        x = (x - at(lr, t) * step) / (1 + at(weight_decay, t) * at(lr, t))
        last = g
        yield x


def ademamix(x, gradients, lr, betas, eps, weight_decay, alpha):
    """Pagliardini, Ablin and Grangier 2024, Algorithm 1."""
    b1, b2, b3 = betas
    m1 = m2 = v = 0
    for t, g in enumerate(gradients, 1):
        m1, m2, v = mean(at(b1, t), m1, g), mean(at(b3, t), m2, g), mean(at(b2, t), v, g**2)
        m_hat, v_hat = m1 / (1 - power(b1, t)), v / (1 - power(b2, t))
        step = over(m_hat + at(alpha, t) * m2, np.sqrt(v_hat) + eps)
        x = x - at(lr, t) * (step + at(weight_decay, t) * x)
        yield x


THREE = ({}, {"lr": ROOT, "betas": (0.0, 0.1, 0.5)}, {"lr": ROOT, "betas": (DECAYING, 0.9, 0.99)})

ROWS = {
    optim.QHAdam: Row(
        {"lr": 1e-3, "betas": (0.995, 0.999), "eps": 1e-8, "nus": (0.7, 1.0)},
        paper=qhadam,
        cases=(*CASES, {"nus": (half_inverse, 0.5)}),
    ),
    optim.Grams: Row(
        ADAM,
        paper=grams,
        cases=CASES,
        direction=lambda g, s: np.sign(g) * abs(s["m"]),
    ),
    optim.LaProp: Row({"lr": 4e-4, "betas": (0.9, 0.999), "eps": 1e-15}, paper=laprop, cases=CASES),
    optim.Adan: Row(
        {"lr": 1e-3, "betas": (0.98, 0.92, 0.99), "eps": 1e-8, "weight_decay": 0.0},
        paper=adan,
        cases=(*THREE, {"lr": ROOT, "weight_decay": ROOT}),
        direction=moment,
        metric_steps=1,
    ),
    optim.AdEMAMix: Row(
        {**ADAM, "betas": (0.9, 0.999, 0.9999), "weight_decay": 0.0, "alpha": 5.0},
        paper=ademamix,
        cases=(*THREE, {"lr": ROOT, "weight_decay": ROOT, "alpha": ROOT}),
        direction=lambda g, s: s["m"] + 5.0 * (1 - 0.9) * s["m_slow"],
        metric_steps=1,
    ),
}
