"""Adam near a minimum, and on its way there: the rate of the heavy ball, and the edge of stability.

Rates: Dereich, Jentzen and Riekert, arXiv:2504.19426. The edge: Cohen et al., arXiv:2207.14484.
"""

from dataclasses import dataclass
from functools import partial
from math import sqrt

import numpy as np

import optim
from experiments.experiment import Experiment, Finding
from experiments.loops.monomial import MonomialDescent
from experiments.loops.sharpness import preconditioned_sharpness
from experiments.loops.watched import Watched
from experiments.problems.full_batch import digits_network, quadratic
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.settings import Settings
from experiments.record.wording import counted, listed
from minigrad import to_host

NEAR = "Adam", "heavy ball", "RMSProp", "gradient descent"
START, NEAR_STEPS = 1e-4, 300  # on the quadratic
FACTORS = 0.999, 1.001  # of the edge, to either side of it
LEAST, FROZEN_STEPS = 1e-100, 2000  # there; v is nothing beside eps even where x has grown
SWING = 100  # steps, in which x swings at least once
BETA2 = 0.9  # on both
LEAST_EPS = 1e-12  # less would hide the curvature along what has a gradient
LATE = 0.25  # the share of a training that a range is of


@dataclass(frozen=True, kw_only=True)
class Edge(Settings):
    condition: float = 100.0  # of the quadratic, the smaller of whose two eigenvalues is 1
    beta1s: tuple[float, ...] = (0.0, 0.5, 0.9, 0.95)  # with a preconditioner that is frozen
    lrs: tuple[float, ...] = (0.003, 0.001)  # of the training
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-7
    images: int = 500
    hidden: int = 32
    steps: int = 4000
    every: int = 50  # steps between two looks at the sharpness
    seed: int = 0  # of the initial weights

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 10 <= self.condition <= 1e8:
            raise ValueError(f"condition={self.condition}: give 10 (below, x is soon 0) to 10^8.")
        if not self.eps >= LEAST_EPS:
            raise ValueError(f"eps={self.eps}: give {LEAST_EPS:g} or more, for pixels that are 0.")
        if not all(lr > 0 for lr in self.lrs):
            raise ValueError(f"lrs={self.lrs}: give positive numbers.")
        if self.steps < 2 * self.every:
            raise ValueError(f"steps={self.steps}: give at least 2 of every={self.every}.")
        if not all(0 <= beta1 <= 0.999 for beta1 in self.beta1s):
            raise ValueError(f"beta1s={self.beta1s}: give numbers from 0 to 0.999.")

    @property
    def limits(self) -> tuple[float, float]:
        """What heavy ball and descent at their fastest leave of a distance a step. Polyak 1964."""
        root = sqrt(self.condition)
        return (root - 1) / (root + 1), (self.condition - 1) / (self.condition + 1)


def edge(beta1):
    """The curvature over the preconditioner, times alpha, above which steps with momentum grow."""
    return (2 + 2 * beta1) / (1 - beta1)


def near(s, rule, **hyperparameters):
    """A rule on the quadratic."""
    (x,), loss = quadratic([1.0, s.condition], START)
    times = np.arange(1, NEAR_STEPS + 2)
    seen = {"times": times, "watch": lambda opt: {"x": to_host(x.data)}}
    return Watched([x], loss, rule, **seen, **hyperparameters)


def training(s, lr):
    """Adam on the network."""
    params, loss = digits_network(s.images, s.hidden, s.seed)

    def watch(opt):
        return {"loss": loss(opt.t).item(), "sharpness": preconditioned_sharpness(loss, opt)}

    first = max(s.every, 2)  # before the first step there is no preconditioner
    seen = {"times": np.arange(first, s.steps + 1, s.every), "watch": watch}
    return Watched(params, loss, optim.Adam, **seen, lr=lr, betas=s.betas, eps=s.eps)


def trials(s):
    beta1, descent = s.limits[0] ** 2, 2 / (1 + s.condition)
    lr = 4 / (sqrt(s.condition) + 1) ** 2
    adam = {"lr": lr / (1 - beta1), "betas": (beta1, BETA2), "eps": 1.0}
    makers = {
        "Adam": partial(near, s, optim.PaperAdam, **adam),
        "heavy ball": partial(near, s, optim.Momentum, lr=lr, momentum=beta1),
        "RMSProp": partial(near, s, optim.RMSProp, lr=descent, alpha=BETA2, eps=1.0),
        "gradient descent": partial(near, s, optim.SGD, lr=descent),
    }
    for beta1 in s.beta1s:
        frozen = {"lr": 1.0, "betas": (beta1, BETA2), "eps": 1.0, "x1": LEAST}
        for factor in FACTORS:
            c = factor * edge(beta1)
            makers[f"beta1 = {beta1:g}, {factor:g}"] = partial(
                MonomialDescent, optim.PaperAdam, power=2, c=c, steps=FROZEN_STEPS - 1, **frozen
            )
    return makers | {f"alpha = {lr:g}": partial(training, s, lr) for lr in s.lrs}


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


EXPERIMENT = Experiment(
    name="edge",
    summary="Adam near a minimum has the heavy ball's rate, and trains at the edge of stability",
    settings=Edge(),
    quick={"steps": 400, "every": 100},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
