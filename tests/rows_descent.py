"""Rows of the rules of optim/descent.py."""

from rows import Row, gradient

import optim

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
}
