"""Findings again in Python's decimal with 50 digits, from the trace of the rule: no rounding."""

from typing import Any

import numpy as np

from experiments.hunt.drift import Frozen
from experiments.hunt.hunted import Hunted
from experiments.hunt.problems import as_slopes
from optim.engine.exact import Exact

DIGITS, PERIODS = 50, 20
AGREE = 1e-6  # share by which the drift may differ from that in float64
CLOSE = 1e-9  # by which x may


def exact_drift(hunted: Hunted, problem: Any, t: int) -> float | None:
    """D(t) as the mean of 20 periods in 50 digits, which go on from the state that stands still in
    float64; None for a rule that sees more than a coordinate, which has no trace."""
    if not hunted.traced:
        return None
    frozen = Frozen(hunted, as_slopes([problem]), t)
    frozen.settle()
    frozen.params.data[...] = 0.0
    exact = Exact(frozen.opt, digits=DIGITS)
    for g in problem.one_period.tolist() * PERIODS:
        exact.step(g, t)
    return float(exact.arrays["p"]) / PERIODS / frozen.lr


def exact_start(hunted: Hunted, problem: Any, x1: float) -> float | None:
    """By how much x differs at most from that in float64 in the first 20 periods of a run."""
    if not hunted.traced:
        return None
    opt, params = hunted.built(np.full(1, x1), float(problem.rms), boxed=True)
    exact = Exact(opt, digits=DIGITS)
    steps = PERIODS * getattr(problem, "period", 100)
    slopes = problem.slopes(1, steps + 1)[:, :1]
    played = np.append(opt.play(slopes)[1:, 0], params.data[0])
    off = 0.0
    for t, (g, x) in enumerate(zip(slopes[:, 0].tolist(), played.tolist(), strict=True), 1):
        exact.step(g, t)
        off = max(off, abs(float(exact.arrays["p"]) - x))
    return off
