"""Rows of the rules of optim/rules/denominator.py."""

from functools import partial

import paper_adam as paper
from cases import ROOT
from rows import Row, moment
from rows_adam import ADAM, CASES

import optim

BOUNDED = {**ADAM, "final_lr": 0.1, "gamma": 1e-3}
BOUNDS = (*CASES, {"final_lr": ROOT, "gamma": 0.5})

ROWS = {
    optim.Yogi: Row(
        {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-3},
        paper=paper.yogi,
        cases=CASES,
        direction=moment,
    ),
    optim.AdaBelief: Row(
        {**ADAM, "eps": 1e-16}, paper=paper.adabelief, cases=CASES, direction=moment
    ),
    optim.AdaBound: Row(BOUNDED, paper=paper.adabound, cases=BOUNDS, direction=moment),
    optim.AMSBound: Row(
        BOUNDED,
        paper=partial(paper.adabound, amsbound=True),
        cases=BOUNDS,
        direction=moment,
    ),
    optim.Padam: Row(
        {"lr": 0.1, "betas": (0.9, 0.999), "eps": 0, "partial": 0.125},
        paper=paper.padam,
        cases=(*CASES, {"partial": 0.5}, {"partial": ROOT}),
        direction=moment,
    ),
}
