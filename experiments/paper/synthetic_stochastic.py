"""Figure 1, right, of Reddi, Kale and Kumar 2018: the same problem with random spikes, over many
seeds. AMSGrad is slow here: the mean slope, 0.2, is small beside sqrt(v_max), which spikes make."""

from dataclasses import dataclass
from functools import partial

import numpy as np

import optim
from experiments.experiment import Experiment
from experiments.loops.online import OnlineSettings, OnlineTrial
from experiments.problems.linear import REDDI, Stochastic
from experiments.record.figure import Sheet
from optim.schedules import InverseSqrt


@dataclass(frozen=True, kw_only=True)
class Random(OnlineSettings):
    steps: int = 1_000_000
    seeds: int = 100
    seed: int = 0
    lr: float = 1.0
    betas: tuple[float, float] = (0.9, 0.99)
    probability: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.probability <= 1 or problem(self).mean <= 0:
            least = REDDI.small / (REDDI.small + REDDI.large)
            raise ValueError(
                f"probability={self.probability}: give one above {least:.4f}, for which -1 is the "
                "best point, and up to 1."
            )


def problem(s):
    return Stochastic(REDDI.large, REDDI.small, s.probability, s.seeds, s.seed)


def trials(s):
    return {
        label: partial(
            OnlineTrial,
            problem(s),
            rule,
            steps=s.steps,
            x1=s.x1,
            copies=s.seeds,
            lr=InverseSqrt(s.lr),
            betas=s.betas,
        )
        for label, rule in {"PaperAdam": optim.PaperAdam, "AMSGrad": optim.AMSGrad}.items()
    }


def draw(traces, s):
    mean = problem(s).mean
    sheet = Sheet(
        f"slope 1010 with probability {s.probability:g}, else -10, on [-1, 1]: "
        f"median and 10-90 % of {s.seeds} seeds",
        rows=1,
        columns=2,
        note=f"alpha_t = {s.lr:g}/sqrt(t), beta = {s.betas}. "
        f"AMSGrad is slow where spikes make sqrt(v_max) large beside the mean slope, {mean:.2g}.",
    )
    played = sheet.panel(0, 0, "the point played, x_t", "t", "x_t")
    regret = sheet.panel(0, 1, f"average expected regret, of {mean:.2g} (x_t + 1)", "t", "R_t / t")
    for label, trace in traces.items():
        for panel, values in ((played, trace["x"]), (regret, trace["average_regret"])):
            low, median, high = np.percentile(values, [10, 50, 90], axis=1)
            panel.line(label, trace["t"], median, low, high)
            panel.axes.set_xscale("log")
    played.axes.set_ylim(-1.2, 1.2)
    regret.axes.set_ylim(-0.1 * mean, 2.2 * mean)
    played.limit(-1, "the best point, -1")
    played.limit(1, "the worst point, +1")
    regret.limit(0, "0: no regret")
    regret.limit(2 * mean, f"{2 * mean:.2g}: staying at x = +1")
    sheet.legend(played)
    return sheet


def findings(traces, s):
    lines = []
    for label, trace in traces.items():
        low, median, high = np.percentile(trace["x"][-1], [10, 50, 90])
        lines.append(
            f"{label} ends at x = {median:+.3f} (median of {s.seeds} seeds; 10-90 %: "
            f"{low:+.3f} to {high:+.3f}); median R_T/T = "
            f"{np.median(trace['average_regret'][-1]):.3f}"
        )
    return lines


EXPERIMENT = Experiment(
    name="synthetic-stochastic",
    summary="the same with random spikes, over many seeds (Figure 1, stochastic)",
    settings=Random(),
    quick={"steps": 5_000},
    trials=trials,
    draw=draw,
    findings=findings,
)
