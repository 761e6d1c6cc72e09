"""The rules of optim/rules/denominator.py: their rows in the table, and papers in NumPy."""

from functools import partial

import numpy as np

import optim
from tests.rules.adam import ADAM, CASES
from tests.rules.cases import ROOT
from tests.rules.formulas import at, mean, over, power
from tests.rules.rows import Row, moment


def yogi(x, gradients, lr, betas, eps):
    """Zaheer et al. 2018, Algorithm 2, with v_0 = 1e-6."""
    m, v = 0, 1e-6
    for t, g in enumerate(gradients, 1):
        m = mean(at(betas[0], t), m, g)
        v = v - (1 - at(betas[1], t)) * np.sign(v - g**2) * g**2
        x = x - at(lr, t) * m / (np.sqrt(v) + eps)
        yield x


def adabelief(x, gradients, lr, betas, eps):
    """Zhuang et al. 2020, Algorithm 2."""
    m = s = 0
    for t, g in enumerate(gradients, 1):
        m = mean(at(betas[0], t), m, g)
        s = mean(at(betas[1], t), s, (g - m) ** 2) + eps
        m_hat, s_hat = m / (1 - power(betas[0], t)), s / (1 - power(betas[1], t))
        x = x - at(lr, t) * m_hat / (np.sqrt(s_hat) + eps)
        yield x


def adabound(x, gradients, lr, betas, eps, final_lr, gamma, amsbound=False):
    """Luo et al. 2019, in the form of their implementation."""
    m = v = v_max = 0
    for t, g in enumerate(gradients, 1):
        m, v = mean(at(betas[0], t), m, g), mean(at(betas[1], t), v, g**2)
        v_max = np.maximum(v_max, v) if amsbound else v
        rate = at(lr, t) * np.sqrt(1 - power(betas[1], t)) / (1 - power(betas[0], t))
        final = at(final_lr, t) * at(lr, t) / at(lr, 1)
        lower = final * (1 - 1 / (at(gamma, t) * t + 1))
        upper = final * (1 + 1 / (at(gamma, t) * t))
        x = x - np.clip(rate / (np.sqrt(v_max) + eps), lower, upper) * m
        yield x


def padam(x, gradients, lr, betas, eps, partial):
    """Chen et al. 2020, with an eps."""
    m = v = v_max = 0
    for t, g in enumerate(gradients, 1):
        m, v = mean(at(betas[0], t), m, g), mean(at(betas[1], t), v, g**2)
        v_max = np.maximum(v_max, v)
        x = x - at(lr, t) * over(m, (np.sqrt(v_max) + eps) ** (2 * at(partial, t)))
        yield x


BOUNDED = {**ADAM, "final_lr": 0.1, "gamma": 1e-3}
BOUNDS = (*CASES, {"final_lr": ROOT, "gamma": 0.5})

ROWS = {
    optim.Yogi: Row(
        {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-3},
        paper=yogi,
        cases=CASES,
        direction=moment,
    ),
    optim.AdaBelief: Row({**ADAM, "eps": 1e-16}, paper=adabelief, cases=CASES, direction=moment),
    optim.AdaBound: Row(BOUNDED, paper=adabound, cases=BOUNDS, direction=moment),
    optim.AMSBound: Row(
        BOUNDED,
        paper=partial(adabound, amsbound=True),
        cases=BOUNDS,
        direction=moment,
    ),
    optim.Padam: Row(
        {"lr": 0.1, "betas": (0.9, 0.999), "eps": 0, "partial": 0.125},
        paper=padam,
        cases=(*CASES, {"partial": 0.5}, {"partial": ROOT}),
        direction=moment,
    ),
}
