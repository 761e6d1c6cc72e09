"""Gamma_t, the change of sqrt(V_t) / alpha_t, which the proof of Adam's convergence needs to be
non-negative: Reddi, Kale and Kumar 2018, equation 2."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from experiments.experiment import Experiment, Finding
from experiments.loops.compared import exceptions
from experiments.loops.online import PeriodicSettings, trials_of_rules
from experiments.record.figure import Sheet
from experiments.record.wording import listed, number

# One copy each: alpha_t = alpha t^exponent
SCHEDULES = ("alpha / sqrt(t)", "constant alpha")
EXPONENTS = np.array([-0.5, 0])
LOOKS = (
    {"color": "#D55E00", "linestyle": "-", "marker": "o"},
    {"color": "#0072B2", "linestyle": "--", "marker": "s"},
)
COLUMNS = 3


@dataclass(frozen=True, kw_only=True)
class Gamma(PeriodicSettings):
    rules: tuple[str, ...] = (
        "Adam",
        "AMSGrad",
        "LeakyAMSGrad",
        "AMSGradTorch",
        "AMSGradKeras",
        "AMSGradOptax",
    )
    steps: int = 100_000
    rho: float = 0.9999  # of LeakyAMSGrad

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("[2, inf)", "steps", why="since Gamma_t is a change")
        self.check_diagonal("Gamma_t")


def trials(s):
    makers = trials_of_rules(s, EXPONENTS, copies=len(SCHEDULES), watch_metric=True)
    if "LeakyAMSGrad" in makers:
        makers["LeakyAMSGrad"] = partial(makers["LeakyAMSGrad"], rho=s.rho)
    return makers


def negative(trace):
    """For each schedule: how many of Gamma_2, ..., Gamma_T are negative, the first t, the last."""
    counts = trace["gamma_negative"].sum(axis=0)
    first, last = np.fmin.reduce(trace["gamma_first"]), np.fmax.reduce(trace["gamma_last"])
    return list(zip(counts.tolist(), first.tolist(), last.tolist(), strict=True))


def places(trace, s):
    """For each schedule, where Gamma_t is negative, in words that no larger T would change."""
    period, t, found = s.problem.period, trace["t"], []
    late = (t > s.steps / 2) & (t % period == 0)
    late[-1] |= not late.any()
    steps = np.diff(t, prepend=0)[late].sum()
    late = trace["gamma_negative"][late].sum(axis=0) / steps * period
    for (count, first, last), of_period in zip(negative(trace), late, strict=True):
        if not count:
            found.append("never")
        elif last > s.steps - period:
            found.append(f"on {of_period:.4g} of {period} steps, from t = {first:,.0f} on")
        else:
            found.append(f"{count:,} times, from t = {first:,.0f} to {last:,.0f}")
    return found


def verdict(traces, s):
    def rules(schedule, wanted):
        return [label for label, t in traces.items() if wanted(negative(t)[schedule][0])]

    falls, never = rules(0, lambda n: n > 0), rules(0, lambda n: n == 0)
    late = [label for label in rules(1, lambda n: n > 0) if label in never]
    parts = []
    if falls:
        parts.append(f"Gamma_t is negative again and again under {listed(falls)}")
    if kept := [label for label in never if label not in late]:
        parts.append(f"never under {listed(kept)}")
    if late:
        parts.append(f"only at constant alpha under {listed(late)}")
    text = "; ".join(parts)
    return text if falls else f"Gamma_t is negative {text}"


def draw(traces, s):
    rows = -(-len(traces) // COLUMNS)
    sheet = Sheet(
        verdict(traces, s),
        r"$\Gamma_t = \sqrt{V_t}/\alpha_t - \sqrt{V_{t-1}}/\alpha_{t-1}$;   " + s.problem.mathtext,
        rf"$\alpha = {s.lr:g}$,  $\beta = {s.betas}$,  $\rho = {s.rho:g}$ (LeakyAMSGrad),  "
        rf"$x_1 = {s.start:g}$,  $T = {number(s.steps)}$;  nothing is random",
        rows=rows,
        columns=min(COLUMNS, len(traces)),
        size=(4.6, 3.1),
    )
    period = s.problem.period
    for place, (label, trace) in enumerate(traces.items()):
        row, column = divmod(place, COLUMNS)
        y = "" if column else f"steps of {period} with $\\Gamma_t < 0$"
        panel = sheet.panel(row, column, f"{label}\n\n", "$t$" if row == rows - 1 else "", y)
        steps = np.diff(trace["t"], prepend=0)
        shown = (trace["t"] % period == 0) | (trace["t"] < period)  # not the rest of a period
        where = places(trace, s)
        for schedule, (name, style) in enumerate(zip(SCHEDULES, LOOKS, strict=True)):
            share = trace["gamma_negative"][:, schedule] / steps * period
            panel.line(name, trace["t"][shown], share[shown], end="", **style)
            panel.note(
                f"{name}: {where[schedule]}", 0, 1.13 - 0.08 * schedule, color=style["color"]
            )
        panel.axes.set(xscale="log", ylim=(-0.04 * period, 1.08 * period))
    return sheet


def caption(traces, s):
    return (
        "How often Gamma_t, the change of sqrt(V_t) / alpha_t in a step, is negative, under "
        f"{listed(traces)} on f_t(x) = {s.problem}. alpha_t is {s.lr:g}/sqrt(t) (solid, circles) "
        f"or {s.lr:g} (dashed, squares), beta = {s.betas}; {s.steps:,} steps from x_1 = "
        f"{s.start:g}, in float64.{exceptions(s)} alpha_t includes the bias corrections of a rule "
        f"that has them. Up: on how many steps of a period of {s.problem.period} it is; above "
        "each panel, how often, and from which step on. "
        + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = []
    for label, trace in traces.items():
        each, where = negative(trace), places(trace, s)
        parts = [f"{text} (at {name})" for text, name in zip(where, SCHEDULES, strict=True)]
        found.append(
            Finding(
                f"{label}: Gamma_t < 0 {' and '.join(parts)}.",
                {f"Gamma_t < 0, {name}": one[0] for one, name in zip(each, SCHEDULES, strict=True)},
            )
        )
    return found


EXPERIMENT = Experiment(
    name="gamma",
    summary="how often Gamma_t is negative: Adam, the four AMSGrads, and the leaky one",
    settings=Gamma(),
    quick={"steps": 5_000},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
