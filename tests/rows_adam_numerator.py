"""Rows of the rules of optim/rules/numerator.py."""

import numpy as np
import paper_adam as paper
from cases import DECAYING, ROOT, half_inverse
from rows import Row, moment
from rows_adam import ADAM, CASES

import optim

THREE = ({}, {"lr": ROOT, "betas": (0.0, 0.1, 0.5)}, {"lr": ROOT, "betas": (DECAYING, 0.9, 0.99)})

ROWS = {
    optim.QHAdam: Row(
        {"lr": 1e-3, "betas": (0.995, 0.999), "eps": 1e-8, "nus": (0.7, 1.0)},
        paper=paper.qhadam,
        cases=(*CASES, {"nus": (half_inverse, 0.5)}),
    ),
    optim.Grams: Row(
        ADAM,
        paper=paper.grams,
        cases=CASES,
        direction=lambda g, s: np.sign(g) * abs(s["m"]),
    ),
    optim.LaProp: Row(
        {"lr": 4e-4, "betas": (0.9, 0.999), "eps": 1e-15}, paper=paper.laprop, cases=CASES
    ),
    optim.Adan: Row(
        {"lr": 1e-3, "betas": (0.98, 0.92, 0.99), "eps": 1e-8, "weight_decay": 0.0},
        paper=paper.adan,
        cases=(*THREE, {"lr": ROOT, "weight_decay": ROOT}),
        direction=moment,
        metric_steps=1,
    ),
    optim.AdEMAMix: Row(
        {**ADAM, "betas": (0.9, 0.999, 0.9999), "weight_decay": 0.0, "alpha": 5.0},
        paper=paper.ademamix,
        cases=(*THREE, {"lr": ROOT, "weight_decay": ROOT, "alpha": ROOT}),
        direction=lambda g, s: s["m"] + 5.0 * (1 - 0.9) * s["m_slow"],
        metric_steps=1,
    ),
}
