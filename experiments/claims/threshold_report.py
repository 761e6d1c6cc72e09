"""What is drawn and said of the critical beta2."""

from itertools import chain
from math import log, log10

import numpy as np

from experiments.experiment import Finding
from experiments.problems.drift import climbing, drift
from experiments.problems.finite_sum import BEST, FiniteSum
from experiments.problems.linear import theorem_2
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.panel import SMALL
from experiments.record.wording import counted, listed, number

BETA2S = 1 - 10.0 ** -np.linspace(0, 4, 81)  # of the runs on the interval
SUM_BETA2S = 1 - 10.0 ** -np.linspace(0.05, 2, 40)  # of those on the finite sums
TOLD = 0, 19  # of these: 0.109 and 0.9
GROUND = 1 - 10.0 ** -np.linspace(0, 4, 400)  # beta2s of the map
NEAR = 0.1  # within which x is said to be at an end of [-1, 1]
APART_TICKS, LINE = 0.05, 0.07  # of the height of axes: between ticks, and of a legend's line
APART = 0.1  # by how much one x is farther off than another; what is nearer x* is drawn as this
TO_BEST, TO_WORST, BETWEEN = "#0072B2", "#D55E00", "#000000"


def grid(s, beta2s):
    """The betas of all copies: each beta2 with beta1 = 0, and then with the other."""
    return tuple(b.ravel() for b in np.meshgrid([0.0, s.beta1], beta2s, indexing="ij"))


def ends(traces, c):
    """+1 or -1 where x is there in the last quarter of the steps, else 0: (beta1s, beta2s)."""
    x = traces[f"C = {c}"]["x"].mean(axis=0).reshape(2, -1)
    return np.where(np.abs(x) > 1 - NEAR, np.sign(x), 0)


def far(traces, rule, n):
    """x - x* in half of the steps and in the end: (times, orders, beta1s, beta2s)."""
    x = traces[f"{rule}, n = {n}"]["x"][1:]
    return x.reshape(*x.shape[:2], 2, -1) - BEST


def critical(problem, beta1):
    """The beta2 above which x drifts to -1, None if it does with any."""
    intervals = climbing(problem, beta1)
    return intervals[-1][1] if intervals else None


def region(problem, beta1):
    """The beta2s with which x climbs, in words."""
    parts = [
        f"from {written(low)} to {written(high)}" if low else f"below {written(high)}"
        for low, high in climbing(problem, beta1)
    ]
    return f"for beta2 {listed(parts)}" if parts else "with no beta2"


def depth(beta2):
    return -log10(1 - beta2)


def written(beta2):
    """To three digits, or two of 1 - beta2."""
    return f"{beta2:.{max(3, int(depth(beta2)) + 2)}f}"


def verdict(traces, s):
    cs, ns = (dict.fromkeys((min(of), max(of))) for of in (s.cs, s.sizes))
    online = listed(f"{written(critical(theorem_2(c), 0.0))} at C = {c}" for c in cs)
    sums = listed(f"{written(critical(FiniteSum(n).linear, 0.0))} at n = {n}" for n in ns)
    return (
        f"Adam's critical beta2 grows with the problem: at beta1 = 0 it is {online}, for "
        f"large C 1 - 4/C^2; for a sum of n functions, on which x goes to infinity below it, {sums}"
    )


def draw(traces, s):
    sheet = Sheet(
        verdict(traces, s),
        r"1, 2: $f_t(x) = C x$ if $t\;\mathrm{mod}\;C = 1$, else $-x$, on $[-1, 1]$;   "
        r"3, 4: $f_0' = 1 + (n-1)a$, $f_i' = -a$ for $x \geq -1$, $a = (n-1)^{-2}$",
        rf"1, 2: $\alpha_t = {s.lr:g}/\sqrt{{t}}$, $x_1 = {s.start:g}$, $T = {number(s.steps)}$;  "
        rf"3, 4: $\alpha_t = {s.sum_lr:g}/\sqrt{{t}}$, $x_1 = {s.sum_start:g}$, "
        rf"$T = {number(s.sum_steps)}$, {counted(s.shuffles, 'order')} of seed {s.seed}",
        rows=2,
        columns=2,
    )
    for column, beta1 in enumerate((0.0, s.beta1)):
        title = f"{column + 1}. $\\beta_1 = {beta1:g}$: to +1 (orange, dots), to -1 (blue, dashes)"
        chart(sheet.panel(0, column, title, "$\\beta_2$", "$C$"), traces, s, column, beta1)
    for column, beta1 in enumerate((0.0, s.beta1)):
        title = f"{column + 3}. $\\beta_1 = {beta1:g}$: in order, and reshuffled (dashed, hollow)"
        panel = sheet.panel(1, column, title, "$\\beta_2$", r"$|x_T - x^*|$")
        distances(panel, traces, s, column, beta1)
    return sheet


def chart(panel, traces, s, column, beta1):
    """Where the drift goes, over beta2 and C, and where the runs went."""
    cs = np.unique(np.geomspace(3, 1.4 * max(s.cs), 120).round().astype(int))
    drifts = np.array([drift(theorem_2(int(c)), (beta1, GROUND)) for c in cs])
    panel.signs(GROUND, cs, drifts, [TO_BEST, TO_WORST])
    look = {"color": "black", "linewidth": 1, "marker": "", "end": ""}
    climbs = [(*both, c) for c in cs for both in climbing(theorem_2(int(c)), beta1)]
    for side in (0, 1):  # the lower ends of where x climbs, but 0, and the upper
        if turns := [(one[side], one[2]) for one in climbs if one[side]]:
            panel.line("drift 0", *np.transpose(turns), **look)
    panel.line("1 - beta2 = 4/C^2", 1 - 4 / cs**2.0, cs, linestyle=":", **look)
    for label, end, color, marker in (
        ("a run that ends at +1", 1, TO_WORST, "o"),
        ("a run that ends at -1", -1, TO_BEST, "_"),
        ("a run that is between", 0, BETWEEN, "x"),
    ):
        there = [(beta2, c) for c in s.cs for beta2 in BETA2S[ends(traces, c)[column] == end]]
        if there:
            look = {"color": color, "marker": marker, "markersize": 3, "rasterized": end != 0}
            panel.points(label, *np.transpose(there), **look)
    panel.axes.set_yscale("log")
    panel.axes.set_ylim(cs[0], cs[-1])
    ticks: list[int] = []
    for c in sorted(s.cs):
        if not ticks or log(c / ticks[-1]) > APART_TICKS * log(cs[-1] / cs[0]):
            ticks.append(c)
    panel.axes.set_yticks(ticks, [f"{c}" for c in ticks])
    panel.axes.minorticks_off()
    panel.beta_axis("x", 1e-4)
    panel.note("x: between the two", 0.97, 0.16, ha="right")


def distances(panel, traces, s, column, beta1):
    """How far from the best point Adam ends on the finite sums."""
    styles = looks(f"n = {n}" for n in s.sizes)
    for n in s.sizes:
        label = f"n = {n}"
        off = np.maximum(np.abs(far(traces, "Adam", n)[1, :, column]), APART)
        key = f"{label}: {region(FiniteSum(n).linear, beta1).removeprefix('for ')}"
        style = styles[label] | {"linestyle": "-", "markevery": 4}
        panel.line(label, SUM_BETA2S, off[0], end="", **style)
        panel.curves[-1][1].set_label(key)
        style |= {"linestyle": "--", "markerfacecolor": "none", "linewidth": 1}
        mean, low, high = (f(off[1:], axis=0) for f in (np.mean, np.min, np.max))
        panel.line(f"{label}, reshuffled", SUM_BETA2S, mean, low, high, end="", **style)
        for turn in chain.from_iterable(climbing(FiniteSum(n).linear, beta1)):
            panel.axes.axvline(turn, color=style["color"], linewidth=0.6)
    panel.axes.set_yscale("log")
    low, high = 0.8 * APART, panel.axes.get_ylim()[1]
    legend = min(LINE * (1 + len(s.sizes)), 0.8)  # of the height
    panel.axes.set_ylim(low, high * (high / low) ** (legend / (1 - legend)))
    keys = {"title": "in closed form x climbs without end", "loc": "upper right"}
    panel.axes.legend(fontsize=SMALL, title_fontsize=SMALL, frameon=False, **keys)
    panel.beta_axis("x", 1e-2)


def caption(traces, s):
    return (
        "1, 2: f_t(x) = Cx if t mod C = 1, else -x, on [-1, 1], under Adam without bias "
        "correction, over beta2 on an axis of -log(1 - beta2) and C on a logarithmic one, at "
        f"beta1 = 0 (RMSProp) and {s.beta1:g}. The ground is the sign of the drift of a period in "
        "closed form, the black line where it is 0, the dotted one 1 - beta2 = 4/C^2, to which "
        f"that tends at beta1 = 0. The marks are runs of {s.steps:,} steps of {s.lr:g}/sqrt(t) "
        f"from {s.start:g}: a dot where x averages above {1 - NEAR:g} over the last quarter of the "
        f"steps, a dash where below {NEAR - 1:g}, a cross where it is between. 3, 4: a sum of n "
        "functions whose slopes from -1 on are 1 + (n-1) a and, n - 1 times, -a, with a = "
        "1/(n-1)^2, and which are quadratic below, so that x* = -2; one function a step, without "
        "a projection: how far Adam, with bias correction, is from x* after the whole passes of "
        f"{s.sum_steps:,} steps of {s.sum_lr:g}/sqrt(t) from {s.sum_start:g}, in the order of the "
        f"sum and, dashed, in the mean over {counted(s.shuffles, 'order')} drawn anew for "
        f"every pass, with their range; less than {APART} is drawn as that. Vertical lines are "
        "where the drift turns. " + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = [on_interval(traces, c, row, b) for c in s.cs for row, b in enumerate((0.0, s.beta1))]
    for rule in ("Adam", "PaperAdam"):
        found += [on_sum(traces, s, rule, n) for n in s.sizes]
    return found


def on_interval(traces, c, row, beta1):
    """Of one C and one beta1."""
    problem, end = theorem_2(c), ends(traces, c)[row]
    moved = drift(problem, (beta1, BETA2S))
    against = int(np.sum(end * moved < 0))
    star = critical(problem, beta1)
    text = f"C = {c}, beta1 = {beta1:g}: x drifts to +1 {region(problem, beta1)}"
    numbers = {"runs at +1": int((end > 0).sum()), "runs at -1": int((end < 0).sum())}
    if star is not None:
        numbers["-log10(1 - beta2*)"] = depth(star)
        text += f", where -log10(1 - beta2) = {depth(star):.4f}"
        if not beta1:
            text += f" (of 4/C^2 {depth(1 - 4 / c**2):.4f})"
    text += (
        f"; of {end.size} runs {numbers['runs at +1']} end there and {numbers['runs at -1']} at "
        f"-1, {against or 'none'} against the drift."
    )
    return Finding(text, numbers)


def on_sum(traces, s, rule, n):
    """Of one size of the finite sum under one rule."""
    problem, off = FiniteSum(n).linear, far(traces, rule, n)
    last, reshuffled = off[1, 0], off[1, 1:]
    ups = np.array([drift(problem, (beta1, SUM_BETA2S)) > 0 for beta1 in (0.0, s.beta1)])
    above = (off[:, 0] > -1 - BEST).all(axis=0)  # where x is above -1, so that the drift holds
    moved = off[1, 0] - off[0, 0]
    against = int(np.sum(above & np.where(ups, moved < 0, moved > 0)))
    farther = np.abs(reshuffled).mean(axis=0) - np.abs(last)
    numbers, told = {"against the drift": float(against)}, []
    for row, beta1 in enumerate((0.0, s.beta1)):
        for k in TOLD:
            at = f"({beta1:g}, {SUM_BETA2S[k]:.3g})"
            one, mean = float(last[row, k]), float(reshuffled[:, row, k].mean())
            numbers |= {f"in order at {at}": one, f"reshuffled at {at}": mean}
            told.append(f"{one:+.3f} and {mean:+.3f} at {at}")
    text = (
        f"{rule}, n = {n}: x climbs without end {region(problem, 0.0)} at beta1 = 0, "
        f"{region(problem, s.beta1)} at {s.beta1:g}. In order and reshuffled x - x* is "
        f"{listed(told)} after {s.sum_steps // n * n:,} steps. Of {above.sum()} runs in order that "
        f"are above -1 in the second half {against or 'none'} moved against the drift. Reshuffled "
        f"x is farther off, by {APART} or more, at {(farther >= APART).sum()} of {last.size} "
        f"betas, and nearer at {(-farther >= APART).sum()}."
    )
    return Finding(text, numbers)
