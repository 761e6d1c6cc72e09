"""Rows of the rules of optim/rules/long_memory.py."""

import paper_long_memory
import scalar_rules
from cases import DECAYING, PAPER, ROOT, half_inverse
from rows import Row, moment

import optim
from optim.schedules import Inverse, OneMinusInverse


def rising(t: int) -> float:
    """0.9 (1 - 1/t), from 0."""
    return 0.9 - 0.9 / t


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
    optim.AdamX: Row(
        {"lr": 1e-3, "betas": (Inverse(0.9), 0.999), "eps": 0},
        paper=paper_long_memory.adamx,
        cases=(
            {},
            {"lr": ROOT, "betas": (DECAYING, 0.99)},
            {"lr": 0.1, "betas": (0.5, half_inverse)},
            {"lr": 0.03, "betas": (rising, 0.9), "eps": 0.1},
        ),
        direction=moment,
    ),
    optim.NosAdam: Row(
        {"lr": 1e-3, "beta1": 0.9, "gamma": 0.1, "eps": 0},
        paper=paper_long_memory.nosadam,
        cases=(
            {},
            {"lr": ROOT, "gamma": 1.0},
            {"lr": 0.1, "beta1": DECAYING, "gamma": 0.0},
            {"lr": 0.1, "beta1": 0.5, "gamma": 2.5, "eps": 0.1},
        ),
        direction=moment,
    ),
    optim.AdaX: Row(
        {"lr": 1.5e-3, "betas": (0.9, 1e-4), "eps": 1e-12},
        paper=paper_long_memory.adax,
        cases=(
            {},
            {"lr": ROOT, "betas": (0.5, 0.01)},
            {"lr": 0.1, "betas": (0.0, 0.9), "eps": 0.1},
        ),
        direction=moment,
    ),
}
