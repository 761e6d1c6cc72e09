"""What noise does at a constant rate: it leaves a floor around a minimum, which falls with the
rate, and of a double well it leads out of the worse one, and back.

What holds a run in a shallow minimum is said to be that its rule converges; here it is compared
with the floor, under rules that have a guarantee and that have none.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

import optim
from experiments.claims.floor_measures import (
    DECAY,
    RATES,
    SCHEDULES,
    SMALL,
    crossings,
    decays,
    floors,
    half,
    power,
)
from experiments.experiment import Experiment, Finding
from experiments.loops.compared import Compared, hyperparameters, of_names
from experiments.loops.lanes import Lanes
from experiments.loops.online import spaced
from experiments.problems import noisy
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.wording import between, counted, listed, number
from optim.schedules import Power

WALL = 2.0  # the double well is played on [-WALL, WALL]
POINTS = 60  # recorded steps under a schedule


@dataclass(frozen=True, kw_only=True)
class Floor(Compared):
    rules: tuple[str, ...] = ("SGD", "Adam", "AMSGrad")
    steps: int = 20_000
    seeds: int = 300  # from each well, and on the quadratic
    betas: tuple[float, float] = (0.9, 0.99)
    tilt: float = 0.1  # of the double well
    rare: float = 0.1  # the probability of noise, whose variance is 1
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_varies("lr")
        self.check("[10, inf)", "steps")
        self.check(f"(0, {noisy.STEEPEST:.3f})", "tilt")
        self.check("[0.01, 1]", "rare")

    @property
    def rms(self) -> float:
        """Of the noise."""
        return 1.0

    @property
    def names(self) -> list[str]:
        """The labels of the rules."""
        return list(self.compared)


def trials(s):
    better, _, worse = noisy.double_well_extrema(s.tilt)
    wells = np.repeat([worse, better], s.seeds)
    end = np.array([s.steps // 2, s.steps])
    noise = partial(noisy.signs, probability=s.rare)
    makers = {}
    for name, rule in s.compared.items():
        given = hyperparameters(rule, 1.0, s.betas, s, exponent=0)
        lanes = partial(Lanes, rule, times=end, seed=s.seed)
        makers[f"{name} floor"] = partial(
            lanes,
            slope=noisy.quadratic,
            noise=partial(noise, copies=s.seeds),
            x1=np.zeros((len(RATES), s.seeds)),
            measure=lambda x: x * x,
            **given | {"lr": np.repeat(RATES, s.seeds)},
        )
        makers[f"{name} wells"] = partial(
            lanes,
            slope=partial(noisy.double_well, tilt=s.tilt),
            noise=partial(noise, copies=2 * s.seeds),
            x1=np.tile(wells, (len(RATES), 1)),
            projection=optim.Box(-WALL, WALL),
            **given | {"lr": np.repeat(RATES, 2 * s.seeds)},
        )
    rates, exponents = (np.repeat(one, s.seeds) for one in zip(*SCHEDULES.values(), strict=True))
    makers[DECAY] = partial(
        Lanes,
        optim.SGD,
        noisy.quadratic,
        partial(noise, copies=s.seeds),
        x1=np.ones((len(SCHEDULES), s.seeds)),
        times=spaced(s.steps, POINTS),
        seed=s.seed,
        measure=lambda x: x,
        lr=Power(rates, exponents),
    )
    return makers


def verdict(traces, s):
    powers = {name: p for name, floor in floors(traces, s).items() if (p := power(floor))}
    text = "The floor E x^2 is 0"
    if powers:
        grows = f"goes like alpha to the {between(powers.values(), '.2f')}"
        text = f"The floor E x^2 {grows} under {listed(powers)}"
    there = {name: pair for name, pair in half(traces, s).items() if pair}
    if not there:
        return f"{text}; under none does a larger alpha take half of the seeds to the better well"
    alphas, floor = zip(*there.values(), strict=True)
    who = "" if len(there) == len(s.names) else f" under {listed(there)}"
    return (
        f"{text}; half of the seeds leave the worse well{who} where it is {between(floor, '.3f')}, "
        f"at alpha = {between(alphas, '.3f')}"
    )


def draw(traces, s):
    wells = noisy.double_well_extrema(s.tilt)
    heights = noisy.double_well_height(wells, s.tilt)
    sheet = Sheet(
        verdict(traces, s),
        rf"1, 2: $f(x) = x^2/2$;   3 to 6: $f(x) = x^4/4 - x^2/2 + {s.tilt:g}\,x$ on "
        rf"$[-{WALL:g}, {WALL:g}]$;   "
        r"slopes seen with noise: $\pm 1/\sqrt{q}$ with probability $q$, else $0$",
        rf"$q = {s.rare:g}$,  constant $\alpha$ but in 2,  $\beta = {s.betas}$ where a rule has "
        rf"no others,  $T = {number(s.steps)}$,  {counted(s.seeds, 'seed')} from each well, "
        f"drawn from seed {s.seed}",
        rows=2,
        columns=3,
        size=(4.5, 3.3),
    )
    styles = looks(s.names)
    floor = sheet.panel(0, 0, "1. the floor, by the rate", r"$\alpha$", r"$E\,x^2$")
    every = {name: values for name, values in floors(traces, s).items() if values.all()}
    for name, values in every.items():  # without those that are 0, which logarithms do not show
        floor.line(name, RATES, values, **styles[name])
    exact = {"end": "", "color": "black", "marker": "", "linewidth": 0.6}
    floor.line("alpha / (2 - alpha)", RATES, RATES / (2 - RATES), **exact)
    floor.note(r"thin: $\alpha/(2-\alpha)$, SGD's in closed form", 0.97, 0.05, ha="right")
    fall = sheet.panel(0, 1, "2. SGD by schedule", "$t$", r"$E\,x^2$")
    schedules, t = decays(traces[DECAY]), traces[DECAY]["t"]
    looked = looks(schedules)
    for label, values in schedules.items():
        seen = values > 0
        fall.line(label, t[seen], values[seen], **looked[label])
    well = sheet.panel(0, 2, "3. the double well", "$x$", "$f(x)$")
    x = np.linspace(-1.7, 1.6, 200)
    well.line("f", x, noisy.double_well_height(x, s.tilt), end="", color="black")
    for label, place in (("better", 0), ("worse", 2)):
        bottom = wells[place], heights[place]
        well.points(label, *([one] for one in bottom), marker="o", color="black")
        deep = f"{label}:\n{heights[1] - heights[place]:.3f} deep"
        well.tag(deep, *bottom, (0, -7), ha="center", va="top")
    well.axes.set_ylim(heights[0] - 0.2)
    found = crossings(traces, s)
    share = "share of seeds"
    leave = sheet.panel(1, 0, "4. from the worse well into the better", r"$\alpha$", share)
    stay = sheet.panel(1, 1, "5. in the better well in the end, of all", r"$\alpha$", share)
    same = sheet.panel(1, 2, "6. as 4, by the floor of 1", r"$E\,x^2$ on the quadratic", share)
    for name, (out, _, kept) in found.items():
        leave.line(name, RATES, out, **styles[name])
        stay.line(name, RATES, kept, **styles[name])
        if name in every:
            same.line(name, every[name], out, **styles[name])
    for panel in (floor, fall):
        panel.axes.set_yscale("log")
    for panel in (leave, stay, same):
        panel.axes.set_ylim(-0.05, 1.05)
    for panel in (floor, fall, leave, stay, same):
        panel.axes.set_xscale("log")
    stay.limit(0.5, "as begun")
    return sheet


def caption(traces, s):
    return (
        f"Slopes seen with noise of variance 1, +-1/sqrt(q) with probability q = {s.rare:g} and "
        f"else 0; {listed(s.names)}, beta = {s.betas} where a rule has no others, {s.steps:,} "
        f"steps, {counted(s.seeds, 'seed')} drawn from seed {s.seed}.{of_names(s)} 1: x^2/2 at a "
        "constant alpha: the mean x^2 of the second half of the steps, logarithmic. 2: x^2/2 from "
        "1 under SGD by the schedule of alpha, and the mean of all x so far at a constant 0.1: x^2 "
        f"before step t, in the mean over seeds. 3: x^4/4 - x^2/2 + {s.tilt:g} x, its two wells. "
        "4: of the seeds that begin at the bottom of the worse well the share that is in the "
        f"better one in the end, by a constant alpha, on [-{WALL:g}, {WALL:g}]. 5: the share of "
        "all seeds, of which half begin in each well, that end in the better. 6: the share of 4 by "
        "the floor of 1 at the same alpha. "
        + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    said, halves = [], half(traces, s)
    for name, floor in floors(traces, s).items():
        out, back, kept = crossings(traces, s)[name]
        best = int(kept.argmax())
        text = (
            f"{name}: the floor is {floor[0]:.3g} at alpha = {RATES[0]:.2g}, {floor[-1]:.3g} at "
            f"{RATES[-1]:.2g}"
        )
        numbers, stated = {"floor": float(floor[-1])}, {}
        if p := power(floor):
            numbers["power"], stated["power"] = p, 1.0
            text += f", and goes like alpha to the {p:.2f} up to {SMALL:g}"
        text += "; "
        if name == "SGD":
            stated["floor"] = float(RATES[-1] / (2 - RATES[-1]))
        if halves[name]:
            alpha, there = numbers["alpha of half"], numbers["floor of half"] = halves[name]
            text += (
                f"half of the seeds from the worse well end in the better at alpha = {alpha:.3f}"
            )
            text += f", where the floor is {there:.3f}; "
        text += (
            f"most of all seeds do at alpha = {RATES[best]:.2g}, {kept[best]:.0%}; at "
            f"{RATES[-1]:.2g} {out[-1]:.0%} change from the worse well to the better, and "
            f"{back[-1]:.0%} from the better to the worse."
        )
        numbers |= {"best share": float(kept[best]), "best alpha": float(RATES[best])}
        said.append(Finding(text, numbers, stated))
    last = {label: float(values[-1]) for label, values in decays(traces[DECAY]).items()}
    text = f"{DECAY} of alpha: E x^2 after {s.steps:,} steps is "
    text += listed(f"{value:.2g} ({label})" for label, value in last.items()) + "."
    constant, _ = SCHEDULES["0.1"]
    told = {"0.1": constant / (2 - constant), "1/t": 1 / (s.steps - 1)}
    said.append(Finding(text, last, told))
    return said


EXPERIMENT = Experiment(
    name="floor",
    summary="noise at a constant rate: the floor, and which well of two is the last",
    settings=Floor(),
    quick={"steps": 1_000, "seeds": 50},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
