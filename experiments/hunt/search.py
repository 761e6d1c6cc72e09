"""The search: which problems are tried on a rule, in which order, and which of them break it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain, takewhile
from time import perf_counter
from typing import Any

import numpy as np

from experiments.hunt import problems as space
from experiments.hunt import regrets, screening, sums, verdicts
from experiments.hunt.hunted import Hunted
from experiments.hunt.problems import KNOWN, Spiked
from experiments.hunt.screening import BRIEFLY, Probes, Screened, screened
from experiments.hunt.verdicts import Finding

TRIES = 4  # problems that are run, the simplest first, to confirm what their drift says
ALPHAS = 0.5, 0.1, 0.02  # without projection: the smaller, the less x is thrown about at first
ORDER = [  # of verdicts, the worst first
    *(verdicts.WORST, verdicts.DRIFTS, verdicts.FROM, verdicts.DIVERGES, verdicts.STILL),
    *(verdicts.UNTIL, verdicts.SLOW),
]


@dataclass
class Hunt:
    """What was found on a rule, and what was tried."""

    hunted: Hunted
    echo: Callable[[str], None] = print
    findings: list[Finding] = field(default_factory=list)
    tried: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, some: Iterable[Finding | None]) -> bool:
        """Add those that are findings and new; say whether there was any finding."""
        found = [one for one in some if one]
        known = [(one.verdict, one.problem) for one in self.findings]
        for one in found:
            if (one.verdict, one.problem) not in known:
                self.findings.append(one)
                self.echo(f"  {one.verdict}: {one.problem}")
        return bool(found)

    def has(self, *some: str) -> bool:
        """Whether there is a finding with one of these verdicts."""
        return any(one.verdict in some for one in self.findings)


def hunt(hunted: Hunted, echo: Callable[[str], None] = print) -> Hunt:
    """Search, and give all that was found, the worst first."""
    started, result = perf_counter(), Hunt(hunted, echo)
    probes = screening.probed(hunted)
    grid = screening.grid(hunted, probes)
    result.tried["periodic"] = screening.counted(grid)
    undecided = _known(result) + regrets.some_undecided(grid)
    for rare_wins in (True, False):
        for kind in (verdicts.WORST, verdicts.FROM, verdicts.UNTIL, BRIEFLY):
            hits = [p for one in grid for p in one.of(kind) if (p.mean > 0) == rare_wins]
            if hits and not (kind == BRIEFLY and result.findings):
                if result.add(_simplest(hunted, kind, rare_wins, hits, probes)):
                    break
    wrong = [problem for one in grid for problem in one.of(screening.WRONG)]
    if wrong and not result.has(verdicts.WORST):
        result.add(_simplest(hunted, screening.WRONG, wrong[0].mean > 0, wrong, probes))
    if undecided and hunted.fast:
        found, result.tried["runs"] = regrets.undecided(hunted, undecided)
        result.add(found)
    if not result.has(*(set(ORDER) - {verdicts.UNTIL})):
        found, result.tried["seen"] = regrets.seen(hunted)
        result.add(found)
    if hunted.fast:
        enough = result.has(verdicts.WORST, verdicts.STILL)
        found, result.tried["independent draws"] = regrets.drawn(hunted, enough)
        result.add(found)
    broken = [one.of for one in result.findings if one.verdict == verdicts.WORST]
    tests = (verdicts.diverges(hunted.at(alpha), problem) for problem in broken for alpha in ALPHAS)
    if not result.add([next(filter(None, tests), None)]):
        found, result.tried["finite sums"] = sums.search(hunted)
        result.add(found)
    result.findings.sort(key=lambda finding: ORDER.index(finding.verdict))
    result.seconds = perf_counter() - started
    return result


def _known(result: Hunt) -> list[Spiked]:
    """Judge the known problems by their drift, and give those that it does not decide."""
    undecided, drifts = [], {}
    for problem in KNOWN:
        found = verdicts.drifts(result.hunted, problem)
        ends = [found[t].d[0].item() for t in (verdicts.DECADES[0], verdicts.DECADES[-1])]
        drifts[str(problem)] = [d if np.isfinite(d) else None for d in ends]
        if not result.add([verdicts.ends_at_worst(result.hunted, problem, found)]):
            result.add([verdicts.turns(result.hunted, problem, found)])
        if verdicts.signs(found, problem)[-1] == 0:
            undecided.append(problem)
    result.tried["known"] = drifts
    return undecided


def _simplest(
    hunted: Hunted, kind: str, rare_wins: bool, hits: list[Spiked], probes: Probes
) -> list[Finding]:
    """The finding on the simplest problem of that kind on which it is confirmed, if any."""
    hits = sorted(hits, key=lambda p: (p.period, p.spikes))
    families: tuple[Iterable[Spiked], ...] = ()
    if hunted.fast and hits[0].small == 1 and kind != screening.WRONG:
        every = space.simple(rare_wins), space.whole(rare_wins)
        families = tuple(takewhile(lambda p: p.period <= hits[0].period, one) for one in every)
    last = 1 if kind in (verdicts.WORST, verdicts.FROM, screening.WRONG) else -1
    groups: Iterable[Screened] = chain.from_iterable(
        screened(hunted, family, probes, last) for family in families
    )
    judges = {verdicts.WORST: verdicts.ends_at_worst, screening.WRONG: verdicts.climbs}
    judge = judges.get(kind, verdicts.turns)
    tries = 0
    for problem in chain(chain.from_iterable(one.of(kind) for one in groups), hits):
        if finding := judge(hunted, problem, verdicts.drifts(hunted, problem)):
            return [finding]
        tries += 1
        if tries == TRIES:
            break
    return []
