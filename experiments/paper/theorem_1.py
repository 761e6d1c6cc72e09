"""Theorem 1 of Reddi, Kale and Kumar 2018: with beta1 = 0 and beta2 = 1 / (1 + C^2), Adam's
average regret stays above (2C - 4) / 3 on f_t(x) = Cx if t mod 3 = 1, else -x.

Its proof starts from x_1 = 1 and shows that x is there again at the end of every period.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from experiments.experiment import Experiment, Finding
from experiments.loops.compared import exceptions, hyperparameters
from experiments.loops.ending import KEPT
from experiments.loops.online import OnlineSettings, OnlineTrial, check_slopes, recorded_times
from experiments.problems.linear import Periodic
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.wording import number

PERIOD = 3
FIRST = 10 * PERIOD  # steps that the figure shows one by one


@dataclass(frozen=True, kw_only=True)
class Theorem1(OnlineSettings):
    rules: tuple[str, ...] = ("PaperAdam", "AMSGrad")
    steps: int = 30_000
    start: float = 1.0  # the theorem's
    scale: float = 1.0
    c: tuple[float, ...] = (2.1, 2.25, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for label, one in self.compared.items():
            if "betas" in one.fixed:
                raise ValueError(
                    f"rules: {label} fixes betas, which depend on C here; leave it out."
                )
        self.check("(2, inf)", "c", why="for which -1 is the best point")
        check_slopes(self.problem)

    @property
    def problem(self) -> Periodic:
        """What is played, a copy for each C."""
        return Periodic(self.scale * np.array(self.c), self.scale, PERIOD)


def trials(s):
    times = np.union1d(np.arange(1, min(FIRST, s.steps) + 1), recorded_times(s.steps, PERIOD))
    betas = 0.0, 1 / (1 + np.array(s.c) ** 2)
    return {
        label: partial(
            OnlineTrial,
            s.problem,
            rule,
            steps=s.steps,
            x1=s.start,
            copies=len(s.c),
            times=times,
            **hyperparameters(rule, s.lr, betas, s.problem),
        )
        for label, rule in s.compared.items()
    }


def bound(s):
    return s.scale * (2 * np.array(s.c) - 4) / 3


def excess(trace, s):
    """By how much R_T/T is above the bound, for each C."""
    return trace["average_regret"][-1] - bound(s)


def verdict(traces, s):
    shares = []
    for label, trace in traces.items():
        above = int((excess(trace, s) >= 0).sum())
        share = "every" if above == len(s.c) else "no" if not above else f"{above} of {len(s.c)}"
        shares.append((label, share))
    (first, share), *others = shares
    parts = [f"{first}'s average regret stays above (2C - 4)/3 at {share} C"]
    return ", ".join(parts + [f"{label}'s at {share} C" for label, share in others])


def shown_c(s):
    """The C whose first steps are drawn: that of the paper's Section 3, or else the first."""
    return s.c.index(3.0) if 3.0 in s.c else 0


def draw(traces, s):
    sheet = Sheet(
        verdict(traces, s),
        s.problem.mathtext,
        rf"$\beta_1 = 0$,  $\beta_2 = 1/(1 + C^2)$,  $\alpha_t = {s.lr:g}/\sqrt{{t}}$,  "
        rf"$x_1 = {s.start:g}$,  $T = {number(s.steps)}$;  nothing is random",
        rows=1,
        columns=2,
    )
    c = shown_c(s)
    title = f"the point played in the first periods, C = {s.c[c]:g}"
    first = sheet.panel(0, 0, title, "$t$", "$x_t$")
    title = "average regret minus its bound, R_T/T - (2C - 4)/3"
    regret = sheet.panel(0, 1, title, "$C$", "above 0: as Theorem 1 says")
    styles = looks(traces)
    for label, trace in traces.items():
        style = styles[label] | {"markevery": 1}
        shown = trace["t"] <= FIRST
        first.line(label, trace["t"][shown], trace["x"][shown, c], **style)
        regret.line(label, s.c, excess(trace, s), **style)
    first.axes.set_ylim(-1.2, 1.25)
    first.limit(-1, "the best point, -1", side="right")
    first.limit(1, "the worst point, +1", side="right")
    regret.axes.set_yscale("symlog", linthresh=1e-3)
    regret.limit(0, "the bound")
    return sheet


def caption(traces, s):
    return (
        f"f_t(x) = {s.problem}, on [-1, 1], in float64, beta1 = 0, beta2 = 1/(1 + C^2), alpha_t = "
        f"{s.lr:g}/sqrt(t), from x_1 = {s.start:g}.{exceptions(s)} Left: x_t for C = "
        f"{s.c[shown_c(s)]:g} over the first {min(FIRST, s.steps)} steps. Right: for {len(s.c)} "
        f"values of C, the average regret R_T/T against -1 after T = {s.steps:,} steps, minus the "
        "bound that Theorem 1 proves for Adam, on an axis that is linear within 0.001 of 0 and "
        "logarithmic beyond. " + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = []
    for label, trace in traces.items():
        x, average, above = trace["x"][-1], trace["average_regret"][-1], excess(trace, s)
        text = (
            f"{label} ends at x = {x.min():+.3f} to {x.max():+.3f}; its R_T/T, {average[0]:.4f} at "
            f"C = {s.c[0]:g} and {average[-1]:.4f} at C = {s.c[-1]:g}, is {above.min():+.4f} to "
            f"{above.max():+.4f} from the bound, not below it for {(above >= 0).sum()} of "
            f"{len(s.c)} C."
        )
        names = [f"R_T/T at C = {c:g}" for c in s.c]
        numbers, bounds = (
            dict(zip(names, values.tolist(), strict=True)) for values in (average, bound(s))
        )
        # the theorem is of Adam
        found.append(Finding(text, numbers, bounds if KEPT.get(label) == 0 else {}))
    return found


EXPERIMENT = Experiment(
    name="theorem-1",
    summary="the average regret of Adam and AMSGrad against C, with its bound (Theorem 1)",
    settings=Theorem1(),
    quick={},  # it takes seconds as it is
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
