"""What the experiment on projections shows: its figure, verdict, caption and findings."""

import numpy as np

from experiments.experiment import Finding
from experiments.problems.shapes import SHAPES
from experiments.record.curves import COLORS
from experiments.record.figure import Sheet
from experiments.record.wording import counted, number

METRICS = {"plain": True, "own": False}  # label: whether to project in the plain metric
REACH = 0.45  # length of the step that is drawn
INSIDE = 1e-9  # distance from the set up to which its end is in it
CLOSE = 0.15  # distance of points on paper that are named together
LEAST = 1e-9  # distance that is drawn
LOOKS = {
    "plain": {"color": COLORS[0], "linestyle": "-", "marker": "o"},
    "own": {"color": COLORS[1], "linestyle": "--", "marker": "s"},
}


def above(name, x, s):
    """f(x) above its least on the set."""
    least = SHAPES[name].minimum(s.slope(name)) @ s.slope(name)
    return np.maximum(x @ s.slope(name) - least, 0)  # less is rounding


def gap(traces, name, label, s):
    """The same for each x_t of a run."""
    return above(name, traces[f"{name} {label}"]["x"], s)


def one_step(traces, name, s):
    """From where the run in the plain metric ends: that point, where a step along the slope over
    the rule's weights leads, these, and the nearest points of the set in either metric."""
    trace, shape = traces[f"{name} plain"], SHAPES[name]
    x, weights = trace["x"][-1], trace["metric"][-1] / trace["metric"][-1].max()
    step = s.slope(name) / weights
    outside = x - REACH * step / np.linalg.norm(step)
    return x, outside, weights, shape.nearest(outside), shape.nearest(outside, weights)


def stopped(traces, name, s):
    """How far above its least f is where c/sqrt(v) is normal to the set: on the simplex at the
    corner with the least of it, or at x_1 where all of it is the same."""
    step = s.slope(name) / one_step(traces, name, s)[2]
    if np.ptp(step) < 1e-6 * np.abs(step).max() and name == "simplex":
        return float(above(name, s.start(name), s))
    return float(above(name, SHAPES[name].minimum(step), s))


def verdict(traces, s):
    plain, own = (
        " and ".join(f"{gap(traces, name, label, s)[-1]:.2g} on the {name}" for name in SHAPES)
        for label in METRICS
    )
    return (
        f"Projected in the plain metric {s.named.label} ends above the minimum by {plain}; "
        f"in its own {own}"
    )


def draw(traces, s):
    slopes = " and ".join(f"${tuple(s.slope(name).tolist())}$ on the {name}" for name in SHAPES)
    sheet = Sheet(
        verdict(traces, s),
        r"$x_{t+1} = \mathrm{argmin}_{x \in F}\, \Sigma_i\, w_i (x_i - \hat x_i)^2$,  "
        r"$\hat x = x_t - \alpha_t m_t / \sqrt{v_t}$;   plain: $w_i = 1$;   own: "
        r"$w_i = \sqrt{v_i}$",
        rf"$f(x) = c \cdot x$ at every step, $c$ = {slopes}, $\alpha_t = {s.lr:g}/\sqrt{{t}}$, "
        rf"$\beta = {s.betas}$, $T = {number(s.steps)}$;  nothing is random",
        rows=2,
        columns=3,
        size=(4.5, 3.6),
    )
    for row, (name, shape) in enumerate(SHAPES.items()):
        step = sheet.panel(row, 0, f"{name}: nearest to the end of a step", "", "")
        path = sheet.panel(row, 1, f"{name}: paths", "", "")
        away = sheet.panel(row, 2, f"{name}: distance", "$t$", r"$f(x_t) - \min f$")
        for panel in (step, path):
            edge = {"color": "black", "linewidth": 0.8}
            panel.line(f"the {name}", *shape.outline, end="", **edge)
            panel.axes.set_aspect("equal")
            panel.axes.set_axis_off()
        draw_step(step, traces, name, s)
        t = np.unique(np.geomspace(1, s.steps, 150).astype(int))
        for label, look in LOOKS.items():
            x = shape.seen(traces[f"{name} {label}"]["x"][t - 1])
            path.line(f"{label} metric", *x.T, end="", **look | {"markevery": [0, -1]})
            left = np.maximum(gap(traces, name, label, s)[t - 1], LEAST)
            away.line(f"{label} metric", t, left, **look)
        best = shape.seen(shape.minimum(s.slope(name)))
        path.points("the minimum", *best[:, None], marker="*", color="black", markersize=10)
        path.tag("start", *shape.seen(s.start(name)))
        path.tag("minimum", *best, (8, -6), va="top")
        away.axes.set(xscale="log", yscale="log")
    return sheet


def draw_step(panel, traces, name, s):
    """The step, and around its end, if it is outside, the ring that touches the set, by metric."""
    shape = SHAPES[name]
    x, outside, weights, *nearest = one_step(traces, name, s)
    inside = np.linalg.norm(nearest[0] - outside) <= INSIDE
    places = [shape.seen(through) for through in nearest]
    close = np.linalg.norm(np.subtract(*places)) < CLOSE
    for (label, look), w, through, place in zip(
        LOOKS.items(), (np.ones_like(weights), weights), nearest, places, strict=True
    ):
        if not inside:
            ring = look | {"marker": "", "linewidth": 1}
            panel.line(f"as far, {label}", *shape.ring(outside, w, through), end="", **ring)
        spot = {"marker": look["marker"], "color": look["color"], "markersize": 7}
        panel.points(f"nearest, {label}", *place[:, None], **spot)
        if not close:
            panel.tag(label, *place, (10, 3), color=look["color"])
    if close:
        panel.tag(" and ".join(LOOKS), *places[0], (10, 3))
    if name == "ball":
        arrow = {"arrowstyle": "->", "color": "black"}
        panel.axes.annotate("", shape.seen(outside), shape.seen(x), arrowprops=arrow)
    elif not inside:
        panel.note("the step leads out of the plane", 0.5, -0.04, ha="center")


def caption(traces, s):
    slopes, starts = (
        " and ".join(f"{tuple(of(name).tolist())} on the {name}" for name in SHAPES)
        for of in (s.slope, s.start)
    )
    return (
        f"{s.named.label} on f(x) = c x, the same at every step, on the unit ball of the plane and "
        f"the simplex of three coordinates: c = {slopes}; x_1 = {starts}; alpha_t = "
        f"{s.lr:g}/sqrt(t), beta = {s.betas}, {counted(s.steps, 'step')}, each projected onto the "
        f"set in the plain metric or in the rule's own. Left: a step of length {REACH} along "
        "c/sqrt(v) from where the run in the plain metric ends, the nearest point of the set in "
        "either metric, and what is as far from the step's end in the plane that is drawn: a "
        "circle in the plain metric, an ellipse in the rule's; a larger one where no point of the "
        "plane is nearer, none where the step ends in the set. Middle: the paths from the start to "
        "the last step, and the minimum (star). Right: f(x_t) above its least on the set, or "
        f"{LEAST:g} if that is more, on logarithmic "
        "axes. " + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = []
    for name in SHAPES:
        for label in METRICS:
            left = gap(traces, name, label, s)
            end = ", ".join(f"{value:+z.4f}" for value in traces[f"{name} {label}"]["x"][-1])
            numbers = {"above the minimum": float(left[-1]), "R_T/T": float(left.mean())}
            text = f"{name} {label}: x ends at ({end}), f is {left[-1]:.3g} above its least there"
            if label == "plain":
                numbers["closed form"] = told = stopped(traces, name, s)
                text += f" ({told:.3g} where c/sqrt(v) is normal to the set)"
            found.append(Finding(f"{text}; R_T/T = {left.mean():.3g}.", numbers))
        _, outside, weights, plain, own = one_step(traces, name, s)
        off, best = (float(np.sqrt(weights @ (y - outside) ** 2)) for y in (plain, own))
        apart, times = float(np.linalg.norm(plain - own)), off / best if best > INSIDE else 1.0
        text = (
            f"{name}, one step: the two nearest points are {apart:.3g} apart; in the rule's metric "
            f"the plain one is {times:.3g} times as far from the step's end as the other."
        )
        if best <= INSIDE:
            text = f"{name}, one step: it ends in the {name}, where nothing is projected."
        found.append(Finding(text, {"apart": apart, "times as far": times}))
    return found
