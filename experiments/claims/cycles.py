"""Adam at a constant rate near the minimum of x^k / k, without noise: it cycles, it converges where
the minimum is flat, or it comes close and is thrown out again.

2-cycles: Bock and Weiss, arXiv:2210.02070. Flat minima: Bai et al., arXiv:2603.09581. Spikes:
arXiv:2506.04805. All with eps = 0, without which a gradient that vanishes has its own rate.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

import optim
from experiments.experiment import Experiment, Finding
from experiments.loops.monomial import MonomialDescent
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.settings import Settings
from experiments.record.wording import listed, number

CYCLES = {  # label: lr, betas and c, of which the first is unstable
    "cycle (0.9, 0.999)": (0.001, (0.9, 0.999), 1.0),
    "cycle (0.2, 0.5)": (1.0, (0.2, 0.5), 1.0),
    "cycle (0.1, 0.3)": (0.1, (0.1, 0.3), 10.0),
}
SPIKES = "spikes"  # the label of the trial
QUARTIC = 4  # the power that the betas are compared on
ROUNDING = 1e-14  # smaller departures are drawn as this


@dataclass(frozen=True, kw_only=True)
class Cycles(Settings):
    steps: int = 20_000  # from x_1 = 1
    lr: float = 0.001  # on x^k / k
    beta1: float = 0.9
    beta2s: tuple[float, ...] = (0.5, 0.93, 0.99, 0.999)  # on x^4 / 4
    powers: tuple[int, ...] = (4, 6, 8)
    beta2: float = 0.93  # on the powers
    read: int = 5000  # the step at which a rate is read; later k = 4 underflows
    spike_lr: float = 0.01  # on x^2 / 2
    spike_betas: tuple[float, float] = (0.9, 0.99)
    nudge: float = 1e-6  # by what share of it a cycle is begun too wide
    turns: int = 2000  # steps on the cycles

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("(0, inf)", "lr", "spike_lr", "nudge")
        self.check("(0, 1)", "beta2", "beta2s")
        if not all(k > 2 and k % 2 == 0 for k in self.powers):
            raise ValueError(f"powers={self.powers}: give even ones above 2, as x^2 is not flat.")
        if self.read > self.steps:
            raise ValueError(f"read={self.read}: give one of the {self.steps} steps.")


def amplitude(lr, betas):
    """Of the 2-cycle, whatever c and beta2: where m and v are those of the cycle, v is (c x)^2, and
    m is what makes the step -2 x."""
    return lr * (1 - betas[0]) / (2 * (1 + betas[0]))


def limit(power, beta2):
    """What a step multiplies x by in the end on x^k / k, where m fades faster than that."""
    return beta2 ** (1 / (2 * (power - 2)))


def on_cycle(lr, betas, c, nudge, steps):
    """The trial that begins on the 2-cycle, but for the nudge of x."""
    x = amplitude(lr, betas)
    state = {"m": -c * x * (1 - betas[0]) / (1 + betas[0]), "v": (c * x) ** 2}
    options = {"lr": lr, "betas": betas, "eps": 0.0, "state": state}
    return MonomialDescent(
        optim.PaperAdam, power=2, c=c, steps=steps, x1=x * (1 + nudge), **options
    )


def trials(s):
    adam = partial(MonomialDescent, optim.Adam, steps=s.steps, eps=0.0)
    makers = {
        label: partial(on_cycle, *settings, s.nudge, s.turns) for label, settings in CYCLES.items()
    }
    for beta2 in s.beta2s:
        betas = s.beta1, beta2
        makers[f"beta2 = {beta2:g}"] = partial(adam, power=QUARTIC, lr=s.lr, betas=betas)
    for k in s.powers:
        makers[f"Adam, k = {k}"] = partial(adam, power=k, lr=s.lr, betas=(s.beta1, s.beta2))
        makers[f"descent, k = {k}"] = partial(
            MonomialDescent, optim.SGD, power=k, steps=s.steps, lr=s.lr
        )
    makers[SPIKES] = partial(adam, power=2, lr=s.spike_lr, betas=s.spike_betas)
    return makers


def departures(traces):
    """By cycle: by what share of the amplitude |x| is off it, before each step."""
    return {
        label: np.abs(np.abs(traces[label]["x"]) / amplitude(lr, betas) - 1)
        for label, (lr, betas, _) in CYCLES.items()
    }


def stable(traces, s):
    """The cycles that x is nearer to in the end than the nudge."""
    return [label for label, off in departures(traces).items() if off[-2:].max() < s.nudge]


def nearness(traces, s):
    """By beta2: the largest |x| of the last 500 steps, or of as many as there are."""
    return {b: np.abs(traces[f"beta2 = {b:g}"]["x"][-500:]).max() for b in s.beta2s}


def spike(traces):
    """The step before which the loss on x^2/2 is least, that, and the most of the last quarter."""
    loss = traces[SPIKES]["x"] ** 2 / 2
    return int(loss.argmin()) + 1, float(loss.min()), float(loss[-(len(loss) // 4) :].max())


def verdict(traces, s):
    near, (_, least, late) = nearness(traces, s), spike(traces)
    nearest, farthest = (f(near, key=near.get) for f in (min, max))
    return (
        f"At a constant rate Adam ends within {near[nearest]:.1g} of the minimum of x^4/4 at beta2 "
        f"= {nearest:g}, {near[farthest]:.1g} at {farthest:g}; on x^2/2 its loss is {least:.0e}, "
        f"and {late:.0e} late; {len(stable(traces, s))} of {len(CYCLES)} 2-cycles hold"
    )


def draw(traces, s):
    sheet = Sheet(
        verdict(traces, s),
        r"$f(x) = c\,x^k / k$,  $x_1 = 1$;   2-cycle: $|x| = \alpha\,(1-\beta_1)/(2(1+\beta_1))$;"
        r"   flat: $x_{t+1}/x_t \to \beta_2^{\,1/(2(k-2))}$",
        rf"$\epsilon = 0$, constant $\alpha$, no noise.  1: no bias correction, $m$ and $v$ on the "
        rf"cycle, $x$ off it by {s.nudge:g}",
        rows=2,
        columns=2,
    )
    sheet.remark(
        rf"2, 3: $\alpha = {s.lr:g}$, $\beta_1 = {s.beta1:g}$;  3: $\beta_2 = {s.beta2:g}$;  "
        rf"4: $\alpha = {s.spike_lr:g}$, $\beta = {s.spike_betas}$;  $T = {number(s.steps)}$"
    )
    cycle = sheet.panel(0, 0, "1. begun on a 2-cycle", "step", "share that $|x|$ is off it")
    for label, off in departures(traces).items():
        style = looks(CYCLES)[label]
        shown = np.maximum(off, ROUNDING)
        cycle.line(label, np.arange(1, len(off) + 1), shown, end=label[6:], markevery=200, **style)
    cycle.limit(s.nudge, "as begun", side="right")
    flat = sheet.panel(0, 1, r"2. on $x^4/4$, by $\beta_2$", "step", "$|x|$")
    labels = [f"beta2 = {beta2:g}" for beta2 in s.beta2s]
    styles = looks(labels)
    for label in labels:
        x = np.abs(traces[label]["x"])
        end = rf"$\beta_2 = {label[8:]}$"
        flat.line(label, np.arange(1, len(x) + 1), x, end=end, markevery=150, **styles[label])
    powers = sheet.panel(1, 0, "3. on $x^k/k$, Adam and descent", "step", "$|x|$")
    labels = [f"{rule}, k = {k}" for k in s.powers for rule in ("Adam", "descent")]
    styles = looks(labels)
    for label in labels:
        x = np.abs(traces[label]["x"][: s.read])
        powers.line(label, np.arange(1, len(x) + 1), x, **styles[label])
    loss = sheet.panel(1, 1, "4. on $x^2/2$, the loss", "step", "$x^2/2$")
    values = traces[SPIKES]["x"] ** 2 / 2
    loss.line("loss", np.arange(1, len(values) + 1), values, end="", color="black")
    for panel in sheet.panels:
        panel.axes.set_yscale("log")
    return sheet


def caption(traces, s):
    cycles = listed(f"{lr:g}, {betas} with c = {c:g}" for lr, betas, c in CYCLES.values())
    return (
        "Adam at a constant alpha, with eps = 0, on f(x) = c x^k/k from x_1 = 1, without noise; "
        "all logarithmic upwards. 1: on c x^2/2, without bias correction, with m and v as on the "
        f"2-cycle and x {s.nudge:g} of itself too large; alpha and beta are {cycles}: by what "
        f"share of the cycle |x| is off it, or {ROUNDING:g} if that is more. 2: |x| on x^4/4 by "
        f"beta2, alpha = {s.lr:g}, beta1 = {s.beta1:g}, {s.steps:,} steps. 3: |x| on x^k/k, beta2 "
        f"= {s.beta2:g}, with gradient descent at the same alpha, the first {s.read:,} steps. "
        f"4: the loss on x^2/2, alpha = {s.spike_lr:g}, beta = {s.spike_betas}. "
        + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found, kept = [], stable(traces, s)
    for label, (lr, betas, c) in CYCLES.items():
        x = np.abs(traces[label]["x"][-2:])
        told = amplitude(lr, betas)
        text = (
            f"{label}, alpha = {lr:g}, c = {c:g}: {'stable' if label in kept else 'unstable'}; "
            f"|x| = {x[0]:.7g} and {x[1]:.7g} in the end, on the cycle {told:.7g}."
        )
        found.append(Finding(text, {"|x|": float(x[-1])}, {"|x|": told}))
    near = ", ".join(f"{x:.2g} at {b:g}" for b, x in nearness(traces, s).items())
    numbers = {f"beta2 = {b:g}": float(x) for b, x in nearness(traces, s).items()}
    found.append(
        Finding(f"x^4/4: the largest |x| of the last 500 steps, by beta2: {near}.", numbers)
    )
    for k in s.powers:
        x, slow = (traces[f"{rule}, k = {k}"]["x"] for rule in ("Adam", "descent"))
        ratio = float(x[s.read] / x[s.read - 1]) if x[s.read - 1] else 0.0
        told = limit(k, s.beta2)
        text = (
            f"x^{k}/{k}: at step {s.read:,} Adam multiplies x by {ratio:.10f}, in the limit by "
            f"{told:.10f}; x is {x[s.read - 1]:.2g}, under descent {slow[s.read - 1]:.3f}."
        )
        found.append(Finding(text, {"ratio": ratio}, {"ratio": told}))
    step, least, late = spike(traces)
    text = f"x^2/2: the least loss is {least:.1e}, before step {step:,}, and the largest of the "
    text += f"last quarter {late:.1e}."
    found.append(Finding(text, {"step": step, "least": least, "late": late}))
    return found


EXPERIMENT = Experiment(
    name="cycles",
    summary="Adam at a constant rate near a minimum: 2-cycles, flat minima, spikes of the loss",
    settings=Cycles(),
    quick={"steps": 2000, "read": 2000, "turns": 500},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
