"""Regret beside what theorems promise: it grows as sqrt(T) under the rules that have one, and as T
under Adam, on a problem of the kind that Reddi, Kale and Kumar 2018 made for it.

Their Theorem 4 wants a beta1 that falls, here beta1/t: where it is constant, what the theorem
promises grows as T^1.5. For a constant one Alacaoglu et al. 2020 (arXiv:2003.09729) have others.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from experiments.claims.regret_report import (
    CURVED,
    LATE,
    LINEAR,
    PERIODIC,
    caption,
    draw,
    findings,
    verdict,
)
from experiments.experiment import Experiment
from experiments.loops.compared import hyperparameters
from experiments.loops.hindsight import Hindsight
from experiments.loops.online import OnlineSettings, spaced
from experiments.paper.theorem_1 import PERIOD
from experiments.problems.convex import Signs
from experiments.problems.linear import Periodic
from optim.schedules import Inverse

POINTS = 90  # recorded times


@dataclass(frozen=True, kw_only=True)
class Regret(OnlineSettings):
    rules: tuple[str, ...] = ("SGD", "AdaGrad", "AdamNC", "AMSGrad", "PaperAdam")
    steps: int = 100_000
    start: float = 0.0
    scale: float = 1.0
    betas: tuple[float, float] = (0.9, 0.99)  # on the random problems, of which beta1 falls as 1/t
    dimensions: int = 10  # of the random problems
    spread: float = 10.0  # by what factor their scales differ
    curvature: float = 0.5  # of the curved ones, in scales
    seeds: int = 20
    seed: int = 0
    c: float = 3.0  # of the periodic problem

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 <= self.betas[0] < 1 and self.betas[0] ** 2 < self.betas[1] < 1):
            raise ValueError(f"betas={self.betas}: the theorems need beta1 < sqrt(beta2) < 1.")
        self.check("(0, 1)", "curvature")
        self.check("[1, inf)", "spread")
        self.check("(2, inf)", "c", why="for which -1 is the best point")
        self.check(f"[{PERIOD * LATE}, inf)", "steps")

    @property
    def problem(self) -> Periodic:
        """The periodic one, that of Theorem 1."""
        return Periodic(self.scale * self.c, self.scale, PERIOD)

    @property
    def signs(self) -> Signs:
        """The random ones."""
        scales = self.scale * np.geomspace(1, self.spread, self.dimensions)
        return Signs(tuple(scales.tolist()), self.seeds, self.seed)

    @property
    def periodic_betas(self) -> tuple[float, float]:
        """Those of Theorem 1."""
        return 0.0, 1 / (1 + self.c**2)

    @property
    def times(self) -> np.ndarray:
        """The recorded steps, at the ends of periods."""
        return PERIOD * spaced(self.steps // PERIOD, POINTS)


def trials(s):
    falling = Inverse(s.betas[0]), s.betas[1]
    runs = {"runs": s.seeds, "dimensions": s.dimensions}
    curvature = s.curvature * s.signs.columns
    kinds = {
        LINEAR: (s.signs, falling, runs),
        CURVED: (s.signs, falling, runs | {"curvature": curvature}),
        PERIODIC: (s.problem, s.periodic_betas, {}),
    }
    return {
        f"{kind} {label}": partial(
            Hindsight,
            problem,
            rule,
            times=s.times,
            x1=s.start,
            **options,
            **hyperparameters(rule, s.lr, betas, problem),
        )
        for kind, (problem, betas, options) in kinds.items()
        for label, rule in s.compared.items()
    }


EXPERIMENT = Experiment(
    name="regret",
    summary="regret against what the theorems promise: sqrt(T) where there is one, T under Adam",
    settings=Regret(),
    quick={"steps": 3000, "seeds": 5},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
