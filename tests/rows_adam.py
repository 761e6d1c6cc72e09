"""Rows of the rules of optim/rules/adam.py."""

import paper_adam as paper
import scalar_rules
from cases import DECAYING, PAPER, ROOT, half_inverse
from rows import Row, moment

import optim

ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}
NADAM = {**ADAM, "lr": 2e-3, "momentum_decay": 4e-3}
SCHEDULED = {"lr": ROOT, "betas": (DECAYING, half_inverse)}
CASES = ({}, {"lr": ROOT, "betas": (0.0, 0.1), "eps": 0.1}, SCHEDULED)


def nadam_at_first(g, state):
    """NAdam's direction at t = 1, by its defaults, where lr corrects m."""
    mu, mu_next = (0.9 * (1 - 0.5 * 0.96 ** (t * 4e-3)) for t in (1, 2))
    return (1 - mu) * (g + mu_next * state["m"] / (1 - mu * mu_next))


ROWS = {
    optim.Adam: Row(ADAM, scalar=scalar_rules.corrected_adam, cases=PAPER, direction=moment),
    optim.PaperAdam: Row(
        {**ADAM, "eps": 0}, scalar=scalar_rules.adam, cases=PAPER, direction=moment
    ),
    optim.AdamW: Row(
        {**ADAM, "weight_decay": 1e-2},
        paper=paper.adamw,
        cases=(*CASES, {"lr": ROOT, "weight_decay": ROOT}),
        direction=moment,
        moves_at_zero=True,
        descends={"lr": 0.1, "weight_decay": 0.0},
    ),
    optim.AdaMax: Row(
        {**ADAM, "lr": 2e-3},
        paper=paper.adamax,
        cases=CASES,
        direction=moment,
        takes_huge_gradients=True,
    ),
    optim.NAdam: Row(
        NADAM, paper=paper.nadamw, cases=CASES, direction=nadam_at_first, metric_steps=1
    ),
    optim.NAdamW: Row(
        {**NADAM, "weight_decay": 1e-2},
        paper=paper.nadamw,
        cases=(*CASES, {"weight_decay": ROOT, "momentum_decay": ROOT}),
        direction=nadam_at_first,
        metric_steps=1,
        moves_at_zero=True,
        descends={"lr": 0.1, "weight_decay": 0.0},
    ),
    optim.RAdam: Row(ADAM, paper=paper.radam, cases=CASES, direction=moment),
}
