"""Gamma_t, the change of sqrt(V_t) / alpha_t, which the proof of Adam's convergence needs to be
non-negative: Reddi, Kale and Kumar 2018, equation 2."""

from dataclasses import dataclass
from functools import partial

import numpy as np

import optim
from experiments.experiment import Experiment
from experiments.loops.online import OnlineSettings, OnlineTrial
from experiments.problems.linear import REDDI
from experiments.record.figure import Sheet
from optim.schedules import Power

RULES = (
    optim.Adam,
    optim.AMSGrad,
    optim.AMSGradTorch,
    optim.AMSGradKeras,
    optim.AMSGradOptax,
    optim.LeakyAMSGrad,
)
# One copy each: alpha_t = alpha t^exponent
SCHEDULES = ("constant alpha", "alpha / sqrt(t)")
EXPONENTS = np.array([0, -0.5])


@dataclass(frozen=True, kw_only=True)
class Gamma(OnlineSettings):
    steps: int = 300_000
    betas: tuple[float, float] = (0.9, 0.99)
    rho: float = 0.9999  # of LeakyAMSGrad

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 2:
            raise ValueError(f"steps={self.steps}: give at least 2, since Gamma_t is a change.")


def trials(s):
    makers = {}
    for rule in RULES:
        extra = {"rho": s.rho} if rule is optim.LeakyAMSGrad else {}
        makers[rule.__name__] = partial(
            OnlineTrial,
            REDDI,
            rule,
            steps=s.steps,
            x1=s.x1,
            copies=len(SCHEDULES),
            watch_metric=True,
            lr=Power(s.lr, EXPONENTS),
            betas=s.betas,
            **extra,
        )
    return makers


def share_negative(trace):
    """The share of the increments Gamma_2, ..., Gamma_T that are negative, for each schedule."""
    return trace["gamma_negative"].sum(axis=0) / (trace["t"][-1] - 1)


def draw(traces, s):
    sheet = Sheet(
        f"Gamma_t on f_t(x) = {REDDI}: its range between recorded steps",
        rows=len(SCHEDULES),
        columns=len(RULES),
        note=f"Orange: below 0; above each panel, on what share of {s.steps - 1:,} increments. "
        f"alpha = {s.lr:g}, beta = {s.betas}, rho = {s.rho:g}.",
        size=(2.7, 2.6),
    )
    for row, schedule in enumerate(SCHEDULES):
        peak = 2 * max(np.abs(t["gamma_max"][1:, row]).max() for t in traces.values())
        for column, (label, trace) in enumerate(traces.items()):
            share = share_negative(trace)[row]
            title = f"{label}\n{schedule}: {share:.2%}"
            panel = sheet.panel(row, column, title, "t", "" if column else "Gamma_t")
            low, high = trace["gamma_min"][:, row], trace["gamma_max"][:, row]
            panel.line(label, trace["t"], high)
            panel.line(f"{label}, least", trace["t"], low, style=label)
            panel.axes.fill_between(trace["t"], low, high, color="0.85")
            panel.axes.fill_between(trace["t"], np.minimum(low, 0), 0, color="#D55E00", alpha=0.4)
            panel.axes.axhline(0, color="black", linewidth=0.6)
            panel.axes.set_xscale("log")
            panel.axes.set_yscale("symlog", linthresh=1e-2)
            panel.axes.set_ylim(-peak, peak)
            panel.axes.set_yticks([-1e3, -1e1, -1e-1, 0, 1e-1, 1e1, 1e3])
            panel.axes.minorticks_off()
            if column:
                panel.axes.set_yticklabels([])
    return sheet


def findings(traces, s):
    return [
        f"{label}: of {s.steps - 1:,} increments, Gamma_t < 0 on "
        + " and ".join(
            f"{share:.2%} under {schedule}"
            for schedule, share in zip(SCHEDULES, share_negative(trace), strict=True)
        )
        for label, trace in traces.items()
    ]


EXPERIMENT = Experiment(
    name="gamma",
    summary="how often Gamma_t is negative: Adam, the four AMSGrads, and the leaky one",
    settings=Gamma(),
    quick={"steps": 5_000},
    trials=trials,
    draw=draw,
    findings=findings,
)
