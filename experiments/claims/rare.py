"""Rare classes: descent learns each at the pace of its frequency, sign descent and Adam all alike.

Kunstner et al., arXiv:2402.19449, on a hundred classes of frequencies 1/k; and the same on digits
of which one is rare, under rules at their best rates.
"""

from dataclasses import dataclass
from functools import partial
from math import log

import numpy as np

import optim
from experiments.experiment import Experiment, Finding
from experiments.loops.compared import Compared, of_names
from experiments.loops.online import recorded_times, spaced
from experiments.loops.watched import Watched
from experiments.problems.full_batch import heavy_tail
from experiments.problems.thinned import Thinned
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.wording import between, counted, listed
from minigrad import to_host, xp

TAIL = "descent", "sign descent", "Adam"
RATES = 10.0 ** np.arange(-3, 2.25, 0.5)  # of the rules on digits


@dataclass(frozen=True, kw_only=True)
class Rare(Compared):
    classes: int = 100
    tail_steps: int = 2000
    early: int = 100  # the step at which all classes are looked at
    lr: float = 5.0  # of descent
    sign_lr: float = 0.01  # of sign descent and Adam
    rules: tuple[str, ...] = ("SGD", "Adam", "AMSGrad")  # on digits
    digit: int = 8
    share: float = 0.01  # of that digit among the images
    batch: int = 32
    steps: int = 2000
    seeds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_varies("lr")
        self.check_positive("lr", "sign_lr")
        if self.classes < 3:
            raise ValueError(f"classes={self.classes}: give at least 3.")
        if not 1 < self.early <= self.tail_steps:
            raise ValueError(
                f"early={self.early}: give one of the {self.tail_steps} steps, from 2."
            )
        if self.digit > 9:
            raise ValueError(f"digit={self.digit}: give one of 1 to 9.")
        if not 0.001 <= self.share <= 0.09:
            raise ValueError(f"share={self.share}: give one from 0.001, an image, to 0.09.")

    @property
    def rarity(self) -> str:
        """The share in words."""
        return f"{100 * self.share:g} %"

    @property
    def limit(self) -> float:
        """What loss times frequency, alpha and t tends to under descent: the gap between the logits
        of a class grows by K / (K - 1) times the slope of its own."""
        return 1 - 1 / self.classes

    @property
    def shown(self) -> list[int]:
        """The classes whose losses are drawn over steps: the first, the last, and one between."""
        return sorted({1, round(self.classes**0.5), self.classes})


def tail(s, rule, **hyperparameters):
    """A rule on the hundred classes, and the loss of each."""
    ((logits,), loss), _ = heavy_tail(s.classes)

    def watch(opt):
        z = to_host(logits.data)
        return {"losses": np.log(np.exp(z - z.diagonal()[:, None]).sum(axis=1))}

    times = np.union1d(recorded_times(s.tail_steps), [s.early])
    return Watched([logits], loss, rule, times=times, watch=watch, **hyperparameters)


def digits(s, rule):
    """A rule on the digits, at every rate with every seed."""
    thinned = Thinned(s.digit, s.share, s.seeds, s.seed)
    params, loss, watch = thinned.regressions(len(RATES), s.batch)
    of = [np.broadcast_to(RATES[:, None, None, None], p.shape).ravel() for p in params]
    times = spaced(s.steps, 60)
    lr = xp.asarray(np.concatenate(of))
    return Watched(params, loss, rule, times=times, watch=watch, lr=lr, separate=True)


def trials(s):
    makers = {
        "descent": partial(tail, s, optim.SGD, lr=s.lr),
        "sign descent": partial(tail, s, optim.SignSGD, lr=s.sign_lr),
        "Adam": partial(tail, s, optim.Adam, lr=s.sign_lr),
    }
    rules = s.compared.items()
    return makers | {f"digits {label}": partial(digits, s, rule) for label, rule in rules}


def early(traces, s):
    """By rule: the loss of each class before the step `early`."""
    place = np.flatnonzero(traces["descent"]["t"] == s.early)[0]
    return {label: traces[label]["losses"][place] for label in TAIL}


def on_digits(traces):
    """By rule: its best rate, that of the least mean loss in the end, and at that rate the recall
    and the accuracy on the other digits, (times, seeds)."""
    found = {}
    for label, trace in traces.items():
        if label not in TAIL:
            best = trace["loss"][-1].mean(axis=1).argmin()
            seen = trace["recall"][:, best], trace["others"][:, best]
            found[label.removeprefix("digits ")] = (float(RATES[best]), *seen)
    return found


def verdict(traces, s):
    losses = early(traces, s).items()
    by = [f"{between(loss, '.3g')} under {label}" for label, loss in losses]
    last = {rule: recall[-1] for rule, (_, recall, _) in on_digits(traces).items()}
    recalled = listed(f"{rule} recalls {recall.mean():.0%}" for rule, recall in last.items())
    tie = max(map(np.min, last.values())) <= min(map(np.max, last.values()))
    return (
        f"At step {s.early} the losses of {s.classes} classes with frequencies as 1/k are "
        f"{listed(by)}; of a digit at {s.rarity} {recalled} in the end"
        + (": a tie" if tie and len(last) > 1 and s.seeds > 1 else "")
    )


def draw(traces, s):
    sheet = Sheet(
        verdict(traces, s),
        r"descent: loss of class $k$ $\to (1 - 1/K)/(\pi_k\,\alpha\,t)$;   sign descent: "
        r"$\ln(1 + (K - 1)\,e^{-2\alpha(t - 1)})$ for every class;   $\pi_k \propto 1/k$",
        rf"1, 2: $K = {s.classes}$ classes, an example of class $k$ is the unit vector $k$, all "
        rf"data at once, from 0; $\alpha = {s.lr:g}$ for descent, ${s.sign_lr:g}$ for sign descent "
        "and Adam",
        rows=2,
        columns=2,
    )
    sheet.remark(
        f"3, 4: a digit at {s.rarity} of the images; softmax regression on the 8x8 digits, batch "
        f"{s.batch}, {counted(s.seeds, 'seed')} and their range; the best of {len(RATES)} rates"
    )
    panel = sheet.panel(0, 0, "1. descent, class by class", "step", "loss of a class")
    _, frequencies = heavy_tail(s.classes)
    t, losses = traces["descent"]["t"], traces["descent"]["losses"]
    styles = looks([f"{k}" for k in s.shown])
    for k in s.shown:
        panel.line(f"class {k}", t, losses[:, k - 1], end=f"$k = {k}$", **styles[f"{k}"])
        told = s.limit / (frequencies[k - 1] * s.lr * t)
        seen = told < 2 * log(s.classes)
        panel.line(f"limit of class {k}", t[seen], told[seen], end="", color="black", linewidth=0.5)
    panel.axes.set(xscale="log", yscale="log")
    panel.note("thin: the limit", 0.04, 0.06)
    flat = sheet.panel(0, 1, f"2. every class at step {s.early}", "class $k$", "loss")
    styles = looks(TAIL)
    for label, loss in early(traces, s).items():
        flat.line(label, np.arange(1, s.classes + 1), loss, **styles[label])
    flat.axes.set(xscale="log", yscale="log")
    recalled = sheet.panel(1, 0, f"3. the digit {s.digit}, at the best rate", "step", "recall")
    by_rate = sheet.panel(1, 1, "4. in the end, by rate", r"$\alpha$", "recall")
    styles = looks(on_digits(traces))
    for label, (_, recall, _) in on_digits(traces).items():
        trace, style = traces[f"digits {label}"], styles[label]
        band = recall.min(axis=1), recall.max(axis=1)
        recalled.line(label, trace["t"], recall.mean(axis=1), *band, **style)
        by_rate.line(label, RATES, trace["recall"][-1].mean(axis=1), **style)
    for panel in (recalled, by_rate):
        panel.axes.set(xscale="log", ylim=(-0.02, 1.02))
    return sheet


def caption(traces, s):
    return (
        f"1, 2: K = {s.classes} classes with frequencies as 1/k; an example of class k is the k-th "
        "unit vector; softmax regression from 0 on all of them at once, on logarithmic axes. 1: "
        f"the loss of classes {listed(map(str, s.shown))} under descent at alpha = {s.lr:g} for "
        f"{s.tail_steps:,} steps, with (1 - 1/K)/(pi_k alpha t), which they tend to (thin). 2: the "
        f"loss of every class before step {s.early} under descent, and under sign descent and Adam "
        f"at alpha = {s.sign_lr:g}. 3: softmax regression on the 8x8 digits, with images of "
        f"{s.digit} left out until {s.rarity} are of it: the share of those left out that is "
        f"recalled, before each of {counted(s.steps, 'step')} with {counted(s.batch, 'image')} "
        f"drawn anew; the mean of {counted(s.seeds, 'seed')} (from {s.seed} on) with the range; "
        f"each rule at the constant rate, of {len(RATES)} from {RATES[0]:g} to {RATES[-1]:g}, with "
        "which the loss in training ends lowest. 4: the mean in the end at every "
        f"rate.{of_names(s)} " + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = []
    _, frequencies = heavy_tail(s.classes)
    pace = traces["descent"]["losses"][-1] * frequencies * s.lr * s.tail_steps
    numbers = {f"k = {k}": float(pace[k - 1]) for k in s.shown}
    text = ", ".join(f"{x:.3f} for {k}" for k, x in numbers.items())
    text = f"Descent, step {s.tail_steps:,}: loss times pi_k alpha t is {text}; it tends to "
    text += f"{s.limit:.3f}."
    found.append(Finding(text, numbers, dict.fromkeys(numbers, s.limit)))
    told = log(1 + (s.classes - 1) * np.exp(-2 * s.sign_lr * (s.early - 1)))
    for label, loss in early(traces, s).items():
        low, high = float(loss.min()), float(loss.max())
        text = f"{label}, step {s.early}: the losses of the classes are {low:.4f} to {high:.4f}"
        stated = {}
        if label == "sign descent":
            text += f", in closed form {told:.4f} for each"
            stated = {"least": told, "most": told}
        found.append(Finding(f"{text}.", {"least": low, "most": high}, stated))
    for label, (rate, recall, others) in on_digits(traces).items():
        edge = " (the edge of the grid)" if rate in RATES[[0, -1]] else ""
        last, trace = recall[-1], traces[f"digits {label}"]
        half = RATES[trace["recall"][-1].mean(axis=1) > 0.5]
        where = f"from {half[0]:.3g} to {half[-1]:.3g}" if len(half) else "at none"
        text = (
            f"Digit {s.digit} under {label}, best at {rate:.3g}{edge}: {last.mean():.1%} are "
            f"recalled in the end ({last.min():.1%} to {last.max():.1%}), and of the others "
            f"{others[-1].mean():.1%}; more than half at rates {where}."
        )
        numbers = {"lr": rate, "recall": float(last.mean()), "others": float(others[-1].mean())}
        found.append(Finding(text, numbers))
    return found


EXPERIMENT = Experiment(
    name="rare",
    summary="rare classes: descent learns them at the pace of their frequency, Adam with the rest",
    settings=Rare(),
    quick={"tail_steps": 300, "steps": 200, "seeds": 2},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
