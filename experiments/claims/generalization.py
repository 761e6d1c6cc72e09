"""Least squares that all rules solve, where what adaptive ones find is of no use on new data.

The construction of Wilson et al., arXiv:1705.08292: a label is told by the first feature alone, and
the features that an example has to itself let it be fitted without that. Descent from 0 ends at the
solution of least norm; a rule that divides each coordinate by the size of its gradients moves all
weights alike, to sign(X^T y) / 4, which gives every new example the label of the majority.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from experiments.experiment import Experiment, Finding
from experiments.loops.compared import Compared, of_names, undivided
from experiments.loops.online import recorded_times
from experiments.loops.watched import Watched
from experiments.problems.full_batch import private_slots
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.wording import counted, listed
from minigrad import to_host

FITTED = 1e-29  # mean of squares
LEAST = 1e-33  # that is drawn


@dataclass(frozen=True, kw_only=True)
class Generalization(Compared):
    rules: tuple[str, ...] = ("SGD", "AdaGrad", "Adam")
    n: int = 200  # examples to train on
    p: float = 0.6  # the probability of +1
    tests: int = 10_000  # new examples
    lr: float = 0.03  # of rules that divide by the size of gradients
    descent_lr: float = 0.3  # of others; above 1/3 descent may diverge
    steps: int = 2_000
    seeds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("[2, inf)", "steps", why="since all is 0 before the first")
        self.check("(0, inf)", "lr", "descent_lr")
        self.check("(0.5, 1)", "p", why="so that +1 is the majority")

    @property
    def labels(self) -> np.ndarray:
        """Those of the examples to train on, (seeds, n)."""
        return self._drawn(self.n, 0)

    @property
    def new_labels(self) -> np.ndarray:
        """Those of the new examples, (seeds, tests)."""
        return self._drawn(self.tests, 1)

    def _drawn(self, count: int, stream: int) -> np.ndarray:
        draws = [np.random.default_rng([self.seed + k, stream]) for k in range(self.seeds)]
        return np.where([rng.random(count) < self.p for rng in draws], 1, -1)


def fit(s, rule):
    """A rule on all seeds' examples."""
    (shared, private), loss = private_slots(s.labels)

    def watch(opt):
        return {"train": loss(0).item() / s.seeds, "shared": to_host(shared.data)}

    settings = {"lr": s.descent_lr if undivided(rule) else s.lr, "eps": 0.0}
    settings = {name: x for name, x in settings.items() if name in rule.hyperparameters()}
    times = recorded_times(s.steps)[1:]  # before the first step all weights are 0
    seen = {"times": times, "watch": watch, "separate": s.seeds > 1}
    return Watched([shared, private], loss, rule, **seen, **settings)


def trials(s):
    return {label: partial(fit, s, rule) for label, rule in s.compared.items()}


def scores(shared):
    """What new examples of +1 and of -1 are given, (..., 2), by the weights of what all share."""
    return np.stack([shared.sum(axis=-1), shared @ [-1, 1, 1]], axis=-1)


def errors(shared, s):
    """The share of new examples, of each seed, that get the wrong sign, or none."""
    wrong = scores(shared) * [1, -1] <= 0
    positive = (s.new_labels > 0).mean(axis=1)
    return wrong[..., 0] * positive + wrong[..., 1] * (1 - positive)


def least_norm(s):
    """The shared weights, (seeds, 3), of the solution of least norm: X^T a with X X^T a = y, where
    a has one value for the examples of each label."""
    solved = []
    for y in s.labels:
        plus, minus = (y > 0).sum(), (y < 0).sum()
        a, b = np.linalg.solve([[3 * plus + 1, minus], [plus, 3 * minus + 5]], [1, -1])
        solved.append([plus * a - minus * b, *[plus * a + minus * b] * 2])
    return np.array(solved)


def quarter_signs(s):
    """Those of sign(X^T y) / 4, where adaptive rules end by Lemma 3.1 of the paper."""
    total = s.labels.sum(axis=1)
    return np.stack([np.ones(s.seeds), *[np.sign(total)] * 2], axis=1) / 4


def told(rule, s):
    """The shared weights that the paper tells of a rule in the end; None if it tells nothing."""
    if rule in ("SGD", "Momentum", "Nesterov"):
        return least_norm(s)
    return quarter_signs(s) if rule in ("AdaGrad", "RMSProp", "Adam") else None


def ends(traces, s):
    """By rule: the mean square in training and the mean error on new examples, in the end."""
    return {
        rule: (float(trace["train"][-1]), float(errors(trace["shared"][-1], s).mean()))
        for rule, trace in traces.items()
    }


def verdict(traces, s):
    by = ends(traces, s)
    fitted = [rule for rule, (train, _) in by.items() if train <= FITTED]
    negative = (s.new_labels < 0).mean()
    wrong = listed(f"{rule} {error:.1%}" for rule, (_, error) in by.items())
    return (
        f"{len(fitted)} of {len(by)} rules fit the training data to {FITTED:g}; of new examples "
        f"the wrong label is given by {wrong}, where {negative:.1%} are -1"
    )


def draw(traces, s):
    sheet = Sheet(
        verdict(traces, s),
        r"least squares;   adaptive: $w \to \mathrm{sign}(X^T y)/4$;   descent: the least norm;   "
        r"$x = (y,\, 1,\, 1,\,$ own slots$)$: one of 1 if $y = 1$, five if $y = -1$",
        rf"$n = {s.n:,}$, $P(y = 1) = {s.p:g}$, {s.tests:,} new ones, "
        rf"{counted(s.seeds, 'seed')} from {s.seed} on; from 0, all data at once, $\epsilon = 0$, "
        rf"$\alpha = {s.descent_lr:g}$ for descent, ${s.lr:g}$ for others",
        rows=1,
        columns=3,
        size=(4.6, 3.3),
    )
    styles = looks(traces)
    train = sheet.panel(0, 0, "1. error on the training data", "step", "mean square")
    for rule, trace in traces.items():
        train.line(rule, trace["t"], np.maximum(trace["train"], LEAST), **styles[rule])
    train.axes.set(xscale="log", yscale="log")
    wrong = {rule: errors(trace["shared"][-1], s) for rule, trace in traces.items()}
    shares = {rule: f"{error.mean():.1%}" for rule, error in wrong.items()}
    new = sheet.panel(0, 1, "2. new examples that are told wrong", "share", "")
    new.ranges(wrong, styles, shares)
    negative = (s.new_labels < 0).mean()
    new.axes.axvline(negative, color="black", linewidth=0.6, linestyle="--")
    new.tag("all of -1", negative, len(traces) - 0.6, (-4, 0), ha="right")
    new.axes.margins(x=0.15)
    row = sheet.panel(0, 2, "3. what a new example is given in the end", "score", "")
    given = np.array([scores(trace["shared"][-1]).mean(axis=0) for trace in traces.values()])
    right = int(given[0, 1] > given[0, 0])  # which is named at its right, and not at its left
    for label, place, marker in (("+1", 0, "^"), ("-1", 1, "v")):
        means = given[:, place]
        style = {"color": "black", "marker": marker, "markersize": 8}
        style["markerfacecolor"] = "black" if place else "none"
        row.points(f"of {label}", means, np.arange(len(means)), **style)
        side, ha = (2, "left") if place == right else (-2, "right")
        row.tag(f"of {label}", means[0], 0, (side, 8), ha=ha)
    row.axes.axvline(0, color="black", linewidth=0.6)
    row.axes.set_yticks(range(len(traces)), list(traces))
    row.axes.set_ylim(len(traces) - 0.5, -0.7)
    row.axes.margins(x=0.15)
    row.note("told -1", 0.02, 0.04)
    row.note("told +1", 0.98, 0.04, ha="right")
    return sheet


def caption(traces, s):
    return (
        f"Least squares from 0, all data at once, under {listed(traces)}, with eps = 0, at alpha = "
        f"{s.descent_lr:g} for rules whose steps are as large as gradients and {s.lr:g} for "
        f"others.{of_names(s)} {counted(s.n, 'example')}, each with label +1 with probability "
        f"{s.p:g}, else -1, and the features: the label, two that are 1, and some of its own that "
        "are 1, one for +1, five for -1. 1: the mean of squared errors on these, on logarithmic "
        f"axes; what is below {LEAST:g} is drawn as that. 2: the share of "
        f"{counted(s.tests, 'new example')}, whose own features have a weight of 0, that get the "
        f"wrong sign in the end, the mean of {counted(s.seeds, 'seed')}, from {s.seed} on, and the "
        "range; dashed, the share that is -1. 3: what a new example of +1 (open triangle, up) and "
        "one of -1 (full, down) are given in the end; right of 0 is +1. "
        + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = []
    negative = (s.new_labels < 0).mean(axis=1)
    for rule, (train, error) in ends(traces, s).items():
        shared = traces[rule]["shared"][-1]
        plus, minus = scores(shared).mean(axis=0)
        text = (
            f"{rule}: training error {train:.1e}; {error:.2%} of new examples told wrong, where "
            f"{negative.mean():.2%} ({negative.min():.2%} to {negative.max():.2%} by seed) are -1; "
            f"one of +1 is given {plus:+z.3f}, one of -1 {minus:+z.3f}"
        )
        numbers = {"train": train, "error": error, "+1": float(plus), "-1": float(minus)}
        stated = {}
        if (weights := told(rule, s)) is not None:
            plus, minus = scores(weights).mean(axis=0)
            text += f", told {plus:+z.3f} and {minus:+z.3f}"
            error = float(errors(weights, s).mean())
            stated = {"error": error, "+1": float(plus), "-1": float(minus)}
        found.append(Finding(f"{text}.", numbers, stated))
    return found


EXPERIMENT = Experiment(
    name="generalization",
    summary="data that all rules fit, of which descent learns the label and adaptive rules nothing",
    settings=Generalization(),
    quick={"steps": 600, "seeds": 2},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
