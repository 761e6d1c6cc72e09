"""The rules of optim/rules/descent.py: their rows in the table, and papers in NumPy."""

import numpy as np

import optim
from tests.rules.rows import Row, gradient


def sgdw(x, gradients, lr, momentum, weight_decay, **_):
    """Loshchilov and Hutter 2019, Algorithm 1, with alpha = lr, eta = 1, lambda = lr * decay."""
    m = np.zeros_like(x)
    for g in gradients:
        m = momentum * m + lr * g
        x = x - m - lr * weight_decay * x
        yield x


ROWS = {
    optim.SGD: Row({"lr": 1e-3}, direction=gradient, takes_huge_gradients=True),
    optim.Momentum: Row(
        {"lr": 1e-3, "momentum": 0.9}, direction=lambda g, s: s["b"], takes_huge_gradients=True
    ),
    optim.Nesterov: Row(
        {"lr": 1e-3, "momentum": 0.9},
        direction=lambda g, s: g + 0.9 * s["b"],
        takes_huge_gradients=True,
    ),
    optim.SGDW: Row(
        {"lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-2},
        paper=sgdw,
        cases=({}, {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.1}),
        direction=lambda g, s: s["b"],
        takes_huge_gradients=True,
        moves_at_zero=True,
    ),
    optim.QHM: Row(
        {"lr": 1e-3, "momentum": 0.999, "nu": 0.7},
        direction=lambda g, s: 0.3 * g + 0.7 * s["m"],
        takes_huge_gradients=True,
    ),
    optim.AggMo: Row(
        {"lr": 1e-3, "betas": (0.0, 0.9, 0.99)},
        direction=lambda g, s: s["b0"] + s["b1"] + s["b2"],
        takes_huge_gradients=True,
    ),
    optim.ASGD: Row(
        {"lr": 1e-2, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6},
        takes_huge_gradients=True,
        moves_at_zero=True,
        averages=True,
    ),
    optim.SignSGD: Row({"lr": 1e-3}, direction=lambda g, s: np.sign(g), takes_huge_gradients=True),
    optim.Signum: Row(
        {"lr": 1e-3, "momentum": 0.9},
        direction=lambda g, s: np.sign(s["m"]),
        takes_huge_gradients=True,
    ),
    optim.Lion: Row(
        {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0}, takes_huge_gradients=True
    ),
    optim.Rprop: Row(
        {"lr": 1e-2, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50.0)}, takes_huge_gradients=True
    ),
}
