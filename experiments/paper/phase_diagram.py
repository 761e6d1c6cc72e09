"""Which (beta1, beta2) take Adam to the worst point: by the drift of a period, known in closed
form, and by a million steps of each.

Theorem 2 of Reddi, Kale and Kumar 2018 has a bad problem for every beta1 < sqrt(beta2); any one
problem is bad for only some of them, as Zhang et al. 2022 point out.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from experiments.experiment import Experiment
from experiments.loops import replay
from experiments.loops.online import OnlineSettings
from experiments.loops.replay import Replay
from experiments.problems.linear import REDDI, Periodic
from experiments.record.figure import Sheet
from optim.schedules import InverseSqrt

BETA1 = 1 - np.geomspace(1, 1e-4, 121)
BETA2 = 1 - np.geomspace(1, 1e-6, 181)
TO_BEST, TO_WORST = "#0072B2", "#D55E00"  # the colours of AMSGrad and Adam


@dataclass(frozen=True, kw_only=True)
class Phase(OnlineSettings):
    steps: int = 1_000_000
    lr: float = 5.0  # a small drift takes long to show
    beta1: tuple[float, ...] = (0.0, 0.5, 0.9, 0.99, 0.997, 0.999)
    # 1 - beta2 falls by a factor of sqrt(10) each time
    beta2: tuple[float, ...] = (0.0, 0.684, 0.9, 0.968, 0.99, 0.9968, 0.999, 0.99968, 0.9999)
    periods: tuple[int, ...] = (4, 10, 30, 100, 300)  # of Theorem 2's problem

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("beta1", "beta2"):
            if not all(0 <= beta < 1 for beta in getattr(self, name)):
                raise ValueError(f"{name}={getattr(self, name)}: give numbers in [0, 1).")
        if not all(3 <= period <= 1000 for period in self.periods):
            raise ValueError(f"periods={self.periods}: give numbers from 3 to 1000.")


def drift(problem, betas, rho=0.0):
    """How far x moves in a period once the moments are periodic too, in units of alpha.

    This is for LeakyAMSGrad: rho = 0 is Adam (with bias correction or without), rho = 1 AMSGrad.
    As alpha falls, x goes to +1 where the drift is positive and to -1 where it is negative. The
    betas may be arrays.
    """
    beta1, beta2 = (np.asarray(beta, dtype=float)[..., None] for beta in betas)
    large, small = problem.large, problem.small
    age = np.arange(problem.period)  # steps since the spike

    def mean(beta, usual, spike):
        """The running mean of a sequence that is `usual` except at spikes."""
        return usual + (spike - usual) * (1 - beta) * beta**age / (1 - beta**problem.period)

    m, v = mean(beta1, -small, large), mean(beta2, small**2, large**2)
    v_max = np.maximum(rho**age * v[..., :1], v)
    return -np.sum(m / np.sqrt(v_max), axis=-1)


def theorem_2(period):
    """f_t(x) = Cx if t mod C = 1, else -x."""
    return Periodic(large=period, small=1, period=period)


def grid(s):
    """The betas of all copies: each beta1 with each beta2."""
    return tuple(beta.ravel() for beta in np.meshgrid(s.beta1, s.beta2))


def trials(s):
    betas = grid(s)
    return {
        label: partial(
            Replay,
            REDDI,
            rule,
            steps=s.steps,
            x1=s.x1,
            copies=len(betas[0]),
            lr=InverseSqrt(s.lr),
            betas=betas,
        )
        for label, rule in {"PaperAdam": replay.paper_adam, "AMSGrad": replay.amsgrad}.items()
    }


def draw(traces, s):
    sheet = Sheet(
        "Where Adam drifts to: inside to +1, the worst point; outside to -1, the best",
        rows=1,
        columns=2,
        note=f"Dots: after {s.steps:,} steps of {s.lr:g}/sqrt(t), x is above 0.9 (orange), below "
        "-0.9 (blue), between (white). AMSGrad drifts to -1 at any betas.",
        size=(4.8, 4.0),
    )
    one = sheet.panel(0, 0, str(REDDI), "1 - beta1", "1 - beta2")
    family = sheet.panel(0, 1, "Cx if t mod C = 1, else -x", "1 - beta1", "1 - beta2")
    signs = drift(REDDI, (BETA1, BETA2[:, None]))
    one.axes.contourf(
        1 - BETA1, 1 - BETA2, signs, [-np.inf, 0, np.inf], colors=[TO_BEST, TO_WORST], alpha=0.2
    )
    boundary(one, "drift 0", REDDI, color="black")
    x = traces["PaperAdam"]["x"][-1]
    ends = {"to +1": (x > 0.9, TO_WORST), "to -1": (x < -0.9, TO_BEST)}
    ends["between"] = (np.abs(x) <= 0.9, "white")
    for label, (there, color) in ends.items():
        points = (1 - beta[there] for beta in grid(s))
        marker = {"marker": "o", "markerfacecolor": color, "markeredgecolor": "black"}
        one.line(label, *points, style="PaperAdam", linestyle="none", markersize=5, **marker)
    for i, period in enumerate(s.periods):
        shade = str(0.75 * (1 - i / len(s.periods)))
        boundary(family, f"C = {period}", theorem_2(period), color=shade)
    for panel in (one, family):
        label = "beta1 = sqrt(beta2); Theorem 2 takes any betas above"
        panel.line(label, 1 - np.sqrt(BETA2), 1 - BETA2, style="AdamNC", linewidth=1.0)
        panel.axes.set(xscale="log", yscale="log", xlim=(1.3, 1e-4), ylim=(1.5, 1e-6))
    sheet.legend(family)
    return sheet


def boundary(panel, label, problem, color):
    """Where the drift is 0."""
    values = drift(problem, (BETA1, BETA2[:, None]))
    contour = panel.axes.contour(1 - BETA1, 1 - BETA2, values, [0])
    contour.remove()  # the panel draws it, so that it gets into the table
    segments = [np.vstack([line, [np.nan] * 2]) for line in contour.allsegs[0]]  # NaN: a gap
    panel.line(label, *np.vstack(segments).T, style="Adam", color=color, linewidth=1.2)


def findings(traces, s):
    betas, lines = grid(s), []
    for label, rho in {"PaperAdam": 0.0, "AMSGrad": 1.0}.items():
        x, sign = traces[label]["x"][-1], np.sign(drift(REDDI, betas, rho))
        lines.append(
            f"{label} drifts to +1 at {(sign > 0).sum()} of {len(x)} pairs of betas; run for "
            f"{s.steps:,} steps, {(x * sign > 0.9).sum()} are where they drift to, "
            f"{(x * sign < -0.9).sum()} are at the other end"
        )
    return lines


EXPERIMENT = Experiment(
    name="phase-diagram",
    summary="which betas take Adam to the worst point, in closed form and by replay (Theorem 2)",
    settings=Phase(),
    quick={"steps": 20_000},
    trials=trials,
    draw=draw,
    findings=findings,
)
