"""Runs on problems that no drift decides, and on those with independent draws: does regret fall?"""

from typing import Any

import numpy as np

from experiments.hunt import lasting, verdicts
from experiments.hunt import problems as space
from experiments.hunt.hunted import Hunted
from experiments.hunt.problems import KNOWN, Spiked
from experiments.hunt.runs import run
from experiments.hunt.screening import UNDECIDED, Screened
from experiments.hunt.verdicts import Finding

PERIODS = (3, 10, 32, 101, 320, 1000, 2000, 4000)  # of the periodic problems that are run
HIGH = 0.5  # of the way from 0 to the worst point, from where on a run makes suspicious
SUSPECTS = 12  # of these problems that are looked at more closely, the simplest first
ALPHAS = (0.5, 0.1, 0.02)  # the smaller, the sooner what x moves by in a period is small
COPIES, STEPS, SEED = 4, 10**6, 0  # of a problem with independent draws, at first
ALL_COPIES = 200  # of the one that a finding rests on


def some_undecided(grid: list[Screened]) -> list[Spiked]:
    """Every third one of some periods, of those at scale 1 that no drift decides."""
    every = [p for one in grid for p in one.of(UNDECIDED) if p.small == 1]
    return [p for p in every if p.period in PERIODS][::3]


def undecided(hunted: Hunted, problems: list[Spiked]) -> tuple[list[Finding], dict[str, Any]]:
    """Runs on all of these, and of the first that are suspicious the findings: one on the known
    ones and one on the others are enough; and what was tried."""
    times = lasting.decades(hunted)
    r = run(hunted, problems, np.zeros(len(problems)), times)
    judged = [verdicts.stands_still(r, problem, [i]) for i, problem in enumerate(problems)]
    still = [bool(one and one[0] == verdicts.STILL) for one in judged]
    near = [x * p.worst > HIGH for x, p in zip(r.x[-1].tolist(), problems, strict=True)]
    suspects = [p for p, *is_one in zip(problems, still, near, strict=True) if any(is_one)]
    found: dict[bool, Finding] = {}
    for problem in suspects[:SUSPECTS]:
        known = problem in KNOWN
        if known not in found and (finding := closely(hunted, problem)):
            found[known] = finding
    return list(found.values()), {
        "problems": len(problems),
        "T": times[-1],
        "alpha": hunted.alpha,
        "x_1": 0.0,
        "regret stands still": sum(still),
        "too slow": sum(bool(one and one[0] == verdicts.SLOW) for one in judged),
    }


def closely(hunted: Hunted, problem: Spiked) -> Finding | None:
    """The finding on a problem for which no drift was looked for: by its drift if it has one, and
    else by runs."""
    found = verdicts.drifts(hunted, problem)
    if all(verdicts.signs(found, problem)):
        return verdicts.ends_at_worst(hunted, problem, found)
    for other in map(hunted.at, ALPHAS):
        r = run(other, [problem], np.zeros(1), lasting.decades(other))
        finding = verdicts.still(other, problem, r, [0], 0.0)
        if finding and finding.verdict == verdicts.STILL:
            return finding
    return None


def seen(hunted: Hunted) -> tuple[list[Finding], dict[str, Any]]:
    """Runs on the known problems; the finding is that they are too slow to tell."""
    times = lasting.decades(hunted)
    r = run(hunted, KNOWN, np.zeros(len(KNOWN)), times)
    tried = {
        str(problem): {"alpha": hunted.alpha, "T": times, "x": x, "R/T": average}
        for problem, x, average in zip(KNOWN, r.x.T.tolist(), r.average.T.tolist(), strict=True)
    }
    moved = float(r.moved.max())
    if moved >= lasting.LEAST:
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
    r = run(hunted, [one] * ALL_COPIES, np.zeros(ALL_COPIES), lasting.decades(hunted))
    finding = verdicts.still(hunted, one, r, list(range(ALL_COPIES)), 0.0)
    return [finding] if finding and finding.verdict == verdicts.STILL else [], tried
