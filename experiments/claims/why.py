"""One period under the microscope: why Adam goes the wrong way, and AMSGrad does not.

A spike of +1010 and a hundred slopes of -10: their sum says that x should fall. Adam divides each
by the root of a running mean of squares, in which the spike weighs most when it comes, and ever
less after it; so the spike is divided by more than the others are.
"""

from dataclasses import dataclass
from functools import partial
from math import ceil

import numpy as np

from experiments.experiment import Experiment, Finding
from experiments.loops.compared import exceptions, hyperparameters
from experiments.loops.ending import KEPT
from experiments.loops.microscope import Microscope
from experiments.loops.online import PeriodicSettings
from experiments.problems.drift import drift
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.wording import listed

SQUARES = "v", "v_max", "s", "u"  # names of state that is made of squares
UPDATES = (  # of Adam and AMSGrad without momentum
    r";   $x_{t+1} = x_t - \alpha\, g_t / \sqrt{v_t}$ (Adam), $/ \sqrt{v_{max}}$ (AMSGrad)"
)
WIDE = 10  # what is so many times larger than the rest asks for a logarithmic axis
MOST_STEPS = 10**6  # before the period that is looked at, where `periods` is None


@dataclass(frozen=True, kw_only=True)
class Why(PeriodicSettings):
    rules: tuple[str, ...] = ("Adam", "AMSGrad")
    lr: float = 1.0  # constant: moves are in units of it
    betas: tuple[float, float] = (0.0, 0.99)  # without momentum each move is of one slope
    periods: int | None = None  # before the one that is looked at; None: until v repeats itself

    @property
    def before(self) -> int:
        """The periods before the one that is looked at."""
        if self.periods is not None:
            return self.periods
        steps = min(40 / (1 - max(self.betas)), MOST_STEPS)
        return ceil(steps / self.problem.period)


def trials(s):
    return {
        label: partial(
            Microscope,
            s.problem,
            rule,
            periods=s.before,
            **hyperparameters(rule, s.lr, s.betas, s.problem, exponent=0),
        )
        for label, rule in s.compared.items()
    }


def moved(trace, s):
    """How far x moves in the period, in units of alpha: at the spike, at the others, and in all."""
    move = trace["move"] / s.lr
    return move[0], move[1:].sum(), move.sum()


def verdict(traces, s):
    parts = []
    for label, trace in traces.items():
        spike, others, total = moved(trace, s)
        way = "climbs" if total > 0 else "descends"
        if not parts:
            rest = f"the {s.problem.period - 1} others by {others:+.2f}"
            text = f"Under {label} the spike's step moves x by {spike:+.2f}, {rest}"
            parts.append(f"{text}, so it {way}")
        else:
            parts.append(f"under {label} by {spike:+.2f} and {others:+.2f}, so it {way}")
    return "; ".join(parts)


def draw(traces, s):
    plain = set(traces) == {"Adam", "AMSGrad"} and s.betas[0] == 0
    formula = s.problem.mathtext + (UPDATES if plain else "")
    return magnified(traces, s, verdict(traces, s), formula, rf"$\beta = {s.betas}$")


def magnified(traces, s, title, formula, settings):
    """The figure, of what `s` has as problem, lr and periods before."""
    problem = s.problem
    sheet = Sheet(
        title,
        formula,
        rf"{settings};  constant $\alpha$, which is the unit of moves, no projection;  "
        f"period {s.before + 1:,} from the start;  nothing is random",
        rows=2,
        columns=3,
        size=(4.3, 3.1),
        ratios=(1, 1, 1.25),
    )
    place = "step of the period; 1 is the spike"
    slope = sheet.panel(0, 0, "1. one large slope, many small ones", "", "slope $g_t$")
    square = sheet.panel(0, 1, "2. its square fades, or is kept", "", "mean of squares")
    rate = sheet.panel(1, 0, "3. so rates rise again, or not", place, "rate")
    move = sheet.panel(1, 1, "4. the moves: rate times slope", place, "move of $x$, in $\\alpha$")
    total = sheet.panel(slice(0, 2), 2, "5. their sum over the period", place, "in $\\alpha$")
    k = np.arange(1, problem.period + 1)
    drawn, styles = [], looks(traces)
    for label, trace in traces.items():
        style = styles[label] | {"markersize": 3.5}
        if not drawn:
            options = {"color": "black", "marker": "o", "markersize": 2.5, "markevery": 1}
            slope.line("slope", k, trace["g"], end="", linewidth=0.6, **options)
        for name in SQUARES:
            if name in trace and not any(np.array_equal(trace[name], one) for one in drawn):
                drawn.append(trace[name])
                square.line(f"{name}, {label}", k, trace[name], end=name, **style)
        if "metric" in trace:
            rates = s.lr / trace["metric"]
            grown = rf"{label}, $\times${rates[-1] / rates[0]:.2f}"
            rate.line(label, k, rates, end=grown, **style)
        moves = trace["move"] / s.lr
        move.line(label, k, moves, **style)
        sums = np.cumsum(moves)
        total.line(label, k, sums, end=f"{label}\n{sums[-1]:+.2f}", **style | {"linewidth": 2})
    small = max(np.abs(t["move"][1:]).max() for t in traces.values()) / s.lr
    if problem.large > WIDE * problem.small:
        slope.axes.set_yscale("symlog", linthresh=2 * problem.small)
    square.axes.set_yscale("log")
    spikes = [moved(trace, s)[0] for trace in traces.values()]
    if max(map(abs, spikes)) > WIDE * small:
        move.axes.set_yscale("symlog", linthresh=1.5 * small, linscale=1.5)
    for panel in sheet.panels:
        panel.axes.xaxis.get_major_locator().set_params(integer=True)
    for panel in (slope, move, total):
        panel.axes.axhline(0, color="black", linewidth=0.6)
    told = ", ".join(dict.fromkeys(f"{spike:+.2f}" for spike in spikes))
    total.tag(f"the spike's step: {told}", 1, min(spikes), (8, -3), va="top")
    way, best = ("up", "-1") if problem.mean > 0 else ("down", "+1")
    total.note(f"{way}: away from the best point, {best}", 0.03, 0.97)
    return sheet


def caption(traces, s):
    return (
        f"One period of f_t(x) = {s.problem} under {listed(traces)}, from its spike on, after "
        f"{s.before:,} periods; beta = {s.betas}, a constant alpha, no projection, so that the "
        f"moves, in units of alpha, do not depend on where x is.{exceptions(s)} 1: the slopes. 2: "
        "the running mean v of their squares, and what else a rule keeps of them, on a "
        "logarithmic axis. 3: the rate, alpha over the root of what the rule divides by. 4: each "
        "move, on an axis that is logarithmic away from 0. 5: the sum of the moves since the "
        "spike; where it ends above 0, x climbs period by period to +1, the worst point, else it "
        "descends to -1, the best. " + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = []
    for label, trace in traces.items():
        spike, others, total = map(float, moved(trace, s))
        text = (
            f"{label}: the spike's step moves x by {spike:+.3f} alpha, the other "
            f"{s.problem.period - 1} by {others:+.3f}, the period by {total:+.3f}"
        )
        numbers = {"spike": spike, "others": others, "period": total}
        if label in KEPT:
            numbers["closed form"] = float(drift(s.problem, s.betas, KEPT[label]))
            text += f" (in closed form {numbers['closed form']:+.3f})"
        if "metric" in trace:
            first, last = s.lr / trace["metric"][0], s.lr / trace["metric"][-1]
            text += f"; its rate goes from {first:.3g} at the spike to {last:.3g} before the next"
        found.append(Finding(f"{text}.", numbers))
    return found


EXPERIMENT = Experiment(
    name="why",
    summary="one period under the microscope: why the spike loses under Adam",
    settings=Why(),
    quick={"periods": 10},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
