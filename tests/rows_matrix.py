"""Rows of the rules of optim/rules/matrix.py."""

import paper_shaped
from rows import Row

import optim

ROWS = {
    optim.Shampoo: Row(
        {"lr": 0.1, "eps": 1e-4},
        paper=paper_shaped.shampoo,
        cases=({}, {"lr": 1.0, "eps": 1.0}, {"eps": 1e-2}),
        tolerance=1e-11,  # eigenvalues that spread over ten decades lose digits in any method
        descends={"lr": 1.0},
        elementwise=False,
    ),
    optim.SOAP: Row(
        {
            "lr": 3e-3,
            "betas": (0.95, 0.95),
            "eps": 1e-8,
            "weight_decay": 1e-2,
            "precondition_frequency": 10,
        },
        moves_at_zero=True,
        descends={"lr": 0.1, "weight_decay": 0.0},
        elementwise=False,
    ),
    optim.Muon: Row(
        {
            "lr": 1e-3,
            "betas": (0.9, 0.999),
            "eps": 1e-7,
            "weight_decay": 0.1,
            "momentum": 0.95,
        },
        paper=paper_shaped.muon,
        cases=(
            {},
            {"lr": 0.02, "momentum": 0.5, "weight_decay": 0.0},
            {"lr": 0.1, "betas": (0.5, 0.9), "eps": 0.1},
        ),
        moves_at_zero=True,
        descends={"lr": 0.1, "weight_decay": 0.0},
        elementwise=False,
    ),
}
