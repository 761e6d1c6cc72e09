"""Paths of rules on functions of the plane, each with the best of many rates: what momentum, and
what scaling each coordinate, do in a bent valley, a ravine, among several minima, and in noise.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

import optim
from experiments.experiment import Experiment, Finding
from experiments.loops.compared import Compared, of_names
from experiments.loops.online import recorded_times
from experiments.loops.watched import Watched
from experiments.problems.functions import LANDSCAPES, Landscape
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.wording import listed, number
from minigrad import Tensor, to_host, xp

RATES = 10.0 ** np.arange(-4, 0.75, 0.25)
NEAR = 0.05  # of a minimum
LATE = 0.9  # of the steps
LEAST = 1e-4  # distance that is drawn


@dataclass(frozen=True, kw_only=True)
class Landscapes(Compared):
    rules: tuple[str, ...] = ("SGD", "Momentum", "AdaGrad", "Adam", "AMSGrad")
    steps: int = 2_000
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_varies("lr")

    @property
    def names(self) -> list[str]:
        """The labels of the rules."""
        return list(self.compared)


def descent(landscape, rule, *, rates, steps, seed):
    """One rule with each of the rates, all from one start and with the same noise: a copy each, of
    one arena, in a box that is the window. Watches x and y, (rates,)."""
    points = [Tensor(np.full(len(rates), z), requires_grad=True) for z in landscape.start]
    low, high = (np.repeat(ends, len(rates)) for ends in zip(*landscape.window, strict=True))

    def loss(t):
        signs = np.random.default_rng([seed, t]).choice([-1.0, 1.0], len(landscape.others))
        return landscape.function(*points, *(landscape.noise * signs).tolist()).sum()

    return Watched(
        points,
        loss,
        rule,
        times=recorded_times(steps),
        watch=lambda opt: dict(zip("xy", (to_host(z.data) for z in points), strict=True)),
        separate=True,
        lr=xp.asarray(np.tile(rates, 2)),
        projection=optim.Box(xp.asarray(low, "float64"), xp.asarray(high, "float64")),
    )


def trials(s):
    return {
        f"{label} {name}": partial(
            descent, landscape, rule, rates=RATES, steps=s.steps, seed=s.seed
        )
        for name, landscape in LANDSCAPES.items()
        for label, rule in s.compared.items()
    }


def distance(landscape: Landscape, trace) -> np.ndarray:
    """To the nearest minimum, (times, rates)."""
    minima = np.array(landscape.minima)[:, :, None, None]
    return np.hypot(trace["x"] - minima[:, 0], trace["y"] - minima[:, 1]).min(axis=0)


def arrival(landscape: Landscape, trace) -> np.ndarray:
    """The first recorded time from which a path stays near a minimum, (rates,); inf for none
    before the last tenth of the steps."""
    there = np.minimum.accumulate((distance(landscape, trace) < NEAR)[::-1])[::-1]
    t = np.where(there.any(axis=0), trace["t"][there.argmax(axis=0)], np.inf)
    return np.where(t < LATE * trace["t"][-1], t, np.inf)


def best(landscape: Landscape, trace) -> int:
    """The rate that arrives first, or where none does, that comes nearest in the last tenth."""
    late = trace["t"] >= LATE * trace["t"][-1]
    nearest = distance(landscape, trace)[late].mean(axis=0)
    return int(np.lexsort((nearest, arrival(landscape, trace)))[0])


def arrivals(traces, s):
    """By landscape and rule: when the best rate arrives."""
    return {
        name: {
            rule: arrival(landscape, trace)[best(landscape, trace)]
            for rule in s.names
            for trace in [traces[f"{rule} {name}"]]
        }
        for name, landscape in LANDSCAPES.items()
    }


def verdict(traces, s):
    firsts: dict[str, list[str]] = {}
    for name, times in arrivals(traces, s).items():
        least = min(times.values())
        who = [rule for rule, t in times.items() if t == least] if np.isfinite(least) else []
        firsts.setdefault(listed(who) if who else "none", []).append(LANDSCAPES[name].name)
    parts = [f"{who} on {listed(names)}" for who, names in firsts.items()]
    return f"First at a minimum: {'; '.join(parts)}"


def draw(traces, s):
    sheet = Sheet(
        verdict(traces, s),
        "",
        f"Each rule with the best of {len(RATES)} constant rates from ${RATES[0]:g}$ to "
        f"${RATES[-1]:.2g}$, for ${number(s.steps)}$ steps from one start; noise of seed {s.seed}",
        rows=2,
        columns=len(LANDSCAPES),
        size=(2.9, 2.7),
    )
    styles = looks(s.names)
    for column, (name, landscape) in enumerate(LANDSCAPES.items()):
        plane = sheet.panel(0, column, landscape.name, "$x$", "$y$" if column == 0 else "")
        title = "distance to the nearest minimum" if column == 0 else ""
        away = sheet.panel(1, column, title, "$t$", "")
        away.name = f"{landscape.name}: distance"
        contours(plane.axes, landscape)
        for rule in s.names:
            trace = traces[f"{rule} {name}"]
            chosen = best(landscape, trace)
            path = seen(landscape, trace["x"][:, chosen], trace["y"][:, chosen])
            plane.line(rule, *path, end="", **styles[rule] | {"linewidth": 1, "marker": ""})
            style = styles[rule] | {"linewidth": 1.1, "markevery": 0.3}
            last = column == len(LANDSCAPES) - 1
            left = np.maximum(distance(landscape, trace)[::3, chosen], LEAST)
            away.line(rule, trace["t"][::3], left, end=rule if last else "", **style)
        plane.points("minima", *zip(*landscape.minima, strict=True), marker="*", color="black")
        plane.points("start", *([z] for z in landscape.start), marker="o", color="black")
        plane.axes.set(xlim=landscape.window[0], ylim=landscape.window[1])
        away.limit(NEAR, "near", side="right")
        away.axes.set(xscale="log", yscale="log", ylim=(LEAST, 10))
        away.axes.minorticks_off()
        if column:
            away.axes.set_yticklabels([])
    return sheet


def contours(axes, landscape):
    """Shades of the logarithm of the height above the lowest point of the window."""
    x, y = (np.linspace(*ends, 200) for ends in landscape.window)
    height = landscape.value(x, y[:, None])
    height = np.log(height - height.min() + 1e-2)
    shades = np.floor(12 * (height - height.min()) / np.ptp(height))
    extent = [*landscape.window[0], *landscape.window[1]]
    look = {"cmap": "Greys", "alpha": 0.35, "interpolation": "none", "aspect": "auto"}
    axes.imshow(shades, origin="lower", extent=extent, **look)


def seen(landscape, x, y):
    """The points of a path, without those that are too near to the one before to be seen apart."""
    apart = np.array([np.ptp(ends) for ends in landscape.window]) / 120
    cells = np.round(np.stack([x, y], axis=1) / apart)
    kept = np.append(True, (np.diff(cells, axis=0) != 0).any(axis=1))
    return x[kept], y[kept]


def caption(traces, s):
    return (
        f"Paths of {listed(s.names)} on {listed(one.name for one in LANDSCAPES.values())}, for "
        f"{s.steps:,} steps from one start (dot) at a constant rate: of {RATES[0]:g} to "
        f"{RATES[-1]:.2g} the one with which the path is soonest within {NEAR} of a minimum (star) "
        "for good, or nearest at the end where none is. No path leaves the window. Above, the "
        "logarithm of the height in shades; below, the distance to the nearest minimum. The "
        f"gradient of the noisy quadratic has {LANDSCAPES['noisy_quadratic'].noise:g} added or "
        f"taken away in each coordinate at each step, by draws of seed {s.seed}." + of_names(s)
    )


def findings(traces, s):
    found = []
    for label, trace in traces.items():
        landscape = LANDSCAPES[label.split()[-1]]
        chosen = best(landscape, trace)
        t = float(arrival(landscape, trace)[chosen])
        left = float(distance(landscape, trace)[-1, chosen])
        when = f"from step {t:,.0f} on" if np.isfinite(t) else f"never, {left:.2g} away at the end"
        numbers = {"lr": float(RATES[chosen]), "distance": left}
        numbers |= {"arrival": t} if np.isfinite(t) else {}
        text = f"{label}: within {NEAR} of a minimum {when}, at lr = {RATES[chosen]:.2g}."
        found.append(Finding(text, numbers))
    return found


EXPERIMENT = Experiment(
    name="landscapes",
    summary="paths of rules on six functions of the plane, each with its best rate",
    settings=Landscapes(),
    quick={"steps": 200},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
