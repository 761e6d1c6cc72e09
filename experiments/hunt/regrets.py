"""Runs on problems that no drift decides, and on those with independent draws: does regret fall?"""

from typing import Any

import numpy as np

from experiments.hunt import problems as space
from experiments.hunt import verdicts
from experiments.hunt.hunted import Hunted
from experiments.hunt.problems import KNOWN, Spiked
from experiments.hunt.runs import run
from experiments.hunt.screening import UNDECIDED, Screened
from experiments.hunt.verdicts import Finding

PERIODS = (3, 10, 32, 101, 320)  # of the periodic problems that are run
COPIES, STEPS, SEED = 4, 10**6, 0  # of a problem with independent draws, at first
ALL_COPIES = 200  # of the one that a finding rests on
SLOW_STEPS = 10**5  # of a rule that is not compiled


def decades(hunted: Hunted) -> list[int]:
    """The times at which a long run is looked at."""
    last = verdicts.LONG if hunted.fast else SLOW_STEPS
    return [last // 100, last // 10, last]


def some_undecided(grid: list[Screened]) -> list[Spiked]:
    """Every other one of some periods, of those at scale 1 that no drift decides."""
    every = [p for one in grid for p in one.of(UNDECIDED) if p.small == 1]
    return [p for p in every if p.period in PERIODS and p.spikes <= 2][::2]


def undecided(hunted: Hunted, problems: list[Spiked]) -> tuple[list[Finding], dict[str, Any]]:
    """Runs on all of these, of which one finding on the known ones and one on the others are
    enough; and what was tried."""
    times = decades(hunted)
    r = run(hunted, problems, np.zeros(len(problems)), times)
    every = [verdicts.still(hunted, problem, r, [i], 0.0) for i, problem in enumerate(problems)]
    still = [one for one in every if one and one.verdict == verdicts.STILL]
    known = [one for one in still if one.of in KNOWN]
    others = [one for one in still if one.of not in KNOWN]
    return known[:1] + others[:1], {
        "problems": len(problems),
        "T": times[-1],
        "alpha": hunted.alpha,
        "x_1": 0.0,
        "regret stands still": len(still),
        "too slow": sum(bool(one and one.verdict == verdicts.SLOW) for one in every),
    }


def seen(hunted: Hunted) -> tuple[list[Finding], dict[str, Any]]:
    """Runs on the known problems; the finding is that they are too slow to tell."""
    times = decades(hunted)
    r = run(hunted, KNOWN, np.zeros(len(KNOWN)), times)
    tried = {
        str(problem): {"alpha": hunted.alpha, "T": times, "x": x, "R/T": average}
        for problem, x, average in zip(KNOWN, r.x.T.tolist(), r.average.T.tolist(), strict=True)
    }
    moved = float(r.moved.max())
    if moved >= verdicts.LEAST:
        return [], tried
    one = Finding(verdicts.SLOW, str(KNOWN[0]), hunted.alpha, {"moved": moved}, KNOWN[0])
    return [one], tried


def drawn(hunted: Hunted, enough: bool) -> tuple[list[Finding], dict[str, Any]]:
    """Runs on the problems with independent draws; unless there is enough already, the one on which
    x is nearest to the worst point is run for longer, with many copies."""
    problems = list(space.drawn(COPIES, SEED))
    lanes = [problem for problem in problems for _ in range(COPIES)]
    r = run(hunted, lanes, np.zeros(len(lanes)), [STEPS // 100, STEPS // 10, STEPS])
    broken: dict[Any, float] = {}  # and how near it is to the worst point
    for i, problem in enumerate(problems):
        columns = list(range(i * COPIES, (i + 1) * COPIES))
        judged = verdicts.stands_still(r, problem, columns)
        if judged and judged[0] == verdicts.STILL:
            broken[problem] = float(r.x[-1, columns].mean()) * problem.worst
    tried = {
        "problems": len(problems),
        "copies": COPIES,
        "T": STEPS,
        "probability": [min(space.RARITIES), max(space.RARITIES)],
        "regret stands still": len(broken),
    }
    if enough or not broken:
        return [], tried
    first = max(broken, key=lambda problem: broken[problem])
    one = space.Drawn(first.large, first.small, first.probability, ALL_COPIES, SEED)
    r = run(hunted, [one] * ALL_COPIES, np.zeros(ALL_COPIES), decades(hunted))
    finding = verdicts.still(hunted, one, r, list(range(ALL_COPIES)), 0.0)
    return [finding] if finding and finding.verdict == verdicts.STILL else [], tried
