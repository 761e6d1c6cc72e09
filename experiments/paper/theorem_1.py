"""Theorem 1 of Reddi, Kale and Kumar 2018: with beta1 = 0 and beta2 = 1 / (1 + C^2), Adam's
average regret stays above (2C - 4) / 3 on f_t(x) = Cx if t mod 3 = 1, else -x.

The theorem starts from x_1 = 1. From 0 the first steps cost less, which a short trial cannot make
up.
"""

from dataclasses import dataclass
from functools import partial
from math import inf

import numpy as np

import optim
from experiments.experiment import Experiment
from experiments.loops.online import OnlineSettings, OnlineTrial
from experiments.problems.linear import Periodic
from experiments.record.figure import Sheet
from optim.schedules import InverseSqrt


@dataclass(frozen=True, kw_only=True)
class Theorem1(OnlineSettings):
    steps: int = 30_000
    c: tuple[float, ...] = (2.1, 2.25, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(2 < c < inf for c in self.c):
            raise ValueError(f"c={self.c}: give numbers above 2, for which -1 is the best point.")


def trials(s):
    c = np.array(s.c)
    return {
        label: partial(
            OnlineTrial,
            Periodic(large=c, small=1, period=3),
            rule,
            steps=s.steps,
            x1=s.x1,
            copies=len(c),
            lr=InverseSqrt(s.lr),
            betas=(0.0, 1 / (1 + c**2)),
        )
        for label, rule in {"PaperAdam": optim.PaperAdam, "AMSGrad": optim.AMSGrad}.items()
    }


def bound(c):
    return (2 * np.array(c) - 4) / 3


def draw(traces, s):
    sheet = Sheet(
        "f_t(x) = Cx if t mod 3 = 1, else -x, on [-1, 1]: beta1 = 0, beta2 = 1/(1 + C^2), "
        f"{s.steps:,} steps",
        rows=1,
        columns=2,
    )
    ends = sheet.panel(0, 0, "the point played at the end, x_T", "C", "x_T")
    regret = sheet.panel(0, 1, "average regret R_T / T", "C", "R_T / T")
    for label, trace in traces.items():
        ends.line(label, s.c, trace["x"][-1], marker="o", markersize=3)
        regret.line(label, s.c, trace["average_regret"][-1], marker="o", markersize=3)
    regret.line("(2C - 4) / 3, the bound", s.c, bound(s.c), style="SGD", linewidth=1.0)
    ends.axes.set_ylim(-1.2, 1.2)
    ends.limit(-1, "the best point, -1")
    ends.limit(1, "the worst point, +1")
    sheet.legend(regret)
    return sheet


def findings(traces, s):
    lines = []
    for label, trace in traces.items():
        x, average = trace["x"][-1], trace["average_regret"][-1]
        lines.append(
            f"{label} ends at x = {x.min():+.3f} to {x.max():+.3f} for C = {s.c[0]:g} to "
            f"{s.c[-1]:g}; R_T/T = {average[0]:.4f} to {average[-1]:.4f}, above (2C - 4)/3 for "
            f"{(average >= bound(s.c)).sum()} of {len(s.c)} C"
        )
    return lines


EXPERIMENT = Experiment(
    name="theorem-1",
    summary="the average regret of Adam and AMSGrad against C, with its bound (Theorem 1)",
    settings=Theorem1(),
    quick={},  # it takes seconds as it is
    trials=trials,
    draw=draw,
    findings=findings,
)
