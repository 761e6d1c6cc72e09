"""The rules of optim/rules/parameter_free.py: their rows in the table, and papers in NumPy."""

import numpy as np

import optim
from tests.rules.cases import ROOT, half_inverse
from tests.rules.formulas import at
from tests.rules.rows import Row


def dog(x, gradients, lr, eps, r_eps):
    """Ivgi, Hinder and Carmon 2023: eta_t = max_i |x_i - x_0| / sqrt(sum_i |g_i|^2)."""
    xs, gs = [x], []
    for t, g in enumerate(gradients, 1):
        gs.append(g)
        moved = [r_eps * (1 + np.linalg.norm(xs[0]))] + [np.linalg.norm(x - xs[0]) for x in xs]
        eta = max(moved) / np.sqrt(np.sum(np.square(gs)) + eps)
        xs.append(xs[-1] - at(lr, t) * eta * g)
        yield xs[-1]


def dowg(x, gradients, lr, eps, r_eps):
    """Khaled, Mishchenko and Jin 2023."""
    xs, v, r = [x], 0.0, r_eps
    for t, g in enumerate(gradients, 1):
        r = max(r, np.linalg.norm(xs[-1] - xs[0]))
        v = v + r**2 * np.linalg.norm(g) ** 2
        xs.append(xs[-1] - at(lr, t) * r**2 / (np.sqrt(v) + eps) * g)
        yield xs[-1]


def d_adapt_adam(x, gradients, lr, betas, eps, d0):
    """Defazio and Mishchenko 2023, D-Adapt Adam, with <g, s> weighed by the v of the step before.

    The factors 1 - sqrt(beta2) of r and s cancel all but one.
    """
    d, r, m, v, s = d0, 0.0, 0 * x, 0 * x, 0 * x
    for t, g in enumerate(gradients, 1):
        b1, b2 = (at(beta, t) for beta in betas)
        rate = d * at(lr, t)
        r = np.sqrt(b2) * r + (1 - np.sqrt(b2)) * rate * np.dot(g, s / (np.sqrt(v) + eps))
        m = b1 * m + (1 - b1) * rate * g
        v = b2 * v + (1 - b2) * g**2
        s = np.sqrt(b2) * s + (1 - np.sqrt(b2)) * rate * g
        d = max(d, r / ((1 - np.sqrt(b2)) * np.linalg.norm(s, 1))) if np.any(s) else d
        x = x - m / (np.sqrt(v) + eps)
        yield x


def prodigy(x, gradients, lr, betas, eps, d0, weight_decay):
    """Mishchenko and Defazio 2023, with decoupled weight decay."""
    x0, d, r, m, v, s = x, d0, 0.0, 0 * x, 0 * x, 0 * x
    for t, g in enumerate(gradients, 1):
        b1, b2 = (at(beta, t) for beta in betas)
        rate = at(lr, t)
        m = b1 * m + (1 - b1) * d * g
        v = b2 * v + (1 - b2) * d**2 * g**2
        r = np.sqrt(b2) * r + (1 - np.sqrt(b2)) * rate * d**2 * np.dot(g, x0 - x)
        s = np.sqrt(b2) * s + (1 - np.sqrt(b2)) * rate * d**2 * g
        x = x - rate * d * at(weight_decay, t) * x
        with np.errstate(invalid="ignore"):  # no gradient yet and no eps
            x = x - np.nan_to_num(rate * d * m / (np.sqrt(v) + d * eps))
        d = max(d, r / np.linalg.norm(s, 1)) if np.any(s) else d
        yield x


BETAS = (0.9, 0.999)

ROWS = {
    optim.DoG: Row(
        {"lr": 1.0, "eps": 1e-8, "r_eps": 1e-6},
        paper=dog,
        cases=({}, {"lr": ROOT, "r_eps": 0.1}),
        descends={"lr": 1.0, "r_eps": 0.1},
        rosenbrock={"lr": 1.0},
        elementwise=False,
    ),
    optim.DoWG: Row(
        {"lr": 1.0, "eps": 1e-4, "r_eps": 1e-2},
        paper=dowg,
        cases=({}, {"lr": ROOT, "r_eps": 0.1, "eps": 1.0}),
        descends={"lr": 1.0, "r_eps": 0.1},
        rosenbrock={"lr": 1.0},
        elementwise=False,
    ),
    optim.DAdaptAdam: Row(
        {"lr": 1.0, "betas": BETAS, "eps": 1e-8, "d0": 1e-6},
        paper=d_adapt_adam,
        cases=({}, {"lr": ROOT, "betas": (half_inverse, half_inverse), "d0": 0.1}),
        descends={"lr": 1.0},
        rosenbrock={"lr": 1.0},
        elementwise=False,
    ),
    optim.Prodigy: Row(
        {"lr": 1.0, "betas": BETAS, "eps": 1e-8, "d0": 1e-6, "weight_decay": 0.0},
        paper=prodigy,
        cases=(
            {},
            {"lr": ROOT, "eps": 1e-2, "weight_decay": 0.1},
            {"betas": (half_inverse, half_inverse), "d0": 0.1, "eps": 0.1, "weight_decay": ROOT},
        ),
        descends={"lr": 1.0},
        rosenbrock={"lr": 1.0},
        elementwise=False,
    ),
}
