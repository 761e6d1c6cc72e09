"""Rows of the rules of optim/rules/adamw_per_tensor.py."""

import paper_long_memory
from cases import ROOT
from rows import Row, moment

import optim

CASES = (
    {},
    {"lr": ROOT, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1},
    {"lr": 0.01, "betas": (0.0, 0.99), "eps": 0.1, "weight_decay": 0.0},
)

ROWS = {
    optim.CautiousAdamW: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2},
        paper=paper_long_memory.cautious_adamw,
        cases=CASES,
        elementwise=False,
        moves_at_zero=True,
        descends={"lr": 0.1, "weight_decay": 0.0},
    ),
    optim.MARS: Row(
        {
            "lr": 3e-3,
            "betas": (0.95, 0.99),
            "eps": 1e-8,
            "weight_decay": 0.0,
            "gamma": 0.025,
        },
        paper=paper_long_memory.mars,
        cases=(*CASES, {"lr": 0.1, "gamma": 0.5}),
        direction=moment,
        elementwise=False,
    ),
}
