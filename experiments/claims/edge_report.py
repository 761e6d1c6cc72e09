"""What the experiment on the edge of stability shows: its figure, verdict, caption and findings."""

import numpy as np

from experiments.experiment import Finding
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.wording import counted, listed

NEAR = "Adam", "heavy ball", "RMSProp", "gradient descent"
START, NEAR_STEPS = 1e-4, 300  # on the quadratic
FACTORS = 0.999, 1.001  # of the edge, to either side of it
LEAST, FROZEN_STEPS = 1e-100, 2000  # there; v is nothing beside eps even where x has grown
SWING = 100  # steps, in which x swings at least once
BETA2 = 0.9  # on both
LATE = 0.25  # the share of a training that a range is of


def edge(beta1):
    """The curvature over the preconditioner, times alpha, above which steps with momentum grow."""
    return (2 + 2 * beta1) / (1 - beta1)


def distances(traces):
    """By rule: how far x is from the minimum of the quadratic, before each step."""
    return {label: np.linalg.norm(traces[label]["x"], axis=1) for label in NEAR}


def rates(traces):
    """By rule: what distances are multiplied by in a step, on average over the last third."""
    last = NEAR_STEPS // 3
    return {
        label: float((away[-1] / away[-1 - last]) ** (1 / last))
        for label, away in distances(traces).items()
    }


def around_edge(traces, beta1):
    """By what |x| grows in a step of the last half, below the edge and above it; where by 1."""
    runs = (np.abs(traces[f"beta1 = {beta1:g}, {factor:g}"]["x"]) for factor in FACTORS)
    swings = [x.reshape(FROZEN_STEPS // SWING, SWING).max(axis=1) for x in runs]
    half = FROZEN_STEPS // 2
    growth = [float((x[-1] / x[-1 - half // SWING]) ** (1 / half)) for x in swings]
    return *growth, edge(beta1) * float(np.interp(0, np.log(growth), FACTORS))


def late(traces, lr):
    """The least and the most sharpness of the end of a training."""
    values = traces[f"alpha = {lr:g}"]["sharpness"]
    end = values[int((1 - LATE) * len(values)) :]
    return float(end.min()), float(end.max())


def verdict(traces, s):
    by = rates(traces)
    low, high = (f([late(traces, lr)[i] for lr in s.lrs]) for i, f in enumerate((min, max)))
    return (
        f"Near a minimum a step of Adam leaves {by['Adam']:.4f} of the distance, of the heavy ball "
        f"{by['heavy ball']:.4f}, of RMSProp {by['RMSProp']:.4f}; in training alpha times "
        f"the sharpness ends at {low:.1f} to {high:.1f}, where the edge is {edge(s.betas[0]):g}"
    )


def draw(traces, s):
    sheet = Sheet(
        verdict(traces, s),
        r"edge of stability: $\lambda_{max}(P^{-1} H) = (2 + 2\beta_1) / ((1 - \beta_1)\,\alpha)$;"
        r"   near a minimum: $(\sqrt{\kappa} - 1)/(\sqrt{\kappa} + 1)$ a step",
        rf"1: $(x^2 + {s.condition:g}\,y^2)/2$ from ${START:g}$, $\epsilon = 1$, "
        rf"$\beta_2 = {BETA2:g}$, no bias correction.  2: Adam where $\epsilon = 1$ is all "
        rf"of the preconditioner $P$, on a curvature of {FACTORS[0]:g} and {FACTORS[1]:g} times "
        "the edge",
        rows=2,
        columns=2,
    )
    sheet.remark(
        rf"3, 4: {counted(s.images, 'digit')}, tanh 64-{s.hidden}-10, squared error, full batch, "
        rf"$\beta = {s.betas}$, $\epsilon$ = {s.eps:g}, initial weights of seed {s.seed}"
    )
    panel = sheet.panel(0, 0, "1. near a minimum", "step", "distance")
    styles = looks(NEAR)
    for label, away in distances(traces).items():
        style = styles[label] | {"linestyle": ":" if label in NEAR[1::2] else "-"}
        panel.line(label, np.arange(1, len(away) + 1), away, **style)
    panel.axes.set_yscale("log")
    panel = sheet.panel(0, 1, "2. a thousandth below the edge, and above it", "step", "$|x|$")
    styles, t = looks([f"{beta1:g}" for beta1 in s.beta1s]), np.arange(1, FROZEN_STEPS + 1, 20)
    for beta1 in s.beta1s:
        for factor in FACTORS:
            label = f"beta1 = {beta1:g}, {factor:g}"
            x = np.abs(traces[label]["x"])[::20] / LEAST
            style = styles[f"{beta1:g}"] | {"linestyle": "--" if factor < 1 else "-"}
            panel.line(label, t, x, end=rf"$\beta_1 = {beta1:g}$", **style)
    panel.axes.set_yscale("log")
    sharp = sheet.panel(1, 0, "3. the sharpness in training", "step", r"$\alpha\,\lambda_{max}$")
    loss = sheet.panel(1, 1, "4. the loss in training", "step", "mean squared error")
    styles = looks(labels := [f"alpha = {lr:g}" for lr in s.lrs])
    for label in labels:
        trace, style = traces[label], styles[label] | {"end": rf"$\{label}$"}
        sharp.line(label, trace["t"], trace["sharpness"], **style)
        loss.line(label, trace["t"], trace["loss"], **style)
    known = {"color": "black", "linewidth": 0.7, "linestyle": "--"}
    sharp.line("the edge", [s.every, s.steps], [edge(s.betas[0])] * 2, **known)
    loss.axes.set_yscale("log")
    return sheet


def caption(traces, s):
    lrs, beta1s = (listed(f"{value:g}" for value in values) for values in (s.lrs, s.beta1s))
    return (
        f"1: the distance from the minimum of (x^2 + {s.condition:g} y^2)/2, from x = y = "
        f"{START:g}, for {NEAR_STEPS} steps, on a logarithmic axis, under the heavy ball at the "
        "rate and momentum with which it is fastest, and Adam at the same with eps = 1 and beta2 = "
        f"{BETA2:g}, without bias correction; under descent at its fastest, and RMSProp at the "
        f"same. 2: Adam on c x^2/2 from x = {LEAST:g}, where eps = 1 is all that it divides by, "
        f"with c at {FACTORS[0]:g} (dashed) and {FACTORS[1]:g} of the edge, for beta1 = {beta1s}: "
        f"|x| over its start, on a logarithmic axis. 3: Adam at a constant alpha of {lrs}, with "
        f"beta = {s.betas} and eps = {s.eps:g}, on the mean squared error of a tanh network "
        f"64-{s.hidden}-10 over the first {counted(s.images, 'digit')}, all at each of {s.steps:,} "
        "steps: alpha times the largest eigenvalue of the preconditioned Hessian, every "
        f"{counted(s.every, 'step')}. 4: the loss, on a logarithmic axis. "
        + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = []
    told = np.repeat(s.limits, 2)
    for (label, rate), limit in zip(rates(traces).items(), told, strict=True):
        text = f"{label}: {rate:.6f} a step over the last third, in the limit {limit:.6f}."
        found.append(Finding(text, {"rate": rate}, {"rate": float(limit)}))
    for beta1 in s.beta1s:
        (below, above, met), told = around_edge(traces, beta1), edge(beta1)
        text = (
            f"beta1 = {beta1:g}: |x| is multiplied by {below:.5f} a step at {FACTORS[0]:g} of the "
            f"edge and by {above:.5f} at {FACTORS[1]:g}; the edge is at {met:.4g}, told {told:g}."
        )
        numbers = {"below": below, "above": above, "edge": met}
        found.append(Finding(text, numbers, {"edge": told}))
    for lr in s.lrs:
        trace = traces[f"alpha = {lr:g}"]
        (low, high), most = late(traces, lr), float(trace["sharpness"].max())
        text = (
            f"Training at alpha = {lr:g}: alpha times the sharpness is at most {most:.1f}, and "
            f"{low:.1f} to {high:.1f} over the last {LATE:.0%}; the edge is {edge(s.betas[0]):g}; "
            f"the loss ends at {trace['loss'][-1]:.2g}."
        )
        numbers = {"most": most, "low": low, "high": high}
        found.append(Finding(text, numbers, dict.fromkeys(("low", "high"), edge(s.betas[0]))))
    return found
