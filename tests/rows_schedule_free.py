"""Rows of the rules of optim/rules/schedule_free.py."""

import paper_parameter_free as paper
from cases import DECAYING, ROOT, half_inverse
from rows import Row

import optim
from optim import Box
from optim.schedules import Constant, WarmUp

RISING = WarmUp(20, Constant(0.3))
BOX = Box(-0.5, 0.8)

ROWS = {
    optim.ScheduleFreeSGD: Row(
        {"lr": 1.0, "momentum": 0.9},
        paper=paper.schedule_free_sgd,
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
        paper=paper.schedule_free_adamw,
        cases=(
            {},
            {"lr": RISING, "betas": (0.98, 0.9), "weight_decay": 0.1},
            {"lr": ROOT, "betas": (DECAYING, half_inverse), "eps": 0.1, "weight_decay": ROOT},
            {"lr": RISING, "betas": (0.0, 0.99), "weight_decay": 0.1, "projection": BOX},
        ),
        averages=True,
    ),
}
