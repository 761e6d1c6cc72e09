"""With a rate and a beta2 that are set for the number of steps, Adam's gradients fall like
1 / sqrt(N); with constants they stall. And its bias correction is a schedule of the rate.

Defossez, Bottou, Bach and Usunier, arXiv:2003.02395, for O(log N / sqrt(N)); Kingma and Ba 2015,
Section 2, and Laing and Orvieto, arXiv:2511.20516, for the schedule.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

import optim
from experiments.experiment import Experiment, Finding
from experiments.loops.lanes import Lanes, mean_so_far
from experiments.loops.online import spaced
from experiments.problems.noisy import signs, soft_absolute
from experiments.record.curves import fitted_power, looks
from experiments.record.figure import Sheet
from experiments.record.settings import Settings
from experiments.record.wording import counted, listed

TUNED, CONSTANT = "set for N", "constant"  # labels of trials: Adam, beta1 = 0
ADAM, SCHEDULED, PLAIN = "Adam", "PaperAdam, scheduled", "PaperAdam"  # with both betas
POINTS = 150  # recorded steps
ROUNDING = 1e-17  # smaller differences are drawn as this


@dataclass(frozen=True, kw_only=True)
class Horizon(Settings):
    horizons: tuple[int, ...] = (1_000, 4_000, 16_000, 64_000)  # numbers of steps, N
    dimensions: int = 100
    start: float = 3.0  # every coordinate of x_1
    lr: float = 0.1  # constant
    beta2: float = 0.999
    betas: tuple[float, float] = (0.9, 0.999)  # with and without bias correction
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("[10, 1e8]", "horizons")
        self.check("(0, 1)", "beta2", "betas")
        self.check("(0, inf)", "lr")
        self.check("(-inf, inf)", "start")

    @property
    def longest(self) -> int:
        """The steps of every trial."""
        return max(self.horizons)


def corrected(lr, betas, t):
    """The rate at step t with which PaperAdam is Adam at this lr, where eps is 0."""
    return lr * np.sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t)


def squared_gradient(x):
    return soft_absolute(x) ** 2


def trials(s):
    lanes = partial(
        Lanes,
        slope=soft_absolute,
        noise=partial(signs, copies=s.dimensions),
        times=np.union1d(spaced(s.longest, POINTS), s.horizons),
        seed=s.seed,
        measure=squared_gradient,
        eps=0.0,
    )
    n = np.repeat(s.horizons, s.dimensions).astype(float)
    every = np.full((len(s.horizons), s.dimensions), s.start)
    tuned = {"x1": every, "lr": 1 / np.sqrt(n), "betas": (0.0, 1 - 1 / n)}
    one, constant = {"x1": every[:1], "betas": s.betas}, {"lr": s.lr}
    scheduled = {"lr": partial(corrected, s.lr, s.betas)}
    return {
        TUNED: partial(lanes, optim.Adam, **tuned),
        CONSTANT: partial(lanes, optim.Adam, x1=every[:1], lr=s.lr, betas=(0.0, s.beta2)),
        ADAM: partial(lanes, optim.Adam, **one, **constant),
        SCHEDULED: partial(lanes, optim.PaperAdam, **one, **scheduled),
        PLAIN: partial(lanes, optim.PaperAdam, **one, **constant),
    }


def until(trace):
    """The squared gradient of a coordinate, in the mean over them and the steps up to each time:
    (times, settings)."""
    return mean_so_far(trace["t"], trace["mean"].mean(axis=2))


def reached(traces, s):
    """By trial: that mean after each N steps; of those set for N, of the one set for that N."""
    places = np.searchsorted(traces[TUNED]["t"], s.horizons)
    tuned, constant = until(traces[TUNED]), until(traces[CONSTANT])
    return {
        TUNED: tuned[places, np.arange(len(s.horizons))],
        CONSTANT: constant[places, 0],
    }


def apart(traces):
    """By trial of PaperAdam: the largest |x - Adam's x| of all coordinates, before each step."""
    adam = traces[ADAM]["x"]
    return {k: np.abs(traces[k]["x"] - adam).max(axis=(1, 2)) for k in (SCHEDULED, PLAIN)}


def verdict(traces, s):
    means, most = reached(traces, s), apart(traces)[SCHEDULED].max()
    n, last = s.longest, int(np.argmax(s.horizons))
    power = fitted_power(s.horizons, means[TUNED])
    falls = "" if power is None else f", like N to the {power:z.2f}"
    return (
        f"Set for N = {n:,} steps, Adam reaches a mean squared gradient of "
        f"{means[TUNED][last]:.4f}{falls}, with constants {means[CONSTANT][last]:.4f}; its bias "
        f"correction is a schedule of lr, to {most:.0e}"
    )


def draw(traces, s):
    means, t = reached(traces, s), traces[TUNED]["t"]
    sheet = Sheet(
        verdict(traces, s),
        r"$f(x) = \Sigma_i\,\sqrt{1 + x_i^2}$, slopes seen with noise $\pm 1$;   set for $N$: "
        r"$\alpha = 1/\sqrt{N}$, $\beta_2 = 1 - 1/N$;   "
        r"$\rho_t = \sqrt{1 - \beta_2^t}\,/\,(1 - \beta_1^t)$",
        rf"$d = {s.dimensions}$,  $x_1 = {s.start:g}$,  $\epsilon = 0$,  seed {s.seed}.  "
        rf"1, 2: $\beta_1 = 0$;  constants $\alpha = {s.lr:g}$, $\beta_2 = {s.beta2:g}$;  "
        rf"4: $\alpha = {s.lr:g}$, $\beta = {s.betas}$",
        rows=2,
        columns=2,
    )
    path = sheet.panel(0, 0, "1. squared gradient, mean up to step $t$, by $N$", "$t$", "")
    order = np.argsort(s.horizons)
    labels = {row: f"N = {s.horizons[row]:,}" for row in order}
    styles = looks([*labels.values(), CONSTANT])
    for row, label in labels.items():
        kept = t <= s.horizons[row]
        path.line(label, t[kept], until(traces[TUNED])[kept, row], end="", **styles[label])
    path.keys({label: styles[label]["marker"] for label in labels.values()})
    path.line(CONSTANT, t, until(traces[CONSTANT])[:, 0], **styles[CONSTANT])
    by_n = sheet.panel(0, 1, "2. the same after $N$ steps", "$N$", "")
    n = np.array(s.horizons)[order]
    for label in (TUNED, CONSTANT):
        look = {"color": "#D55E00", "marker": "o"} if label == TUNED else styles[CONSTANT]
        by_n.line(label, n, means[label][order], **look | {"markevery": 1})
    first = means[TUNED][order[0]]
    by_n.line("N^-1/2", n, first * np.sqrt(n[0] / n), end="", color="black", linestyle=":")
    by_n.note(r"dotted: $\propto N^{-1/2}$", 0.03, 0.06)
    schedule = sheet.panel(1, 0, r"3. bias correction: $\alpha$ times $\rho_t$", "$t$", r"$\rho_t$")
    pairs = list(dict.fromkeys([s.betas, (0.9, 0.95), (0.9, 0.9), (0.0, s.betas[1])]))
    styles = looks(map(str, pairs))
    for pair in pairs:
        schedule.line(str(pair), t, corrected(1.0, pair, t), **styles[str(pair)])
    schedule.limit(1, "no correction", side="right")
    away = sheet.panel(1, 1, "4. PaperAdam, largest $|x - x_{Adam}|$", "$t$", "")
    ends = {SCHEDULED: r"at $\alpha\,\rho_t$", PLAIN: r"at $\alpha$"}
    styles = looks([ADAM, PLAIN])
    for label, differences in apart(traces).items():
        look = styles[PLAIN if label == PLAIN else ADAM]
        away.line(label, t, np.maximum(differences, ROUNDING), end=ends[label], **look)
    for panel in sheet.panels:
        panel.axes.set(xscale="log", yscale="log")
    return sheet


def caption(traces, s):
    return (
        f"sum_i sqrt(1 + x_i^2), {counted(s.dimensions, 'coordinate')} from {s.start:g}, each "
        f"slope seen with +1 or -1 added, by draws of seed {s.seed}; eps = 0, all axes "
        "logarithmic. 1: the squared gradient of a coordinate, in the mean over coordinates and "
        "steps up to t, under Adam with beta1 = 0: at alpha = 1/sqrt(N), beta2 = 1 - 1/N, up to N "
        f"= {listed(f'{n:,}' for n in s.horizons)}, and at alpha = {s.lr:g}, beta2 = {s.beta2:g}. "
        "2: that mean after N steps; dotted: proportional to 1/sqrt(N). 3: what Adam's bias "
        "correction multiplies alpha by, rho_t, for some betas. 4: the largest difference of a "
        f"coordinate from that of Adam with alpha = {s.lr:g}, beta = {s.betas}, under Adam without "
        f"bias correction, at alpha rho_t and at alpha; below {ROUNDING:g} drawn as that. "
        + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found, means = [], reached(traces, s)
    for label, how, stated in (
        (TUNED, "alpha = 1/sqrt(N), beta2 = 1 - 1/N", {"slope": -0.5}),
        (CONSTANT, f"alpha = {s.lr:g}, beta2 = {s.beta2:g}", {}),
    ):
        values = listed(f"{one:.4f}" for one in means[label])
        text = f"At {how} the mean squared gradient of a coordinate is {values} after N = "
        text += f"{listed(f'{n:,}' for n in s.horizons)} steps"
        numbers = {f"N = {n}": float(one) for n, one in zip(s.horizons, means[label], strict=True)}
        power = fitted_power(s.horizons, means[label])
        if power is not None:
            text += f", which goes like N to the {power:z.3f}"
            numbers["slope"] = power
        found.append(Finding(f"{text}.", numbers, stated if power is not None else {}))
    most = {label: float(one.max()) for label, one in apart(traces).items()}
    text = (
        f"In {s.longest:,} steps PaperAdam at alpha rho_t is at most {most[SCHEDULED]:.1e} away "
        f"from Adam, at alpha {most[PLAIN]:.2g}."
    )
    numbers = {"scheduled": most[SCHEDULED], "not scheduled": most[PLAIN]}
    found.append(Finding(text, numbers, {"scheduled": 0.0}))
    return found


EXPERIMENT = Experiment(
    name="horizon",
    summary="a rate and a beta2 set for the number of steps; bias correction as a schedule of lr",
    settings=Horizon(),
    quick={"horizons": (500, 1_000, 2_000)},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
