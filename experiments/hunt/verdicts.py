"""What may be said of a rule on a problem, and what has to hold for it."""

from dataclasses import dataclass, field
from math import log10
from typing import Any

import numpy as np

from experiments.hunt.drift import Drift, drift
from experiments.hunt.exactly import AGREE, CLOSE, exact_drift, exact_start
from experiments.hunt.hunted import Hunted
from experiments.hunt.lasting import LEAST, LONG, decades, leaves, longest, plan, stays
from experiments.hunt.problems import as_slopes
from experiments.hunt.runs import Run, run

WORST = "ends at the worst point"
UNTIL = "climbs until t*"
FROM = "climbs from t* on"
DRIFTS = "climbs"
STILL = "regret stands still"
DIVERGES = "leaves every bound"
SLOW = "too slow to tell"
NOTHING = "nothing found"

DECADES = tuple(10**k for k in range(3, 13))  # at which a drift is looked at
FLAT = -0.1  # slope of log R_T / T against log T above which it stands still
HEADING = 1.5  # how many times farther than in the decade before x has to go, not to stand still


@dataclass
class Finding:
    """A verdict on a rule and a problem, with the numbers that it rests on."""

    verdict: str
    problem: str
    alpha: float
    numbers: dict[str, Any] = field(default_factory=dict)
    of: Any = field(default=None, repr=False)  # the problem itself


def drifts(hunted: Hunted, problem: Any) -> dict[int, Drift]:
    """D(t) at t = 10^3, ..., 10^12, of a rule that is not compiled at every third of these."""
    times = DECADES if hunted.fast else DECADES[::3]
    return {t: drift(hunted, as_slopes([problem]), t) for t in times}


def signs(found: dict[int, Drift], problem: Any) -> list[int]:
    """For each t +1 where the drift is wrong, -1 where it is right, 0 where there is none."""
    return [int(d.wrong(problem.worst)[0]) - int(d.right(problem.worst)[0]) for d in found.values()]


def ends_at_worst(hunted: Hunted, problem: Any, found: dict[int, Drift]) -> Finding | None:
    """Where the drift is wrong at all decades, and runs from both ends stay at the worst point."""
    if set(signs(found, problem)) != {1}:
        return None
    alpha, t = plan(found[DECADES[-1]], [problem])
    hunted = hunted.at(float(alpha[0]))
    found = drifts(hunted, problem)  # which may depend on alpha
    if t[0] > longest(hunted) / 10 or set(signs(found, problem)) != {1}:
        return None
    exact = exact_drift(hunted, problem, 10**6)
    if not _confirmed(exact, float(found[10**6].d[0])):
        return None
    if not (there := stays(hunted, problem, int(t[0]))):
        return None
    return Finding(WORST, str(problem), hunted.alpha, _numbers(found, exact) | there, problem)


def climbs(hunted: Hunted, problem: Any, found: dict[int, Drift]) -> Finding | None:
    """Where the drift is wrong at all decades, but a run that shows that x stays at the worst point
    would be too long: one from the best point gets nearer to the worst."""
    if set(signs(found, problem)) != {1}:
        return None
    last = found[DECADES[-1]]
    hunted = hunted.at(float(plan(last, [problem])[0][0]))
    if abs(last.d[0]) / last.steps * hunted.reach(longest(hunted)) < 1:
        return None
    exact = exact_drift(hunted, problem, 10**6)
    if not _confirmed(exact, float(found[10**6].d[0])):
        return None
    there = leaves(hunted, problem, 0)
    if not there or there["from the best point"][-1] * problem.worst < 0:
        return None
    return Finding(DRIFTS, str(problem), hunted.alpha, _numbers(found, exact) | there, problem)


def turns(hunted: Hunted, problem: Any, found: dict[int, Drift]) -> Finding | None:
    """Where the drift is wrong at first and right at last, or the other way round; t* by
    bisection."""
    if (where := _crossing(signs(found, problem))) is None:
        return None
    if where > 0:
        alpha, need = plan(found[DECADES[-1]], [problem])
        return _turns_at(
            hunted.at(float(alpha[0])), problem, need=int(min(need[0], longest(hunted)))
        )
    for alpha in (0.5, 1.0, 2.0):  # the larger, the sooner x has moved
        if finding := _turns_at(hunted.at(alpha), problem):
            return finding
    return None


def _crossing(sides: list[int]) -> int | None:
    """-k where the drift is wrong at first and right from decade k on, +k for the reverse."""
    changes = np.flatnonzero(np.diff(sides))
    if 0 in sides or len(changes) != 1:
        return None
    return int(changes[0] + 1) * -sides[0]


def _turns_at(hunted: Hunted, problem: Any, need: int = 0) -> Finding | None:
    """The finding at this alpha; `need` is the T of a run where the drift is wrong in the end."""
    found = drifts(hunted, problem)  # which may depend on alpha
    if (where := _crossing(signs(found, problem))) is None:
        return None
    turn = _bisected(hunted, problem, DECADES[abs(where) - 1], DECADES[abs(where)], where < 0)
    exact = [exact_drift(hunted, problem, t) for t in (turn // 2, 2 * turn)]
    if None not in exact and [d * problem.worst * where < 0 for d in exact] != [True, False]:
        return None
    numbers = _numbers(found, None) | {"t*": turn, "drift at t*/2 and 2 t*, 50 digits": exact}
    if where > 0:
        there = stays(hunted, problem, need) if need <= longest(hunted) / 10 else {}
        there = there or leaves(hunted, problem, turn)
        return Finding(FROM, str(problem), hunted.alpha, numbers | there, problem)
    stop = min(turn, LONG)
    if abs(found[DECADES[0]].d[0]) / problem.period * hunted.reach(stop) < LEAST:
        return None  # where x goes in these steps is not the drift's doing
    period = list(range(stop - problem.period + 1, stop + 1))
    r = run(hunted, [problem], np.array([-problem.worst]), period)
    x = float((r.x[:, 0] * problem.worst).min() * problem.worst)  # no spike is mistaken for a climb
    if abs(x + problem.worst) < LEAST:
        return None
    return Finding(UNTIL, str(problem), hunted.alpha, numbers | {"T": stop, "x": x}, problem)


def _bisected(hunted: Hunted, problem: Any, low: int, high: int, wrong_first: bool) -> int:
    """The step between two from which on the drift is of the other sign, to four digits."""
    while high - low > max(1, 1e-4 * low):
        middle = round((low * high) ** 0.5) if high > 1.1 * low else (low + high) // 2
        is_wrong = bool(drift(hunted, as_slopes([problem]), middle).wrong(problem.worst)[0])
        low, high = (middle, high) if is_wrong == wrong_first else (low, middle)
    return high


def stands_still(r: Run, problem: Any, columns: Any) -> tuple[str, float] | None:
    """Of the mean of these columns: STILL or SLOW, and the slope over the last two decades; None
    where regret falls. Regret that falls ever faster has not stood still, only not arrived."""
    average, x = r.average[:, columns].mean(axis=1), r.x[:, columns].mean(axis=1)
    last, before, first = average[-1], average[-2], average[-3]
    if min(first, before, last) <= 0:
        return None
    slope = log10(last / first) / 2
    if slope <= FLAT:
        return None
    moved = r.moved[columns].max() >= LEAST
    way = -problem.worst * np.diff(x[-3:])  # towards the best point, in each of the last decades
    heads = way[1] > HEADING * max(way[0], 0) and way[1] > 1e-3
    steeper = (
        log10(last / before) < 1.2 * log10(before / first) and log10(last / before) < FLAT / 10
    )
    return (STILL if moved and not heads and not steeper else SLOW), slope


def still(hunted: Hunted, problem: Any, r: Run, columns: Any, x1: float) -> Finding | None:
    """The finding where the regret of a run stands still, or too slow to tell."""
    if (judged := stands_still(r, problem, columns)) is None:
        return None
    verdict, slope = judged
    off = exact_start(hunted, problem, x1)
    if off is not None and off > CLOSE:
        return None
    numbers = {
        "T": int(r.t[-1]),
        "x_1": x1,
        "x": float(r.x[-1, columns].mean()),
        "R/T": float(r.average[-1, columns].mean()),
        "slope": slope,
        "off in 50 digits": off,
    }
    return Finding(verdict, str(problem), hunted.alpha, numbers, problem)


def diverges(hunted: Hunted, problem: Any) -> Finding | None:
    """Without projection, on the finite sum whose members have these slopes beyond -1 times the
    worst point, and are quadratics below, with the minimum at -2: |x| grows like sqrt(T)."""
    start, times = problem.worst, decades(hunted)
    r = run(hunted, [problem], np.array([start]), times, boxed=False)
    grows = growth(r.x[:, 0] * start)
    if grows is None or r.lowest[0] < -1:  # it has been where they are quadratics
        return None
    numbers = {"T": times[1], "x": r.x[1:, 0].tolist(), "growth": grows}
    return Finding(DIVERGES, f"finite sum of {problem}", hunted.alpha, numbers, problem)


def growth(x: np.ndarray) -> float | None:
    """How much farther x, which is at 1 at first, goes in the last of two decades, where that is as
    for the root of T; else None."""
    last, before = np.diff(x)[::-1]
    if x[-1] - 1 < LEAST or before <= 0 or not 0.9 < last / before / 10**0.5 < 1.1:
        return None
    return float(last / before)


def _numbers(found: dict[int, Drift], exact: float | None) -> dict[str, Any]:
    return {
        "drift": {f"{t:.0e}": float(d.d[0]) for t, d in found.items()},
        "drift in 50 digits": exact,
    }


def _confirmed(exact: float | None, d: float) -> bool:
    return exact is None or abs(exact - d) <= AGREE * abs(d)
