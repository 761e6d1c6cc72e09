"""What the experiment on stalling rates shows: its figure, verdict, caption and findings."""

from math import sqrt

import numpy as np

from experiments.experiment import Finding
from experiments.loops.compared import of_names
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.wording import counted, listed, number

KINDS = "sparse", "dense"
RATES = 10.0 ** np.arange(-3.5, 0.25, 0.25)
LEARNED = 0.01  # of the error at w = 0


def before_move(trace, s):
    """Which recorded times are in the last tenth of the steps before the minimum moves."""
    return (0.9 * s.shift <= trace["t"]) & (trace["t"] < s.shift)


def best(trace, s):
    """The rate with the least error then, on average."""
    return int(trace["error"][before_move(trace, s)].mean(axis=0).argmin())


def reached(traces, kind, name, s):
    """The mean error then, at the best rate."""
    trace = traces[f"{kind} {name}"]
    return float(trace["error"][before_move(trace, s), best(trace, s)].mean())


def level(kind, s):
    """The error below which a rule has learned."""
    return LEARNED * sum(s.problem(kind).frequencies) / 2


def learned(traces, kind, name, s):
    """After how many steps a rule has, at its best rate, from the start and from the move on; None
    for never."""
    trace, found = traces[f"{kind} {name}"], []
    error, t = trace["error"][:, best(trace, s)], trace["t"]
    for first, last in ((1, s.shift), (s.shift, s.steps + 1)):
        there = (error < level(kind, s)) & (first <= t) & (t < last)
        found.append(int(t[there.argmax()]) - first if there.any() else None)
    return found


def took(traces, kind, name, s):
    """The same in words."""
    most = s.shift - 1, s.steps - s.shift + 1
    first, anew = (
        f"more than {limit:,}" if steps is None else f"{steps:,}"
        for steps, limit in zip(learned(traces, kind, name, s), most, strict=True)
    )
    return f"learns in {first} steps, anew in {anew}"


def shrunk(traces, name, s):
    """By what factor the outlier makes the rate of its weight smaller than it was without: just
    after it, and before the move; None for a rule without a diagonal."""
    without, trace = traces[f"dense {name}"], traces[f"outlier {name}"]
    if "metric" not in trace:
        return None
    chosen, n = best(without, s), len(trace["t"])
    factor = trace["metric"][:, chosen, 0] / without["metric"][:n, chosen, 0]
    return float(factor[trace["t"] >= s.at][0]), float(factor[-1])


def rated(s):
    """The rules whose rates are drawn: one that falls and one that does not, or else the first with
    a diagonal; none where no rule has one."""
    having = [label for label, one in s.compared.items() if one.rule.diagonal is not None]
    return [name for name in having if name in ("AdaGrad", "Adam")] or having[:1]


def verdict(traces, s):
    parts = []
    if {"AdaGrad", "SGD"} <= set(s.names):
        sparse, dense = (
            reached(traces, kind, "SGD", s) / reached(traces, kind, "AdaGrad", s) for kind in KINDS
        )
        parts.append(
            f"SGD's error is {sparse:.2g} times AdaGrad's on sparse features, {dense:.2g} times on "
            "dense"
        )
    if "AdaGrad" in s.names:
        parts.append(f"on dense AdaGrad {took(traces, 'dense', 'AdaGrad', s)}")
    if "AMSGrad" in s.names:
        factor = shrunk(traces, "AMSGrad", s)[1]
        parts.append(f"one outlier keeps AMSGrad's rate {factor:.2g} times smaller")
    text = "; ".join(parts) or f"How {listed(s.names)} learn, and learn anew"
    return text[0].upper() + text[1:]


def draw(traces, s):
    sheet = Sheet(
        verdict(traces, s),
        r"$f_t(w) = |w \cdot x - y|$,  $y = \Sigma_i \pm x_i + $ noise;   sparse: $x_i \neq 0$ "
        r"with probability $1/i$;   dense: always;   "
        r"AdaGrad: $w \leftarrow w - \alpha\, g / \sqrt{\Sigma g^2}$",
        rf"{s.features} features, noise {s.noise:g}, one example a step, each rule at the best of "
        rf"{len(RATES)} constant $\alpha$ from ${RATES[0]:.2g}$ to ${RATES[-1]:.2g}$, "
        rf"$\beta = {s.betas}$, {counted(s.seeds, 'seed')}",
        rows=2,
        columns=3,
        size=(4.5, 3.1),
    )
    styles = looks(s.names)
    for row, kind in enumerate(KINDS):
        since = f"steps since the minimum moved, after ${number(s.shift - 1)}$"
        start = sheet.panel(row, 0, f"{kind}: from the start", "$t$", "error")
        moved = sheet.panel(row, 1, f"{kind}: when the minimum moves", since, "")
        for name in s.names:
            trace = traces[f"{kind} {name}"]
            chosen, late = best(trace, s), trace["t"] >= s.shift
            t, error = trace["t"], trace["error"][:, chosen]
            start.line(name, t[~late], error[~late], end="", **styles[name])
            moved.line(name, t[late] - s.shift + 1, error[late], **styles[name])
        for panel in (start, moved):
            panel.limit(level(kind, s), "learned")
    rates = sheet.panel(0, 2, "rates: the first feature and the last", "$t$", "")
    for name in rated(s):
        for kind, which, text in (
            ("sparse", 1, f"{name}, seen 1/{s.features}"),
            ("sparse", 0, f"{name}, sparse, always"),
            ("dense", 0, f"{name}, dense"),
        ):
            trace = traces[f"{kind} {name}"]
            early = (10 <= trace["t"]) & (trace["t"] < s.shift)
            rate = 1 / trace["metric"][early, best(trace, s), which]
            look = styles[name] | {"linestyle": ":" if kind == "dense" else "-"}
            look["markerfacecolor"] = "none" if which else look["color"]
            rates.line(text, trace["t"][early], rate, **look)
    if not rated(s):
        rates.note("no rule here has a diagonal", 0.5, 0.5, ha="center")
    title = rf"dense, and one gradient $\times{s.outlier:g}$ at $t = {s.at}$"
    outlier = sheet.panel(1, 2, title, "$t$", "how far its weight is off")
    for name in s.names:
        trace = traces[f"outlier {name}"]
        off = trace["off"][:, best(traces[f"dense {name}"], s), 0]
        outlier.line(name, trace["t"], off, **styles[name])
    for panel in sheet.panels:
        panel.axes.set(xscale="log", yscale="log")
        panel.axes.minorticks_off()
    return sheet


def caption(traces, s):
    rates = "nothing, since no rule here has a diagonal"
    if rated(s):
        rates = f"rates under {listed(rated(s))}, of the first weight and of the last"
    return (
        f"Least absolute deviations with {s.features} features, one example a step, under "
        f"{listed(s.names)}, each at that constant alpha of {RATES[0]:.2g} to {RATES[-1]:.2g} "
        f"which has the least error before the minimum moves, beta = {s.betas} where a rule has no "
        f"others, the mean of {counted(s.seeds, 'seed')}, from w = 0, on logarithmic "
        f"axes.{of_names(s)} y is the sum of +-x_i and noise of standard deviation {s.noise:g}; "
        "x_i is normal, on sparse features with probability 1/i and else 0, on dense ones always; "
        f"after {s.shift - 1:,} steps all signs change. Left and middle: the error, half of the "
        f"mean square by which predictions are off without the noise, and {LEARNED:g} of what it "
        "is at w = 0, below which a rule is said to have learned. Top right: "
        f"{rates}. Bottom right: how far the first "
        f"weight is off on dense features, where its gradient of step {s.at} is {s.outlier:g} "
        "times too large. " + " ".join(f.text for f in findings(traces, s))
    )


def findings(traces, s):
    found = []
    for kind in KINDS:
        for name in s.names:
            chosen, error = best(traces[f"{kind} {name}"], s), reached(traces, kind, name, s)
            numbers = {"lr": float(RATES[chosen]), "error": error}
            steps = zip(("first", "anew"), learned(traces, kind, name, s), strict=True)
            numbers |= {key: n for key, n in steps if n is not None}
            edge = ", the end of the grid" if chosen in (0, len(RATES) - 1) else ""
            text = f"{kind} {name}: error {error:.2g} at lr = {RATES[chosen]:.2g}{edge}"
            found.append(Finding(f"{text}; {took(traces, kind, name, s)}.", numbers))
    if "AdaGrad" in s.names:
        found += of_adagrad(traces, s)
    for name in s.names:
        if (factors := shrunk(traces, name, s)) is None:
            found.append(Finding(f"outlier {name}: it has no diagonal, so a weight has no rate."))
            continue
        once, last = factors
        text = (
            f"outlier {name}: the rate of its weight is {once:.3g} times smaller at once, "
            f"{last:.3g} times after {s.shift - 1 - s.at:,} steps."
        )
        found.append(Finding(text, {"at once": once, "last": last}))
    return found


def of_adagrad(traces, s):
    """How its rate falls in time and with the share of examples that have a feature."""
    dense, sparse = (traces[f"{kind} AdaGrad"] for kind in ("dense", "sparse"))
    t = dense["t"]
    last, first = np.flatnonzero(t < s.shift)[-1], np.flatnonzero(t >= s.shift // 10)[0]
    rates = 1 / dense["metric"][[first, last], best(dense, s), 0]
    slope = float(np.log(rates[1] / rates[0]) / np.log(t[last] / t[first]))
    ratio = float(np.divide(*sparse["metric"][last, best(sparse, s)]))
    return [
        Finding(
            f"AdaGrad's rate falls as t^{slope:.2f} on dense features from t = {t[first]:,} on; on "
            f"sparse ones that of the last, seen 1/{s.features} of the time, is {ratio:.2g} times "
            f"that of the first (by what they are seen, {sqrt(s.features):.2g} times).",
            {"exponent": slope, "ratio": ratio},
            {"exponent": -0.5, "ratio": sqrt(s.features)},
        )
    ]
