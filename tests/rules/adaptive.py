"""The rules of optim/rules/adaptive.py: their rows in the table, and papers in NumPy."""

import numpy as np

import optim
from optim.schedules import InverseSqrt
from tests.rules.formulas import at
from tests.rules.rows import Row, gradient


def adagrad_norm(x, gradients, lr, eps, **_):
    """Ward, Wu and Bottou 2019, from b_0 = 0; eps as in AdaGrad."""
    norms = []
    for t, g in enumerate(gradients, 1):
        norms.append(np.linalg.norm(g))
        if any(norms):
            x = x - at(lr, t) * g / (np.linalg.norm(norms) + eps)
        yield x


def ftrl(x, gradients, lr, eps, l1, l2, **_):
    """McMahan et al. 2013, equation 1: the minimum over x of
    sum of g_s x + sum of sigma_s (x - x_s)^2 / 2 + l1 |x| + l2 x^2 / 2,
    in which sigma_1 + ... + sigma_t = 1 / eta_t = (beta + sqrt(sum of g_s^2)) / lr.
    """
    eps = eps or np.finfo(float).tiny ** 0.5
    points, sums = [x], [np.zeros_like(x)]
    for t in range(1, len(gradients) + 1):
        g = np.array(gradients[:t])
        sums.append((eps + np.sqrt(np.sum(g * g, axis=0))) / at(lr, t))
        sigma = np.diff(sums, axis=0)
        linear = np.sum(g - sigma * np.array(points), axis=0)
        slack = np.abs(linear) - l1
        points.append(np.where(slack > 0, -np.sign(linear) * slack / (sums[-1] + l2), 0))
        yield points[-1]


ROWS = {
    optim.AdaGrad: Row({"lr": 1e-2, "eps": 1e-10}, direction=gradient, descends={"lr": 0.5}),
    optim.AdaGradNorm: Row(
        {"lr": 1e-2, "eps": 1e-10},
        paper=adagrad_norm,
        cases=({}, {"lr": 1.0, "eps": 0}, {"lr": InverseSqrt(0.5), "eps": 0.1}),
        direction=gradient,
        descends={"lr": 5.0},
        elementwise=False,
    ),
    optim.FTRL: Row(
        {"lr": 1e-2, "eps": 1.0, "l1": 0.0, "l2": 0.0},
        paper=ftrl,
        cases=(
            {},
            {"lr": 0.1, "eps": 0},
            {"lr": 0.5, "eps": 0.1, "l1": 3.0, "l2": 0.5},
            {"lr": InverseSqrt(0.5), "l1": 0.1},
        ),
        direction=gradient,
        descends={"lr": 0.5},
        moves_at_zero=True,  # penalties apply, and rounding
    ),
    optim.RMSProp: Row({"lr": 1e-2, "alpha": 0.99, "eps": 1e-8}, direction=gradient),
    optim.RMSPropMomentum: Row(
        {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "momentum": 0.9},
        direction=gradient,
        metric_steps=1,
    ),
    optim.CenteredRMSProp: Row({"lr": 1e-2, "alpha": 0.99, "eps": 1e-8}, direction=gradient),
    optim.Adadelta: Row(
        {"lr": 1.0, "rho": 0.9, "eps": 1e-6},
        descends={"lr": 30.0},
        rosenbrock={"lr": 5.0},
    ),
}
