"""Rows of the rules of optim/rules/adaptive.py."""

import paper_descent as paper
from rows import Row, gradient

import optim
from optim.schedules import InverseSqrt

ROWS = {
    optim.AdaGrad: Row({"lr": 1e-2, "eps": 1e-10}, direction=gradient, descends={"lr": 0.5}),
    optim.AdaGradNorm: Row(
        {"lr": 1e-2, "eps": 1e-10},
        paper=paper.adagrad_norm,
        cases=({}, {"lr": 1.0, "eps": 0}, {"lr": InverseSqrt(0.5), "eps": 0.1}),
        direction=gradient,
        descends={"lr": 5.0},
        elementwise=False,
    ),
    optim.FTRL: Row(
        {"lr": 1e-2, "eps": 1.0, "l1": 0.0, "l2": 0.0},
        paper=paper.ftrl,
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
    optim.CenteredRMSProp: Row(
        {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8}, direction=gradient, tiny={"lr": 1e-3}
    ),
    optim.Adadelta: Row(
        {"lr": 1.0, "rho": 0.9, "eps": 1e-6},
        tiny={"lr": 1e-3},
        descends={"lr": 30.0},
        rosenbrock={"lr": 5.0},
    ),
}
