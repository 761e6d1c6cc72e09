"""The rules of optim/rules/schedule_free.py: their rows in the table, and papers in NumPy."""

import numpy as np

import optim
from optim import Box
from optim.schedules import Constant, WarmUp
from tests.rules.cases import DECAYING, ROOT, half_inverse
from tests.rules.formulas import at
from tests.rules.rows import Row


def average(zs, rates):
    """Of z_2, z_3, ..., each weighing as the square of the largest rate so far."""
    return np.average(zs, axis=0, weights=np.maximum.accumulate(rates) ** 2)


def schedule_free_sgd(x, gradients, lr, momentum, projection=None):
    """Defazio et al. 2024, equations 3 to 5, with the weights of their package."""
    z, zs, rates = x, [], []
    for t, g in enumerate(gradients, 1):
        rates.append(at(lr, t))
        z = z - rates[-1] * g
        z = np.clip(z, projection.lo, projection.hi) if projection else z
        zs.append(z)
        beta = at(momentum, t)
        yield (1 - beta) * z + beta * average(zs, rates)


def schedule_free_adamw(x, gradients, lr, betas, eps, weight_decay, projection=None):
    """Defazio et al. 2024, Algorithm 1, with the bias correction and weights of their package."""
    y, z, zs, rates, v, product = x, x, [], [], 0 * x, 1.0
    for t, g in enumerate(gradients, 1):
        b1, b2 = (at(beta, t) for beta in betas)
        rates.append(at(lr, t))
        product = product * b2
        v = b2 * v + (1 - b2) * g**2
        z = z - rates[-1] * (g / (np.sqrt(v / (1 - product)) + eps) + at(weight_decay, t) * y)
        z = np.clip(z, projection.lo, projection.hi) if projection else z
        zs.append(z)
        y = (1 - b1) * z + b1 * average(zs, rates)
        yield y


RISING = WarmUp(20, Constant(0.3))
BOX = Box(-0.5, 0.8)

ROWS = {
    optim.ScheduleFreeSGD: Row(
        {"lr": 1.0, "momentum": 0.9},
        paper=schedule_free_sgd,
        cases=(
            {},
            {"lr": RISING, "momentum": 0.98},
            {"lr": ROOT, "momentum": 0.0},
            {"lr": RISING, "momentum": DECAYING, "projection": BOX},
        ),
        takes_huge_gradients=True,
        averages=True,
    ),
    optim.ScheduleFreeAdamW: Row(
        {"lr": 2.5e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
        paper=schedule_free_adamw,
        cases=(
            {},
            {"lr": RISING, "betas": (0.98, 0.9), "weight_decay": 0.1},
            {"lr": ROOT, "betas": (DECAYING, half_inverse), "eps": 0.1, "weight_decay": ROOT},
            {"lr": RISING, "betas": (0.0, 0.99), "weight_decay": 0.1, "projection": BOX},
        ),
        averages=True,
    ),
}
