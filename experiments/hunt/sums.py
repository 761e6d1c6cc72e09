"""Small finite sums without projection: does x leave every bound?

The members of a sum have the slopes of a periodic problem up to the best point of [-1, 1], and are
quadratics beyond, by which the sum has its minimum at twice that point: the problem of Zhang et al.
2022 (arXiv:2208.09632). Their order is that of the period, or drawn anew for each period.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.hunt import verdicts
from experiments.hunt.hunted import Hunted
from experiments.hunt.problems import RATIOS, Spiked
from experiments.hunt.verdicts import Finding
from minigrad import to_host, xp

MEMBERS = (3, 5, 10, 20, 50)
TIMES = (10**3, 10**4, 10**5)
SEED = 0
CYCLIC, SHUFFLED = "in the order of the period", "in an order drawn anew for each period"


def sums(hunted: Hunted) -> list[Spiked]:
    """The problems whose slopes the members have; a few, where each takes time of its own."""
    every = [Spiked(round(r * (n - 1), 2), 1.0, n) for n in MEMBERS for r in RATIOS[1::2]]
    return [problem for problem in every if problem.mean][:: 1 if hunted.apart else 8]


def slope(g: np.ndarray, x: np.ndarray, worst: np.ndarray) -> np.ndarray:
    """That of a member at x, which has the slope g up to the best point."""
    return g * np.minimum(x * worst + 2, 1.0)


def played(hunted: Hunted, problems: Sequence[Spiked], shuffled: bool) -> np.ndarray:
    """x before each of the times, (times, problems), from the worst point."""
    worst = np.array([problem.worst for problem in problems])
    rms = np.array([problem.rms for problem in problems])
    opt, params = hunted.built(worst.copy(), rms)
    periods, lanes = np.array([p.period for p in problems]), np.arange(len(problems))
    slopes = np.zeros((max(MEMBERS), len(problems)))
    for i, problem in enumerate(problems):
        slopes[: problem.period, i] = problem.one_period
    rng, xs = np.random.default_rng(SEED), []
    for t in range(1, TIMES[-1] + 1):
        place = (t - 1) % periods
        if shuffled:
            for i in np.flatnonzero(place == 0):
                rng.shuffle(slopes[: periods[i], i])
        x = to_host(params.data)
        if t in TIMES:
            xs.append(x.copy())
        params.grad[...] = xp.asarray(slope(slopes[place, lanes], x, worst))
        opt.step()
    return np.array(xs)


def search(hunted: Hunted) -> tuple[list[Finding], dict[str, Any]]:
    """The first sum of which x leaves every bound, in either order; and what was tried."""
    problems, found, many = sums(hunted), [], 0
    for shuffled in (False, True):
        for problem, x in zip(problems, played(hunted, problems, shuffled).T, strict=True):
            if (growth := verdicts.growth(x * problem.worst)) is None:
                continue
            many += 1
            order = SHUFFLED if shuffled else CYCLIC
            numbers = {"T": TIMES[1], "x": x[1:].tolist(), "growth": growth}
            text = f"finite sum of {problem}, {order}"
            found.append(Finding(verdicts.DIVERGES, text, hunted.alpha, numbers, problem))
    return found[:1], {
        "problems": 2 * len(problems),
        "members": [min(MEMBERS), max(MEMBERS)],
        "T": TIMES[-1],
        "alpha": hunted.alpha,
        "x leaves every bound": many,
    }
