"""What the experiment on rare classes shows: its figure, verdict, caption and findings."""

from math import log

import numpy as np

from experiments.experiment import Finding
from experiments.loops.compared import of_names
from experiments.problems.full_batch import heavy_tail
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.wording import between, counted, listed

TAIL = "descent", "sign descent", "Adam"
RATES = 10.0 ** np.arange(-3, 2.25, 0.5)  # of the rules on digits


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
