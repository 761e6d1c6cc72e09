"""The rules of optim/rules/adam.py: their rows in the table, and papers in NumPy."""

import numpy as np

import optim
from tests.rules import scalar as scalar_rules
from tests.rules.cases import DECAYING, PAPER, ROOT, half_inverse
from tests.rules.formulas import at, mean, over, power
from tests.rules.rows import Row, moment


def adamw(x, gradients, lr, betas, eps, weight_decay):
    """Loshchilov and Hutter 2019, Algorithm 2, with lr for their eta alpha and their eta lambda /
    (eta alpha) for weight_decay."""
    m = v = 0
    for t, g in enumerate(gradients, 1):
        m, v = mean(at(betas[0], t), m, g), mean(at(betas[1], t), v, g**2)
        m_hat, v_hat = m / (1 - power(betas[0], t)), v / (1 - power(betas[1], t))
        x = x - at(lr, t) * (over(m_hat, np.sqrt(v_hat) + eps) + at(weight_decay, t) * x)
        yield x


def adamax(x, gradients, lr, betas, eps):
    """Kingma and Ba 2015, Algorithm 2, with PyTorch's eps."""
    m = u = 0
    for t, g in enumerate(gradients, 1):
        m = mean(at(betas[0], t), m, g)
        u = np.maximum(at(betas[1], t) * u, abs(g) + eps)
        x = x - at(lr, t) / (1 - power(betas[0], t)) * over(m, u)
        yield x


def nadamw(x, gradients, lr, betas, eps, momentum_decay, weight_decay=0):
    """Dozat 2016, but for the means of g and g^2, which are Adam's."""

    def mu(t, ahead=0):  # the beta1 of a step ahead is not known yet
        return at(betas[0], t) * (1 - 0.5 * 0.96 ** ((t + ahead) * at(momentum_decay, t)))

    m = n = 0
    for t, g in enumerate(gradients, 1):
        mu_next = mu(t, ahead=1)
        m, n = mean(at(betas[0], t), m, g), mean(at(betas[1], t), n, g**2)
        g_hat = g / (1 - power(mu, t))
        m_hat = m / (1 - power(mu, t) * mu_next)
        n_hat = n / (1 - power(betas[1], t))
        m_bar = (1 - mu(t)) * g_hat + mu_next * m_hat
        x = x - at(lr, t) * at(weight_decay, t) * x
        x = x - at(lr, t) * over(m_bar, np.sqrt(n_hat) + eps)
        yield x


def radam(x, gradients, lr, betas, eps):
    """Liu et al. 2020, Algorithm 2, with PyTorch's eps and threshold."""
    m = v = 0
    for t, g in enumerate(gradients, 1):
        b1, b2 = (at(b, t) for b in betas)
        m, v = mean(b1, m, g), mean(b2, v, g**2)
        m_hat = m / (1 - power(betas[0], t))
        rho_max = 2 / (1 - b2) - 1
        rho = rho_max - 2 * t * power(betas[1], t) / (1 - power(betas[1], t))
        if rho > 5:
            length = np.sqrt(1 - power(betas[1], t)) / (np.sqrt(v) + eps)
            r = (rho - 4) * (rho - 2) * rho_max / ((rho_max - 4) * (rho_max - 2) * rho)
            x = x - at(lr, t) * np.sqrt(r) * m_hat * length
        else:
            x = x - at(lr, t) * m_hat
        yield x


ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}
NADAM = {**ADAM, "lr": 2e-3, "momentum_decay": 4e-3}
SCHEDULED = {"lr": ROOT, "betas": (DECAYING, half_inverse)}
CASES = ({}, {"lr": ROOT, "betas": (0.0, 0.1), "eps": 0.1}, SCHEDULED)


def nadam_at_first(g, state):
    """NAdam's direction at t = 1, by its defaults, where lr corrects m."""
    mu, mu_next = (0.9 * (1 - 0.5 * 0.96 ** (t * 4e-3)) for t in (1, 2))
    return (1 - mu) * (g + mu_next * state["m"] / (1 - mu * mu_next))


ROWS = {
    optim.Adam: Row(ADAM, scalar=scalar_rules.corrected_adam, cases=PAPER, direction=moment),
    optim.PaperAdam: Row(
        {**ADAM, "eps": 0}, scalar=scalar_rules.adam, cases=PAPER, direction=moment
    ),
    optim.AdamW: Row(
        {**ADAM, "weight_decay": 1e-2},
        paper=adamw,
        cases=(*CASES, {"lr": ROOT, "weight_decay": ROOT}),
        direction=moment,
        moves_at_zero=True,
        descends={"lr": 0.1, "weight_decay": 0.0},
    ),
    optim.AdaMax: Row(
        {**ADAM, "lr": 2e-3},
        paper=adamax,
        cases=CASES,
        direction=moment,
        takes_huge_gradients=True,
    ),
    optim.NAdam: Row(NADAM, paper=nadamw, cases=CASES, direction=nadam_at_first, metric_steps=1),
    optim.NAdamW: Row(
        {**NADAM, "weight_decay": 1e-2},
        paper=nadamw,
        cases=(*CASES, {"weight_decay": ROOT, "momentum_decay": ROOT}),
        direction=nadam_at_first,
        metric_steps=1,
        moves_at_zero=True,
        descends={"lr": 0.1, "weight_decay": 0.0},
    ),
    optim.RAdam: Row(ADAM, paper=radam, cases=CASES, direction=moment),
}
