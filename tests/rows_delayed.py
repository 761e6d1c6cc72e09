"""Rows of the rules of optim/rules/delayed.py."""

import paper_long_memory
from cases import DECAYING, ROOT
from rows import Row, moment

import optim

CASES = (
    {},
    {"lr": ROOT, "betas": (0.5, 0.9), "eps": 1e-3},
    {"lr": 0.01, "betas": (0.0, 0.99), "eps": 0.1},
)
SHIFTED = (
    *CASES,
    {"lr": 0.1, "delay": 1},
    {"lr": 0.01, "betas": (DECAYING, 0.99)},
    {"lr": ROOT, "delay": 7, "betas": (0.99, 0.0), "eps": 1e-3},
)

ROWS = {
    optim.ADOPT: Row(
        {"lr": 1e-3, "betas": (0.9, 0.9999), "eps": 1e-6},
        paper=paper_long_memory.adopt,
        cases=CASES,
    ),
    optim.ACProp: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-16},
        paper=paper_long_memory.acprop,
        cases=CASES,
    ),
    optim.AvaGrad: Row(
        {"lr": 0.1, "betas": (0.9, 0.999), "eps": 0.1},
        paper=paper_long_memory.avagrad,
        cases=CASES,
        elementwise=False,
    ),
    optim.AdaShift: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-10, "delay": 10},
        paper=paper_long_memory.adashift,
        cases=SHIFTED,
        direction=moment,
        elementwise=False,
        takes_huge_gradients=True,  # they are squared later
        idle=("v",),
    ),
    optim.MaxAdaShift: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-10, "delay": 10},
        paper=paper_long_memory.max_adashift,
        cases=SHIFTED,
        elementwise=False,
        takes_huge_gradients=True,  # they are squared later
        idle=("v",),
    ),
}
