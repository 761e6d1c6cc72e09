"""Long runs that confirm what a drift says: how long they have to be, and where x is then."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.hunt.drift import Drift
from experiments.hunt.hunted import Hunted
from experiments.hunt.runs import Run, run

NEAR = 0.05  # of the worst point in the end
SHARE = 0.05  # by which R_T / T may differ from that at the worst point
LONG = 10**7  # steps of one that shall show that regret stands still
LEAST = 0.1  # that a rule has to move x by
LONGEST = 3 * 10**8  # steps of a run that shall show that x stays at the worst point


def longest(hunted: Hunted) -> int:
    """The steps of a run that can be waited for, to see x stay."""
    return LONGEST if hunted.fast else LONGEST // 300


def decades(hunted: Hunted) -> list[int]:
    """The times at which a run is looked at that shall show that regret stands still."""
    last = LONG if hunted.fast else LONG // 100
    return [last // 100, last // 10, last]


def plan(found: Drift, problems: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """For each problem an alpha, and the T at which, as far as the drift says, x has long been at
    the worst point, and the average regret is near enough to what it is there.

    The way of length 2 takes (1 / alpha v)^2 steps, where v is the drift of a step, and a third of
    the regret of these is missing; after five times as many the start counts for little. What the
    moves of each period add to the regret at the worst point falls like alpha / sqrt(T). With this
    alpha the longer of the two is shortest.
    """
    speed = np.abs(found.d) / found.steps
    mean = np.abs([problem.mean for problem in problems])
    excess = np.maximum(np.abs(found.excess), 1e-9 * mean) / (0.95 * SHARE * mean)
    with np.errstate(divide="ignore"):
        alpha = 5**0.25 / np.sqrt(excess * speed)
        digit = 10.0 ** np.floor(np.log10(np.clip(alpha, 1e-3, 10)))
    alpha = np.clip(np.round(alpha / digit) * digit, 1e-3, 10)
    with np.errstate(divide="ignore"):
        return alpha, np.maximum(5 / (alpha * speed) ** 2, (alpha * excess) ** 2)


def stays(hunted: Hunted, problem: Any, planned: int) -> dict[str, Any]:
    """x and R_T / T of runs from both ends at the first T at which, and at 10 T, all is as it has
    to be; empty where there is none."""
    limit = 2 * abs(problem.mean)

    def holds(r: Run) -> np.ndarray:
        near = np.abs(r.x - problem.worst) <= NEAR
        return (near & (np.abs(r.average / limit - 1) <= SHARE)).all(axis=1)

    def enough(r: Run) -> bool:
        """Also where it takes longer than it should."""
        return holds(r)[-3::2].sum() == 2 or (r.t[-1] > 3 * planned and not holds(r)[-1])

    times = [k * 10**j for j in range(4, 9) for k in (1, 3) if k * 10**j <= longest(hunted)]
    problems, x1 = [problem, problem], np.array([-1.0, 1.0])
    r = run(hunted, problems, x1, times, enough=enough)
    if holds(r)[-3::2].sum() < 2:
        return {}
    return {
        "T": int(r.t[-3]),
        "x": r.x[-3::2].tolist(),
        "R/T": r.average[-3::2].tolist(),
        "at the worst point": limit,
    }


def leaves(hunted: Hunted, problem: Any, turn: int) -> dict[str, Any]:
    """x a decade before the end and at the end of the longest run from the best point, if it leaves
    that for good after t*; else empty."""
    most = longest(hunted)
    r = run(hunted, [problem], np.array([-problem.worst]), [most // 10, most])
    before, last = r.x[:, 0].tolist()
    back, left = (before - last) * problem.worst, 1 + last * problem.worst
    if turn > most // 10 or left < LEAST or back > LEAST:
        return {}
    return {"T": most, "from the best point": [before, last]}
