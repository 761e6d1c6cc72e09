"""Which (beta1, beta2) take Adam to the worst point: by the drift of a period, known in closed
form, and by playing; of rules that have no closed form by playing alone.

Theorem 2 of Reddi, Kale and Kumar 2018 has a bad problem for every beta1 < sqrt(beta2); any one
problem is bad for only some of them, as Zhang et al. 2022 point out.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from experiments.experiment import Experiment, Finding
from experiments.loops.compared import exceptions, hyperparameters
from experiments.loops.ending import KEPT
from experiments.loops.online import OnlineTrial, PeriodicSettings
from experiments.problems.drift import drift, drifts
from experiments.problems.linear import theorem_2
from experiments.record.curves import DASHES
from experiments.record.figure import Sheet
from experiments.record.wording import number

CELLS = 1000  # of the map, a side
PLAYED = 40  # runs, a side
LEAST = 1e-4, 1e-6  # 1 - beta1 and 1 - beta2, at most 1
TO_BEST, TO_WORST = "#0072B2", "#D55E00"  # the colours of AMSGrad and Adam
MARKED = (0.9, 0.999), (0.9, 0.99)  # betas: the defaults of everyone, and those of the paper


@dataclass(frozen=True, kw_only=True)
class Phase(PeriodicSettings):
    rules: tuple[str, ...] = ("PaperAdam", "AMSGrad")
    steps: int = 101_000  # of each run that is played
    lr: float = 1.0  # constant, and without the interval: the drift is in units of it
    betas: tuple[float, float] = MARKED[0]  # a point to mark, beside those of the paper
    periods: tuple[int, ...] = (4, 10, 30, 100, 300)  # of Theorem 2's problem

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_varies("betas")
        for label, rule in self.compared.items():
            if not all(isinstance(beta, float) for beta in rule.hyperparameters()["betas"]):
                raise ValueError(f"rules: {label} has a beta that changes with t; leave it out.")
        self.check("[3, 1000]", "periods")
        self.check("[0, 1)", "betas")
        if self.steps <= 2 * self.problem.period:
            raise ValueError(f"steps={self.steps}: give more than two periods.")


def axis(least, cells):
    """Betas from 0 on, of which 1 - beta falls by the same factor each time."""
    return 1 - np.geomspace(1, least, cells)


def grid():
    """The betas of the marks: each beta1 with each beta2."""
    beta1, beta2 = (axis(least, PLAYED) for least in LEAST)
    return tuple(beta.ravel() for beta in np.meshgrid(beta1, beta2))


def played():
    """The betas of all copies: those of the marks, and MARKED."""
    return tuple(map(np.append, grid(), zip(*MARKED, strict=True)))


def trials(s):
    betas, period = played(), s.problem.period
    return {
        label: partial(
            OnlineTrial,
            s.problem,
            rule,
            steps=s.steps,
            x1=s.start,
            copies=len(betas[0]),
            times=np.array([s.steps - period, s.steps]),
            projected=False,
            **hyperparameters(rule, s.lr, betas, s.problem, exponent=0),
        )
        for label, rule in s.compared.items()
    }


def played_drift(trace, s):
    """By how much the last period moved x, in units of alpha."""
    return (trace["x"][-1] - trace["x"][-2]) / s.lr


def agreeing(label, trace, s):
    """Whether each played run moves as the closed form says."""
    return np.sign(played_drift(trace, s)) == np.sign(drift(s.problem, played(), KEPT[label]))


def at_marked(label, trace, s):
    """By the betas that are MARKED: the drift in closed form, or else as played."""
    if label in KEPT:
        return {betas: float(drift(s.problem, betas, KEPT[label])) for betas in MARKED}
    return dict(zip(MARKED, played_drift(trace, s)[-len(MARKED) :].tolist(), strict=True))


def ground(label, trace, s):
    """The drift over the map and its axes: in closed form, or else as played."""
    cells = CELLS if label in KEPT else PLAYED
    beta1, beta2 = (axis(least, cells) for least in LEAST)
    if label in KEPT:
        return beta1, beta2, drifts(s.problem, beta1, beta2, KEPT[label])
    return beta1, beta2, played_drift(trace, s)[: PLAYED**2].reshape(PLAYED, PLAYED)


def verdict(traces, s):
    (first, trace), *_ = traces.items()
    ways = "nowhere", "to the worst point", "to the best point"
    ends = at_marked(first, trace, s)
    (one, to_one), (two, to_two) = ((b, ways[int(np.sign(moved))]) for b, moved in ends.items())
    if to_one == to_two:
        text = f"{first} drifts {to_one} at {one} and at {two}"
    else:
        text = f"{first} drifts {to_one} at {one}, {to_two.removesuffix(' point')} at {two}"
    if first not in KEPT:
        up = played_drift(trace, s) > 0
        return f"{text}; of {up.size:,} runs over all betas {up.sum():,} go to the worst"
    agree = agreeing(first, trace, s)
    return f"{text}; {agree.sum():,} of {agree.size:,} played runs go where the closed form says"


def draw(traces, s):
    first, trace = next(iter(traces.items()))
    sheet = Sheet(
        verdict(traces, s),
        s.problem.mathtext,
        rf"$\alpha = {s.lr:g}$, constant, no projection,  $x_1 = {s.start:g}$,  "
        rf"$T = {number(s.steps)}$ of each dot;  nothing is random",
        rows=1,
        columns=2,
        size=(5.6, 4.6),
    )
    title = f"{first}: to +1, the worst point (orange, dots), or to -1 (blue, dashes)"
    one = sheet.panel(0, 0, title, "$\\beta_1$", "$\\beta_2$")
    title = "drift 0 of Adam on C x if t mod C = 1, else -x"
    family = sheet.panel(0, 1, title, "$\\beta_1$", "$\\beta_2$")
    drifted = ground(first, trace, s)
    one.signs(*drifted, [TO_BEST, TO_WORST])
    boundary(one, "drift 0", *drifted, color="black")
    moved = played_drift(trace, s)[: PLAYED**2]
    for label, there, color, marker in (
        ("a run that goes to +1", moved > 0, TO_WORST, "o"),
        ("a run that goes to -1", moved < 0, TO_BEST, "_"),
    ):
        points = (beta[there] for beta in grid())
        one.points(label, *points, color=color, marker=marker, markersize=2.2)
    for betas in dict.fromkeys((*MARKED, s.betas)):
        look = {"marker": "o", "markersize": 8, "markerfacecolor": "none", "color": "black"}
        text = f"({betas[0]:g}, {betas[1]:g})"
        one.points(text, betas[:1], betas[1:], end=text, **look)
    beta1, beta2 = (axis(least, CELLS) for least in LEAST)
    for place, period in enumerate(s.periods):
        shade = 0, 0, 0, 1 - 0.5 * place / len(s.periods)
        of_adam = drifts(theorem_2(period), beta1, beta2)
        look = {"color": shade, "linestyle": DASHES[place % len(DASHES)]}
        boundary(family, f"C = {period}", beta1, beta2, of_adam, **look)
    root = axis(LEAST[1], CELLS)
    label = "beta1 = sqrt(beta2)"
    family.line(label, np.sqrt(root), root, color="#009E73", linestyle=":", linewidth=1.0, end="")
    family.note("Theorem 2: for any betas above\nthe green line some C is bad", 0.03, 0.95)
    for panel in (one, family):
        panel.beta_axis("x", LEAST[0])
        panel.beta_axis("y", LEAST[1])
    return sheet


def boundary(panel, label, beta1, beta2, drifted, **style):
    """Where the drift is 0."""
    contour = panel.axes.contour(beta1, beta2, drifted, [0])
    contour.remove()  # the panel draws it, so that it gets into the table
    lines = filter(len, contour.allsegs[0])  # one without points if it is nowhere
    segments = [np.vstack([line, [np.nan] * 2]) for line in lines]  # NaN: a gap
    if segments:
        x, y = np.vstack(segments).T
        panel.line(label, x, y, end="", marker="", **style)
        highest = np.nanargmax(y)
        panel.tag(label, x[highest], y[highest], color=style["color"])


def caption(traces, s):
    first = next(iter(traces))
    known = (
        f"of a period in closed form at {CELLS} x {CELLS} betas, and the black line where it is 0: "
        "on the side of large beta2 x goes to -1, the best point, on the other to +1, the worst"
    )
    tried = (
        f"of the last period that was played at {PLAYED} x {PLAYED} betas, since no closed form is "
        "known, and the black line where it is 0: -1 is the best point, +1 the worst"
    )
    return (
        f"f_t(x) = {s.problem}. Left: where {first} drifts, over beta1 (from 0 to "
        f"{1 - LEAST[0]:g}) and beta2 (0 to {1 - LEAST[1]:g}), both on axes of -log(1 - beta). The "
        f"ground is the sign of the drift {known if first in KEPT else tried}. Each of the "
        f"{PLAYED} x {PLAYED} marks is a run of {s.steps:,} steps at a constant alpha, without the "
        "interval, read at its last period: a dot where that moves x up, a dash where it moves it "
        f"down.{exceptions(s)} Right: the line of Adam's drift 0 for other problems, f_t(x) = Cx "
        f"if t mod C = 1, else -x, with C = {', '.join(map(str, s.periods))}; a larger C needs a "
        "larger beta2. Theorem 2 has for any betas above the green, dotted line, beta1 = "
        "sqrt(beta2), a C that is bad. " + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = []
    for label, trace in traces.items():
        share = float((ground(label, trace, s)[-1] > 0).mean())
        marked = at_marked(label, trace, s)
        by = ", ".join(f"{moved:+.4g} at {betas}" for betas, moved in marked.items())
        numbers = {f"drift at {betas}": moved for betas, moved in marked.items()}
        if label in KEPT:
            agree = agreeing(label, trace, s)
            numbers["runs that agree"] = int(agree.sum())
            how = f"{agree.sum():,} of {agree.size:,} runs agree"
        else:
            how = f"all of it played, for {s.steps:,} steps"
        text = f"{label} drifts to +1 on {share:.1%} of the map, by {by} (alpha a period); {how}."
        found.append(Finding(text, numbers))
    return found


EXPERIMENT = Experiment(
    name="phase-diagram",
    summary="which betas take Adam to the worst point, in closed form and by playing (Theorem 2)",
    settings=Phase(),
    quick={"steps": 20_200},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
