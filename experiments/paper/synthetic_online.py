"""Figure 1, left and centre, of Reddi, Kale and Kumar 2018: Adam climbs to the worst point of an
online convex problem, and AMSGrad descends to the best one."""

from dataclasses import dataclass
from functools import partial

import optim
from experiments.experiment import Experiment
from experiments.loops.online import OnlineSettings, OnlineTrial
from experiments.problems.linear import REDDI
from experiments.record.figure import Sheet
from optim.schedules import InverseSqrt

WORST = 20 / 101  # the average regret of staying at x = +1: twice the mean slope, 10/101


@dataclass(frozen=True, kw_only=True)
class Online(OnlineSettings):
    steps: int = 300_000
    sgd_lr: float = 0.005  # at 0.5 the regret of SGD leaves the plot
    betas: tuple[float, float] = (0.9, 0.99)


def trials(s):
    lr = InverseSqrt(s.lr)
    adam = {"lr": lr, "betas": s.betas}
    rules = {
        "SGD": (optim.SGD, {"lr": InverseSqrt(s.sgd_lr)}),
        # dividing by the root of a sum, not of the paper's mean, makes a constant lr fall so too
        "AdaGrad": (optim.AdaGrad, {"lr": s.lr}),
        "Adam": (optim.Adam, adam),
        "PaperAdam": (optim.PaperAdam, adam),
        "AMSGrad": (optim.AMSGrad, adam),
        "AdamNC": (optim.AdamNC, {"lr": lr, "betas": (s.betas[0], optim.AdamNC.betas[1])}),
    }
    return {
        label: partial(OnlineTrial, REDDI, rule, steps=s.steps, x1=s.x1, **hyperparameters)
        for label, (rule, hyperparameters) in rules.items()
    }


def draw(traces, s):
    sheet = Sheet(
        f"f_t(x) = {REDDI}, on [-1, 1]",
        rows=1,
        columns=2,
        note=f"alpha_t = {s.lr:g}/sqrt(t), for SGD {s.sgd_lr:g}/sqrt(t); beta = {s.betas}",
    )
    regret = sheet.panel(0, 0, "average regret R_t / t", "t", "R_t / t")
    played = sheet.panel(0, 1, "the point played, x_t", "t", "x_t")
    for label, trace in traces.items():
        regret.line(label, trace["t"], trace["average_regret"][:, 0])
        played.line(label, trace["t"], trace["x"][:, 0])
    regret.limit(0, "0: no regret")
    regret.limit(WORST, "20/101: staying at x = +1")
    played.limit(-1, "the best point, -1")
    played.limit(1, "the worst point, +1")
    for panel in (regret, played):
        panel.axes.set_xscale("log")
    played.axes.set_ylim(-1.15, 1.15)
    regret.axes.set_ylim(-0.05, 1)
    # f_1 has slope 1010, which keeps every average off the plot for so long
    regret.axes.set_xlim(left=min(2000, s.steps / 2))
    sheet.legend(regret)
    return sheet


def findings(traces, s):
    def verdict(x):
        return "near the worst point" if x > 0.9 else "near the best" if x < -0.9 else "between"

    return [
        f"{label} ends at x = {(x := trace['x'][-1, 0]):+.3f}, {verdict(x)}; "
        f"R_T/T = {trace['average_regret'][-1, 0]:.3f}"
        for label, trace in traces.items()
    ]


EXPERIMENT = Experiment(
    name="synthetic-online",
    summary="regret and the point played, under six rules (Figure 1, online)",
    settings=Online(),
    quick={"steps": 5_000},
    trials=trials,
    draw=draw,
    findings=findings,
)
