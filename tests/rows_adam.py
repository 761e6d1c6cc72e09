"""Rows of the rules of optim/adam.py."""

import scalar_rules
from cases import PAPER
from rows import Row, moment

import optim

ROWS = {
    optim.Adam: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8},
        scalar=scalar_rules.corrected_adam,
        cases=PAPER,
        direction=moment,
    ),
    optim.PaperAdam: Row(
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 0},
        scalar=scalar_rules.adam,
        cases=PAPER,
        direction=moment,
    ),
}
