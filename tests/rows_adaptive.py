"""Rows of the rules of optim/adaptive.py."""

from rows import Row, gradient

import optim

ROWS = {
    optim.AdaGrad: Row({"lr": 1e-2, "eps": 1e-10}, direction=gradient, descends={"lr": 0.5}),
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
