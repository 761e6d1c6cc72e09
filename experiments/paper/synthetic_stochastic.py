"""Figure 1, right, of Reddi, Kale and Kumar 2018: the same problem with random spikes, over many
seeds. AMSGrad is slow here: the mean slope is small beside sqrt(v_max), which spikes make."""

from dataclasses import dataclass, replace

import numpy as np

from experiments.experiment import Experiment, Finding
from experiments.loops.compared import exceptions
from experiments.loops.ending import FIGURE_1, IN_FIGURE_1
from experiments.loops.online import OnlineSettings, check_slopes, long_run, trials_of_rules
from experiments.problems.linear import Stochastic
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.wording import counted, listed, number

BEGIN = 100  # steps, before which the figure would show the start alone
PATHS = 3  # seeds that are drawn by themselves
DELTA = 0.02  # of Theorem 3: the mean slope, in units of the usual one
BAND = (10, 50, 90)  # percentiles over seeds


@dataclass(frozen=True, kw_only=True)
class Random(OnlineSettings):
    rules: tuple[str, ...] = ("Adam", "AMSGrad")
    steps: int | None = None  # None: as many as suit the backend
    lr: float = 1.0
    betas: tuple[float, float] = (0.9, 0.99)
    c: float = 101.0
    probability: float | None = None  # of a spike; None: (1 + 0.02) / (1 + c), 0.01 for 101
    seeds: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("(0, inf)", "c")
        if not self.problem.probability <= 1 or self.problem.mean <= 0:
            raise ValueError(
                f"probability={self.problem.probability:g}: give one above "
                f"{1 / (1 + self.c):.4f}, for which -1 is the best point, and up to 1."
            )
        check_slopes(self.problem)

    @property
    def problem(self) -> Stochastic:
        """What is played."""
        probability = self.probability
        if probability is None:
            probability = (1 + DELTA) / (1 + self.c)
        return Stochastic(self.c * self.scale, self.scale, probability, self.seeds, self.seed)


def prepare(s):
    return replace(s, steps=s.steps or long_run())


def trials(s):
    return trials_of_rules(s, copies=s.seeds)


def ends(traces):
    """By rule: the 10, 50 and 90 % of x_T, and on what shares of the seeds it is near +1 and -1."""
    found = {}
    for label, trace in traces.items():
        x = trace["x"][-1]
        found[label] = *np.percentile(x, BAND), (x > 0.9).mean(), (x < -0.9).mean()
    return found


def verdict(traces, s):
    parts = []
    for label, (_, median, _, worst, best) in ends(traces).items():
        if max(worst, best) >= 0.5:
            share, point = max((worst, "the worst point, +1"), (best, "the best, -1"))
            seeds = counted(s.seeds, "seed")
            parts.append(f"{label} ends near {point}, on {share:.0%} of {seeds}")
        else:
            parts.append(f"{label} is on its way, at {median:+.2f} in the median")
    return "; ".join(parts)


def draw(traces, s):
    problem, begin = s.problem, min(BEGIN, s.steps)
    sheet = Sheet(
        verdict(traces, s),
        problem.mathtext,
        rf"$\alpha_t = {s.lr:g}/\sqrt{{t}}$,  $\beta = {s.betas}$,  $x_1 = {s.start:g}$,  "
        rf"$T = {number(s.steps)}$;  {counted(s.seeds, 'seed')}: median, 10 to 90 %",
        rows=1,
        columns=2,
    )
    played = sheet.panel(0, 0, "the point played, and some single paths", "$t$", "$x_t$")
    title = f"average expected regret, of {problem.mean:.2g} (x + 1) a step"
    regret = sheet.panel(0, 1, title, "$t$", "$R_t\\,/\\,t$")
    styles = looks(traces)
    for label, trace in traces.items():
        shown = trace["t"] >= begin
        t, style = trace["t"][shown], styles[label]
        for panel, name in ((played, "x"), (regret, "average_regret")):
            low, median, high = np.percentile(trace[name][shown], BAND, axis=1)
            panel.line(label, t, median, low, high, **style | {"linewidth": 1.8})
        for seed in range(min(PATHS, s.seeds)):
            path = {"color": style["color"], "linestyle": ":", "linewidth": 0.7, "end": ""}
            played.line(f"{label}, seed {seed}", t, trace["x"][shown, seed], **path)
    for panel in (played, regret):
        panel.axes.set(xscale="log", xlim=(begin, max(s.steps, begin + 1)))
    played.axes.set_ylim(-1.2, 1.2)
    regret.axes.set_ylim(-0.1 * problem.mean, 2.2 * problem.mean)
    played.limit(-1, "the best point, -1")
    played.limit(1, "the worst point, +1")
    regret.limit(0, "0: no regret")
    regret.limit(2 * problem.mean, f"{2 * problem.mean:.2g}: staying at x = +1")
    return sheet


def caption(traces, s):
    problem = s.problem
    return (
        f"f_t(x) = {problem}, on [-1, 1], whose mean slope is {problem.mean:.3g}, under "
        f"{listed(traces)}: {s.steps:,} steps of alpha_t = {s.lr:g}/sqrt(t) from x_1 = "
        f"{s.start:g}, beta = {s.betas}, {counted(s.seeds, 'seed')}.{exceptions(s)} From t = "
        f"{min(BEGIN, s.steps)} on. Left: x_t, the median of all seeds, the band from 10 to 90 % "
        f"of them, and {min(PATHS, s.seeds)} paths, dotted. Right: the mean up to t of the "
        f"expected regret against -1, {problem.mean:.3g} (x + 1), likewise. "
        + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found, seeds = [], counted(s.seeds, "seed")
    for label, (low, median, high, worst, best) in ends(traces).items():
        regret = float(np.median(traces[label]["average_regret"][-1]))
        text = (
            f"{label} ends at x = {median:+.3f} in the median of {seeds} (10 to 90 %: {low:+.3f} "
            f"to {high:+.3f}), near +1 on {worst:.0%} of them and near -1 on {best:.0%}; median "
            f"R_T/T = {regret:.4f}."
        )
        numbers = {"median x_T": float(median), "10 %": float(low), "90 %": float(high)}
        paper = (s.c, s.betas) == FIGURE_1 and s.probability is None and label in IN_FIGURE_1
        stated = {"median x_T": IN_FIGURE_1[label]} if paper else {}
        found.append(Finding(text, numbers | {"median R_T/T": regret}, stated))
    return found


EXPERIMENT = Experiment(
    name="synthetic-stochastic",
    summary="the same with random spikes, over many seeds (Figure 1, stochastic)",
    settings=Random(),
    quick={"steps": 5_000},
    prepare=prepare,
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
