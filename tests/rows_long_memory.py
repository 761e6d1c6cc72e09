"""Rows of the rules of optim/long_memory.py."""

import scalar_rules
from cases import DECAYING, PAPER, ROOT, half_inverse
from rows import Row, moment

import optim
from optim.schedules import OneMinusInverse

ROWS = {
    optim.AdamNC: Row(
        {"lr": 1e-3, "betas": (0.9, OneMinusInverse()), "eps": 0},
        scalar=scalar_rules.adam,
        cases=({}, {"lr": ROOT}, {"lr": ROOT, "betas": (DECAYING, OneMinusInverse())}),
        direction=moment,
    ),
    optim.AMSGrad: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 0},
        scalar=scalar_rules.amsgrad,
        cases=PAPER,
        direction=moment,
    ),
    optim.AMSGradTorch: Row({"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}, direction=moment),
    optim.AMSGradKeras: Row({"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-7}, direction=moment),
    optim.AMSGradOptax: Row({"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}, direction=moment),
    optim.LeakyAMSGrad: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 0, "rho": 0.9999},
        scalar=scalar_rules.amsgrad,
        cases=tuple(
            {**case, "rho": rho} for case in PAPER for rho in (0.9999, 0.995, half_inverse)
        ),
        direction=moment,
    ),
}
