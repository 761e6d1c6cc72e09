"""Where Adam converges when the data are not symmetric: not at the minimum of E (x - Theta)^2 / 2.

Dereich et al., arXiv:2511.06675: there it converges if and only if Theta is symmetric; else its
distance from there goes like 1 - beta2, and like one over the batch.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

import optim
from experiments.experiment import Experiment, Finding
from experiments.loops.lanes import Lanes
from experiments.loops.online import spaced
from experiments.problems.noisy import bernoulli, quadratic, signs
from experiments.record.curves import fitted_power, looks
from experiments.record.figure import Sheet
from experiments.record.settings import Settings
from experiments.record.wording import listed, number
from optim.schedules import Power

SWEEP, MOMENTUM, BATCHES = "Adam", "Adam with momentum", "Adam by batch"  # labels of trials
AT_ZERO = SYMMETRIC, AMSGRAD, SGD = "Adam, symmetric", "AMSGrad", "SGD"
POINTS = 40  # recorded steps
FIRST = r"lines: $E\,m/\sqrt{v} = 0$ to first order in $1 - \beta_2$"


@dataclass(frozen=True, kw_only=True)
class Bias(Settings):
    steps: int = 30_000
    copies: int = 1_000  # whose mean is taken
    p: float = 0.1  # with which Theta is 1 - p, else -p
    beta2s: tuple[float, ...] = (0.8, 0.9, 0.95, 0.975, 0.9875)
    beta1: float = 0.9  # of the sweep with momentum; 0 elsewhere
    batches: tuple[int, ...] = (1, 2, 4, 8, 16)
    beta2: float = 0.9  # wherever it is not swept
    lr: float = 0.3  # alpha_t is lr / t^decay
    decay: float = 0.7
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("[10, inf)", "steps")
        self.check("[2, inf)", "copies", why="for a standard error")
        self.check("(0, 1)", "p", "beta1", "beta2", "beta2s")
        self.check("[1, 10000]", "batches")
        self.check("(0, inf)", "lr", "decay")


def trials(s):
    times = spaced(s.steps, POINTS)
    data = partial(bernoulli, copies=s.copies, p=s.p)

    def lanes(rule, rows, noise=data, **settings):
        x1 = np.zeros((rows, s.copies))
        options = {"times": times, "seed": s.seed, "lr": Power(s.lr, -s.decay), **settings}
        return partial(Lanes, rule, quadratic, noise, x1=x1, **options)

    def adam(rows, beta2, beta1=0.0, **options):
        return lanes(optim.Adam, rows, betas=(beta1, beta2), eps=0.0, **options)

    swept = np.repeat(s.beta2s, s.copies)
    return {
        SWEEP: adam(len(s.beta2s), swept),
        MOMENTUM: adam(len(s.beta2s), swept, s.beta1),
        BATCHES: adam(len(s.batches), s.beta2, noise=partial(data, batches=s.batches)),
        SYMMETRIC: adam(1, s.beta2, noise=partial(signs, copies=s.copies)),
        AMSGRAD: lanes(optim.AMSGrad, 1, betas=(0.0, s.beta2)),
        SGD: lanes(optim.SGD, 1),
    }


def told(s, beta2, beta1=0.0, batch=1):
    """Where Adam's mean step is 0, to first order in 1 - beta2.

    That is E m / sqrt(v) = 0 for a slope g = x - Theta of variance q = p (1 - p) / batch and third
    moment -(1 - 2 p) q / batch, with 1 / sqrt(v) = (1 - (v - q) / (2 q)) / sqrt(q). Each g is in m
    with (1 - beta1) beta1^k, and its square in v with (1 - beta2) beta2^k.
    """
    together = (1 - beta1) * (1 - beta2) / (1 - beta1 * beta2)
    return -(1 - 2 * s.p) / (2 * batch) * together


def ends(traces):
    """By label: the mean of x_T over the copies, by setting, and the largest standard error."""
    found = {}
    for label, trace in traces.items():
        x = trace["x"][-1]
        error = x.std(axis=1, ddof=1) / np.sqrt(x.shape[1])
        found[label] = x.mean(axis=1), float(error.max())
    return found


def shown(s):
    """The step from which x is drawn: before, it moves more than it does ever after."""
    return max(1, min(100, s.steps // 10))


def verdict(traces, s):
    found = ends(traces)
    low, high = min(s.beta2s), max(s.beta2s)
    x = dict(zip(s.beta2s, found[SWEEP][0], strict=True))
    off = max(abs(float(found[label][0][0])) for label in AT_ZERO)
    other = f", {x[high]:+z.4f} at {high:g}" if high > low else ""
    return (
        f"On data that are 1 with probability {s.p:g} Adam ends {x[low]:+z.4f} from the minimum at "
        f"beta2 = {low:g}{other}; on symmetric data, and under AMSGrad and "
        f"SGD, {off:.4f} at most"
    )


def draw(traces, s):
    found = ends(traces)
    sheet = Sheet(
        verdict(traces, s),
        r"minimize $E\,(x - \Theta)^2 / 2$;   $\Theta = 1 - p$ with probability $p$, else $-p$: "
        r"$E\,\Theta = 0$, the minimum is at 0",
        rf"$p = {s.p:g}$,  $\alpha_t = {s.lr:g}\,t^{{-{s.decay:g}}}$,  $x_1 = 0$,  "
        rf"$T = {number(s.steps)}$,  $\epsilon = 0$,  $\beta_1 = 0$ but where it is named;  means "
        rf"of {s.copies:,} copies, seed {s.seed}",
        rows=1,
        columns=3,
        size=(4.6, 3.7),
    )
    path = sheet.panel(0, 0, f"1. the mean of $x_t$, from step {shown(s):,} on", "step $t$", "")
    t = traces[SWEEP]["t"]
    curves = {
        rf"$\beta_2 = {beta2:g}$": traces[SWEEP]["x"][:, row] for row, beta2 in enumerate(s.beta2s)
    }
    curves |= {label: traces[label]["x"][:, 0] for label in AT_ZERO}
    styles = looks(curves)
    for label, x in curves.items():
        path.line(label, t[t >= shown(s)], x.mean(axis=1)[t >= shown(s)], **styles[label])
    path.axes.set_xscale("log")
    path.axes.axhline(0, color="black", linewidth=0.6)
    by_beta2 = sheet.panel(0, 1, r"2. $|x_T|$ by $\beta_2$", r"$1 - \beta_2$", "")
    order = np.argsort(s.beta2s)[::-1]
    gaps = (1 - np.array(s.beta2s)[order]).round(15)  # an axis of one point needs a round number
    spots = {"linestyle": "none", "markevery": 1}
    for label, beta1, style in ((SWEEP, 0.0, "Adam"), (MOMENTUM, s.beta1, "PaperAdam")):
        end, look = rf"$\beta_1 = {beta1:g}$", looks([style])[style] | spots
        by_beta2.line(label, gaps, np.abs(found[label][0])[order], end=end, **look)
        first = [abs(told(s, beta2, beta1)) for beta2 in 1 - gaps]
        by_beta2.line(f"{label}, first order", gaps, first, end="", color=look["color"], marker="")
    by_batch = sheet.panel(0, 2, rf"3. $|x_T|$ by batch, $\beta_2 = {s.beta2:g}$", "batch", "")
    look = looks([SWEEP])[SWEEP] | spots
    by_batch.line(BATCHES, s.batches, np.abs(found[BATCHES][0]), end="", **look)
    first = [abs(told(s, s.beta2, batch=batch)) for batch in s.batches]
    by_batch.line(f"{BATCHES}, first order", s.batches, first, end="", color=look["color"])
    for panel in (by_beta2, by_batch):
        panel.axes.set(xscale="log", yscale="log")
    by_beta2.note(FIRST, 0.98, 0.04, ha="right")
    by_batch.note(FIRST, 0.03, 0.04)
    return sheet


def caption(traces, s):
    return (
        f"E (x - Theta)^2 / 2, where Theta is 1 - p with probability p = {s.p:g} and -p else, so "
        f"that the minimum is at 0; alpha_t = {s.lr:g} t^-{s.decay:g}, {s.steps:,} steps from x_1 "
        f"= 0, beta1 = 0 but where it is named, eps = 0; means of {s.copies:,} copies, seed "
        f"{s.seed}. 1: the mean of x before step t, from {shown(s):,} on, on a logarithmic axis of "
        f"t, of Adam at {listed(f'{beta2:g}' for beta2 in s.beta2s)} for beta2, and at beta2 = "
        f"{s.beta2:g} of Adam on Theta = +-1, of AMSGrad and of SGD. 2: the distance in the end, "
        f"by 1 - beta2, logarithmic, for beta1 = 0 and {s.beta1:g}; lines: where Adam's mean step "
        "is 0, to first order in 1 - beta2. 3: the same by the size of the batch, at beta2 = "
        f"{s.beta2:g}. " + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = ends(traces)
    sweeps = (
        (SWEEP, "beta1 = 0, beta2", s.beta2s, [told(s, b) for b in s.beta2s]),
        (
            MOMENTUM,
            f"beta1 = {s.beta1:g}, beta2",
            s.beta2s,
            [told(s, b, s.beta1) for b in s.beta2s],
        ),
        (BATCHES, "batch", s.batches, [told(s, s.beta2, batch=n) for n in s.batches]),
    )
    says = []
    for label, what, values, first in sweeps:
        x, error = found[label]
        over = 1 / np.array(values) if what == "batch" else 1 - np.array(values)
        power = fitted_power(over, x)
        text = (
            f"{label}, {what} = {listed(f'{v:g}' for v in values)}: the mean of x is "
            f"{listed(f'{one:+z.4f}' for one in x)} (standard errors up to {error:.1g}), to first "
            f"order {listed(f'{one:+z.4f}' for one in first)}"
        )
        numbers = {f"x at {v:g}": float(one) for v, one in zip(values, x, strict=True)}
        stated = {}
        if power is not None and s.p != 0.5 and label != MOMENTUM:
            numbers["slope"], stated["slope"] = power, 1.0
            text += f"; its distance goes with the power {power:.2f} of "
            text += "1 / batch" if label == BATCHES else "1 - beta2"
        says.append(Finding(f"{text}.", numbers, stated))
    for label in AT_ZERO:
        (x,), error = found[label]
        text = f"{label}: the mean of x is {x:+z.1g} (standard error {error:.1g})."
        says.append(Finding(text, {"x": float(x)}, {"x": 0.0}))
    return says


EXPERIMENT = Experiment(
    name="bias",
    summary="Adam converges to another point than the minimum, unless the data are symmetric",
    settings=Bias(),
    quick={"steps": 1_000, "copies": 200},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
