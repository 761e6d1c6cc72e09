"""The drifts of all periodic problems, at a few t: which of them may break a rule."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

import numpy as np

from experiments.hunt import lasting, verdicts
from experiments.hunt import problems as space
from experiments.hunt.drift import Drift, drift
from experiments.hunt.hunted import Hunted
from experiments.hunt.problems import KNOWN, SCALES, Spiked, as_slopes

TIMES = (10**3, 10**6, 10**9, 10**12)
PROBED = (*KNOWN, Spiked(6.0, 1.0, 8), Spiked(150.0, 1.0, 160, spikes=2))
SHARED, FEW = 3200, (10, 32, 320)  # for a rule that is not compiled: periods that divide this one,
# and if each problem takes time of its own, these, with one spike
ALIKE = 1e-3  # share of the moves by which a drift may differ at another scale, not to be tried
BRIEFLY = "climbs until t*, which is early"
RIGHT, WRONG, UNDECIDED = "right at every t", "wrong at every t", "undecided in the end"

Probes = dict[int, np.ndarray]  # by t the drifts of PROBED, NaN for none, as shares of the moves


def probed(hunted: Hunted, scale: float = 1.0) -> Probes:
    """The drifts of a few problems at each t; of a rule that is not compiled there are none."""
    if not hunted.fast:
        return {}
    slopes = [scale * as_slopes([problem]) for problem in PROBED]
    return {t: np.array([_share(drift(hunted, g, t)) for g in slopes]) for t in TIMES}


def _share(found: Drift) -> float:
    return float(found.d[0] / found.size[0])


@dataclass(frozen=True)
class Screened:
    """Problems of one period with, for each of the times, whether their drift is wrong (1), right
    (-1), or 0 or does not exist (0); and for the last the T that a run needs, inf if too long."""

    problems: list[Spiked]
    signs: np.ndarray
    needs: np.ndarray

    def of(self, kind: str) -> list[Spiked]:
        """Those that may get a verdict, or that are of another kind."""
        first, long, _, last = self.signs
        wrong = (self.signs == 1).all(axis=0)
        chosen = {
            verdicts.WORST: wrong & np.isfinite(self.needs),
            verdicts.UNTIL: (long == 1) & (last == -1),
            BRIEFLY: (first == 1) & (long == -1) & (last == -1),
            verdicts.FROM: (first == -1) & (last == 1),
            WRONG: wrong,
            RIGHT: (self.signs == -1).all(axis=0),
            UNDECIDED: last == 0,
        }[kind]
        return [problem for problem, is_one in zip(self.problems, chosen, strict=True) if is_one]


def screened(
    hunted: Hunted, some: Iterable[Spiked], probes: Probes, last: int | None = None
) -> Iterator[Screened]:
    """The problems by period, if `last` is given those alone whose last sign it is.

    Where none of the probes has a drift at some t, it is not looked for; nor is it at every t where
    that of the probes is the same at all. For a rule that is not compiled all periods are made one.
    """
    steady = bool(probes) and all(
        np.allclose(d, probes[TIMES[0]], 1e-6, 0) for d in probes.values()
    )
    for _, group in groupby(some, key=lambda problem: problem.period if hunted.fast else SHARED):
        problems = list(group)
        signs, needs = _signs(hunted, problems, TIMES[-1], probes)
        if last is not None:
            chosen = np.flatnonzero(signs == last)
            problems, signs, needs = [problems[i] for i in chosen], signs[chosen], needs[chosen]
        if problems:
            before = [
                signs if steady else _signs(hunted, problems, t, probes)[0] for t in TIMES[:-1]
            ]
            yield Screened(problems, np.array([*before, signs]), needs)


def _signs(
    hunted: Hunted, problems: list[Spiked], t: int, probes: Probes
) -> tuple[np.ndarray, np.ndarray]:
    if probes and not np.isfinite(probes[t]).any():
        return np.zeros(len(problems), int), np.zeros(len(problems))
    found, worst = drift(hunted, as_slopes(problems), t), np.array([p.worst for p in problems])
    signs = found.wrong(worst).astype(int) - found.right(worst)
    needs = lasting.plan(found, problems)[1]
    return signs, np.where(needs < lasting.longest(hunted) / 10, needs, np.inf)


def grid(hunted: Hunted, probes: Probes) -> list[Screened]:
    """All periodic problems, at one scale, and at others too where none is wrong at all t, and the
    drifts are others."""
    found: list[Screened] = []
    for scale in SCALES if hunted.fast else SCALES[:1]:
        if scale != 1 and _alike(probes, probed(hunted, scale)):
            continue
        some = space.periodic(scale)
        if not hunted.fast:
            some = (p for p in some if SHARED % p.period == 0)
        if not hunted.fast and not hunted.apart:
            some = islice((p for p in some if p.period in FEW and p.spikes == 1), 0, None, 4)
        found += screened(hunted, some, probes)
        if any(one.of(verdicts.WORST) for one in found):
            break
    return found


def _alike(one: Probes, other: Probes) -> bool:
    """Whether the drifts are those at another scale, and exist."""
    return all(np.allclose(one[t], other[t], rtol=0, atol=ALIKE) for t in TIMES)


def counted(found: list[Screened]) -> dict[str, Any]:
    """How many problems of which ranges there are, and of which kinds."""
    every = [problem for one in found for problem in one.problems]
    kinds = {
        "drift wrong at every t": (WRONG,),
        "right at every t": (RIGHT,),
        "wrong at first": (verdicts.UNTIL, BRIEFLY),
        "wrong in the end": (verdicts.FROM,),
        "undecided": (UNDECIDED,),
    }
    return {
        "problems": len(every),
        "period": [min(p.period for p in every), max(p.period for p in every)],
        "spikes": sorted({p.spikes for p in every}.intersection(space.SPIKES)),
        "blocks": list(space.BLOCKS) if any(p.spikes > 100 for p in every) else [],
        "spikes over the rest": [min(space.RATIOS), max(space.RATIOS)],
        "scale": sorted({p.small for p in every}),
        **{
            name: sum(len(one.of(kind)) for one in found for kind in some)
            for name, some in kinds.items()
        },
    }
