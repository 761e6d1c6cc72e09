"""Rows of the rules of optim/rules/parameter_free.py."""

import paper_parameter_free as paper
from cases import ROOT, half_inverse
from rows import Row

import optim

BETAS = (0.9, 0.999)

ROWS = {
    optim.DoG: Row(
        {"lr": 1.0, "eps": 1e-8, "r_eps": 1e-6},
        paper=paper.dog,
        cases=({}, {"lr": ROOT, "r_eps": 0.1}),
        descends={"lr": 1.0, "r_eps": 0.1},
        rosenbrock={"lr": 1.0},
        elementwise=False,
    ),
    optim.DoWG: Row(
        {"lr": 1.0, "eps": 1e-4, "r_eps": 1e-2},
        paper=paper.dowg,
        cases=({}, {"lr": ROOT, "r_eps": 0.1, "eps": 1.0}),
        descends={"lr": 1.0, "r_eps": 0.1},
        rosenbrock={"lr": 1.0},
        elementwise=False,
    ),
    optim.DAdaptAdam: Row(
        {"lr": 1.0, "betas": BETAS, "eps": 1e-8, "d0": 1e-6},
        paper=paper.d_adapt_adam,
        cases=({}, {"lr": ROOT, "betas": (half_inverse, half_inverse), "d0": 0.1}),
        descends={"lr": 1.0},
        rosenbrock={"lr": 1.0},
        elementwise=False,
    ),
    optim.Prodigy: Row(
        {"lr": 1.0, "betas": BETAS, "eps": 1e-8, "d0": 1e-6, "weight_decay": 0.0},
        paper=paper.prodigy,
        cases=(
            {},
            {"lr": ROOT, "eps": 1e-2, "weight_decay": 0.1},
            {"betas": (half_inverse, half_inverse), "d0": 0.1, "eps": 0.1, "weight_decay": ROOT},
        ),
        descends={"lr": 1.0},
        rosenbrock={"lr": 1.0},
        elementwise=False,
    ),
}
