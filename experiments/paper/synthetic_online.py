"""Figure 1, left and centre, of Reddi, Kale and Kumar 2018: Adam climbs to the worst point of an
online convex problem, and AMSGrad descends to the best one."""

from dataclasses import dataclass, replace

from experiments.experiment import Experiment, Finding
from experiments.loops.compared import exceptions
from experiments.loops.ending import FIGURE_1, IN_FIGURE_1, Ending, grouped
from experiments.loops.online import PeriodicSettings, long_run, trials_of_rules
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.wording import listed, number


@dataclass(frozen=True, kw_only=True)
class Online(PeriodicSettings):
    rules: tuple[str, ...] = ("Adam", "AMSGrad", "AdamNC", "AdaGrad", "SGD")
    steps: int | None = None  # None: as many as suit the backend


def prepare(s):
    return replace(s, steps=s.steps or long_run())


def trials(s):
    return trials_of_rules(s)


def endings(traces, s):
    return {label: Ending.of(label, trace, s) for label, trace in traces.items()}


def verdict(traces, s):
    return grouped(endings(traces, s))


def draw(traces, s):
    sheet = Sheet(
        verdict(traces, s),
        s.problem.mathtext,
        rf"$\alpha_t = {s.lr:g}/\sqrt{{t}}$,  $\beta = {s.betas}$,  $x_1 = {s.start:g}$,  "
        rf"$T = {number(s.steps)}$;  nothing is random",
        rows=1,
        columns=2,
    )
    regret = sheet.panel(0, 0, "average regret, at the end of each period", "$t$", "$R_t\\,/\\,t$")
    played = sheet.panel(0, 1, "the point played, at the end of each period", "$t$", "$x_t$")
    styles = looks(traces)
    for place, (label, trace) in enumerate(traces.items()):
        # the first two are what the figure is about
        options = styles[label] | {"linewidth": 1.8 if place < 2 else 1.0}
        t, x, average = trace["t"], trace["x"][:, 0], trace["average_regret"][:, 0]
        whole = t % s.problem.period == 0
        shown = whole & (average > 0)
        regret.line(label, t[shown], average[shown], **options)
        shown = whole | (t < s.problem.period)
        played.line(label, t[shown], x[shown], **options)
    worst, period = 2 * s.problem.mean, s.problem.period
    regret.limit(worst, f"{worst * period:.4g}/{period}: staying at x = +1")
    regret.axes.set(xscale="log", yscale="log")
    played.limit(-1, "the best point, -1")
    played.limit(1, "the worst point, +1")
    played.axes.set(xscale="log", ylim=(-1.15, 1.15))
    return sheet


def caption(traces, s):
    worst, period = 2 * s.problem.mean, s.problem.period
    return (
        f"f_t(x) = {s.problem}, on [-1, 1], under {listed(traces)}: {s.steps:,} steps of alpha_t = "
        f"{s.lr:g}/sqrt(t) from x_1 = {s.start:g}, beta = {s.betas}.{exceptions(s)} Left: "
        "R_t/t, the mean of f_s(x_s) - f_s(-1) over s = 1 to t, on logarithmic axes, where it is "
        f"positive; staying at +1 costs {worst * period:.4g}/{period} = {worst:.4g} a step, twice "
        "the mean slope. Right: x_t; -1 is the best point, +1 the worst. Both are read at the ends "
        f"of periods of {period} steps, x_t in the first period also between. "
        + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = []
    for label, ending in endings(traces, s).items():
        average = float(traces[label]["average_regret"][-1, 0])
        text = f"{ending.text} R_T/T = {average:.4f}."
        numbers = {"x_T": ending.x, "R_T/T": average}
        if ending.drift is not None:
            numbers["drift"] = ending.drift
        paper = (s.c, s.betas) == FIGURE_1 and s.problem.period == s.c and label in IN_FIGURE_1
        found.append(Finding(text, numbers, {"x_T": IN_FIGURE_1[label]} if paper else {}))
    return found


EXPERIMENT = Experiment(
    name="synthetic-online",
    summary="regret and the point played, under any rules (Figure 1, online)",
    settings=Online(),
    quick={"steps": 5_000},
    prepare=prepare,
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
