"""Remembering against recovering: what one large gradient does to the steps after it, and for how
long; and how long a memory the problem of Reddi, Kale and Kumar asks for.

The slow decay that their Section 5 leaves open is LeakyAMSGrad: v_max = max(rho v_max, v).
"""

from dataclasses import dataclass
from functools import partial
from math import ceil, inf, log

import numpy as np

import optim
from experiments.experiment import Experiment, Finding
from experiments.loops.compared import exceptions, hyperparameters
from experiments.loops.online import OnlineTrial, PeriodicSettings, spaced
from experiments.problems.drift import drift
from experiments.problems.linear import Impulse
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.wording import listed, number
from optim.named import named

SWEEP = "LeakyAMSGrad by rho"  # the label of the trial
BEFORE = 1000  # steps before the outlier
RHOS = 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9996, 0.9999, 0.99999, 1.0
RECOVERED = 2.0  # by what a rate may still be smaller than before the outlier


@dataclass(frozen=True, kw_only=True)
class Memory(PeriodicSettings):
    rules: tuple[str, ...] = ("Adam", "AMSGrad", "LeakyAMSGrad", "AdaGrad", "NosAdam")
    steps: int = 300_000  # of the periodic problem
    after: int = 20_000  # steps after the outlier
    outlier: float = 1000.0  # times the other gradients
    rho: float = 0.999  # of LeakyAMSGrad after the outlier
    rhos: tuple[float, ...] = (
        0.99,
        0.995,
        0.998,
        0.999,
        0.9995,
        0.9996,
        0.9999,
        0.99999,
        1.0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("(1, inf)", "outlier")
        self.check("(0, 1]", "rho", "rhos")
        self.check_diagonal("rate")


def trials(s):
    impulse = Impulse(1.0, s.outlier, BEFORE)
    late = spaced(s.after, 300)
    makers = {}
    for label, rule in s.compared.items():
        settings = hyperparameters(rule, 1.0, s.betas, impulse, exponent=0)
        if rule.rule is optim.LeakyAMSGrad:
            settings["rho"] = s.rho
        makers[f"outlier {label}"] = partial(
            OnlineTrial,
            impulse,
            rule,
            steps=BEFORE + s.after,
            x1=0.0,
            times=np.concatenate([[BEFORE - 1], BEFORE - 1 + late]),
            projected=False,
            watch_metric=True,
            **settings,
        )
    makers[SWEEP] = partial(
        OnlineTrial,
        s.problem,
        optim.LeakyAMSGrad,
        steps=s.steps,
        x1=s.start,
        copies=len(s.rhos),
        rho=np.array(s.rhos),
        **hyperparameters(named("LeakyAMSGrad"), s.lr, s.betas, s.problem),
    )
    return makers


def outliers(traces, s):
    """By rule: the steps since the outlier, and by what factor the rate is smaller than before."""
    found = {}
    for label, trace in traces.items():
        if label != SWEEP:
            metric = trace["metric"][:, 0]
            found[label.removeprefix("outlier ")] = (
                trace["t"][1:] - BEFORE + 1,
                metric[1:] / metric[0],
            )
    return found


def recovery(s, rho):
    """The steps after an outlier until LeakyAMSGrad's rate is within a factor of 2 again."""
    beta2 = s.betas[1]
    if rho == 1:
        return inf
    # v_max fades by rho from what v was at the outlier, v - 1 by beta2
    peak = 1 + (1 - beta2) * (s.outlier**2 - 1)
    if peak <= RECOVERED**2:
        return 0
    by_rho = log(peak / RECOVERED**2) / -log(rho) if rho else 0
    by_beta2 = log((peak - 1) / (RECOVERED**2 - 1)) / -log(beta2) if beta2 else 0
    return ceil(max(by_rho, by_beta2))


def kept_rhos(s):
    """The rhos under which x drifts to -1, by the closed form."""
    return [rho for rho in sorted(s.rhos) if drift(s.problem, s.betas, rho) < 0]


def steps_of(recovered):
    """The number of steps in words."""
    return "never" if recovered == inf else f"in {recovered:,} steps"


def verdict(traces, s):
    kept = kept_rhos(s)
    if not kept:
        return f"No rho up to {max(s.rhos):g} takes LeakyAMSGrad to the best point"
    least = kept[0]
    return (
        f"LeakyAMSGrad needs a rho of {least:g} to go to the best point; it forgets an outlier "
        f"{steps_of(recovery(s, least))}, Adam {steps_of(recovery(s, 0))}, AMSGrad never"
    )


def draw(traces, s):
    sheet = Sheet(
        verdict(traces, s),
        r"$v_{max} \leftarrow \max(\rho\, v_{max},\, v)$;   right: " + s.problem.mathtext,
        rf"$\beta = {s.betas}$.  Left: slopes 1, but one of ${number(s.outlier)}$ at "
        rf"$t = {BEFORE}$;  right: $\alpha_t = {s.lr:g}/\sqrt{{t}}$, $x_1 = {s.start:g}$, "
        rf"$T = {number(s.steps)}$;  nothing is random",
        rows=1,
        columns=2,
    )
    fade = sheet.panel(
        0, 0, "how much smaller steps are after an outlier", "steps since", "times smaller"
    )
    found = outliers(traces, s)
    styles = looks(found)
    for label, (t, factor) in found.items():
        end = rf"{label}, $\rho = {s.rho:g}$" if label == "LeakyAMSGrad" else label
        fade.line(label, t, factor, end=end, **styles[label])
    fade.axes.set(xscale="log", yscale="log")
    fade.limit(1, "as before the outlier")
    trade = sheet.panel(
        0,
        1,
        "remembering against recovering, by rho",
        f"steps until a rate is within {RECOVERED:g} times of before",
        "drift of x a period, in alpha",
    )
    finite = [rho for rho in sorted(s.rhos) if rho < 1]
    leaks = 1 - np.geomspace(1 - finite[0], 1 - finite[-1], 200) if finite else np.array([])
    curve = [drift(s.problem, s.betas, rho) for rho in leaks]
    trade.line("LeakyAMSGrad", [recovery(s, rho) for rho in leaks], curve, end="", color="black")
    edge = 3 * max([recovery(s, rho) for rho in finite] + [1])
    last = dict(zip(s.rhos, traces[SWEEP]["x"][-1], strict=True))
    for rho in sorted(s.rhos):
        place = min(recovery(s, rho), edge), drift(s.problem, s.betas, rho)
        up = last[rho] > 0
        style = {"marker": "^" if up else "v", "color": "#D55E00" if up else "#0072B2"}
        trade.points(f"rho = {rho:g}", *([one] for one in place), markersize=6, **style)
        if rho == 1:
            trade.tag("AMSGrad, 1: never", *place, (4, 6), ha="right")
        elif place[1] > 0:
            trade.tag(f"{rho:g}", *place)
        else:  # on the other side of the curve, which turns
            trade.tag(f"{rho:g}", *place, (-4, -6), va="top", ha="right")
    trade.axes.set_xscale("log")
    trade.axes.set_yscale("symlog", linthresh=0.01)
    trade.axes.margins(x=0.12, y=0.1)
    trade.limit(0, "above: to the worst point; below: to the best", side="right")
    trade.note(f"triangles up: $x_T > 0$ after ${number(s.steps)}$ steps", 0.97, 0.95, ha="right")
    return sheet


def caption(traces, s):
    return (
        f"Left: gradients of 1, but one of {s.outlier:g} after {BEFORE} steps, under "
        f"{listed(outliers(traces, s))}, beta = {s.betas}: by what factor the rate, alpha over the "
        "root of what the rule divides by, is smaller than just before the outlier, on logarithmic "
        f"axes.{exceptions(s)} Right: LeakyAMSGrad on f_t(x) = {s.problem}, for "
        f"{len(s.rhos)} values of rho. Across: the steps until its rate is within a factor of "
        f"{RECOVERED:g} again after such an outlier. Up: the drift of a period in closed form; "
        "below 0 x goes to -1, the best point. A triangle points up where x is above 0 after "
        f"{s.steps:,} steps of {s.lr:g}/sqrt(t) from x_1 = {s.start:g}. "
        + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = []
    for label, (t, factor) in outliers(traces, s).items():
        back = t[factor <= RECOVERED]
        when = f"after {back[0]:,} steps" if len(back) else f"not within {s.after:,} steps"
        text = (
            f"outlier {label}: steps are {factor[0]:.3g} times smaller at once, {factor[-1]:.3g} "
            f"times after {t[-1]:,} steps; within {RECOVERED:g} times of before {when}."
        )
        found.append(Finding(text, {"at once": float(factor[0]), "last": float(factor[-1])}))
    moved = {rho: float(drift(s.problem, s.betas, rho)) for rho in sorted(s.rhos)}
    ends = ", ".join(
        f"{x:+.3f} at {rho:g}"
        for rho, x in sorted(zip(s.rhos, traces[SWEEP]["x"][-1], strict=True))
    )
    text = f"{SWEEP}: x is {ends} after {s.steps:,} steps; the drift is negative from rho = "
    text += f"{kept_rhos(s)[0]:g} on." if kept_rhos(s) else "1 on only, if at all."
    found.append(Finding(text, {f"drift at rho = {rho:g}": d for rho, d in moved.items()}))
    return found


EXPERIMENT = Experiment(
    name="memory",
    summary="how long an outlier is remembered, and how long it must be: LeakyAMSGrad's trade",
    settings=Memory(),
    quick={"steps": 5_000, "after": 2_000},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
