"""Where the rate of AdaGrad helps and where it stalls, and what an early outlier does to AMSGrad's.

Least absolute deviations, one example a step. AdaGrad's rate falls as one over the root of what a
weight has seen: of features that are seen seldom it stays large, which is what Duchi, Hazan and
Singer 2011 made it for; where all are seen always, it falls as 1/sqrt(t), and when the minimum
moves it is too small to follow. AMSGrad's never rises, so one outlier keeps it small for ever.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from experiments.claims.stall_report import KINDS, RATES, caption, draw, findings, verdict
from experiments.experiment import Experiment
from experiments.loops.compared import Compared, given_betas
from experiments.loops.online import spaced
from experiments.loops.regression import Regression
from experiments.problems.features import Features

POINTS = 70  # recorded times before the minimum moves, and after
EPS = 1e-8  # of rules that have none: a weight whose feature was not seen yet is to stand still


@dataclass(frozen=True, kw_only=True)
class Stall(Compared):
    rules: tuple[str, ...] = ("SGD", "AdaGrad", "Adam", "AMSGrad")
    steps: int = 30_000  # the minimum moves after a fifth of them
    features: int = 50
    noise: float = 0.1  # standard deviation of the targets around the best prediction
    betas: tuple[float, float] = (0.9, 0.99)
    outlier: float = 1000.0  # times a gradient of the first weight
    at: int = 10  # the step of the outlier
    seeds: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("[100, inf)", "steps")
        self.check("[2, inf)", "features", why="to be seen unequally")
        self.check("(1, inf)", "outlier")
        self.check("(0, inf)", "noise")
        self.check(f"[1, {self.shift})", "at")
        self.check_varies("lr")

    @property
    def shift(self) -> int:
        """The first step with the minimum elsewhere."""
        return self.steps // 5 + 1

    @property
    def names(self) -> list[str]:
        """The labels of the rules."""
        return list(self.compared)

    def problem(self, kind: str) -> Features:
        """With features that are seen 1/i of the time, or always."""
        i = np.arange(1, self.features + 1)
        frequencies = 1 / i if kind == "sparse" else np.ones(self.features)
        return Features(tuple(frequencies.tolist()), self.noise, self.shift)


def times(s):
    """The recorded steps, evenly spaced in the logarithms of t and of the steps since the move; and
    that of the outlier."""
    early, late = (spaced(steps, POINTS) for steps in (s.shift - 1, s.steps - s.shift + 1))
    return np.unique(np.concatenate([early, s.shift - 1 + late, [s.at]]))


def trials(s):
    makers, recorded = {}, times(s)
    for name, rule in s.compared.items():
        declared = rule.hyperparameters()
        options = {"rates": RATES, "runs": s.seeds, "seed": s.seed}
        options |= given_betas(rule, s.betas)
        if declared.get("eps") == 0:
            options["eps"] = EPS
        for kind in KINDS:
            makers[f"{kind} {name}"] = partial(
                Regression, s.problem(kind), rule, times=recorded, **options
            )
        makers[f"outlier {name}"] = partial(
            Regression,
            s.problem("dense"),
            rule,
            times=recorded[recorded < s.shift],
            outlier=s.outlier,
            at=s.at,
            **options,
        )
    return makers


EXPERIMENT = Experiment(
    name="stall",
    summary="AdaGrad's rate on sparse and dense features, and AMSGrad's after an early outlier",
    settings=Stall(),
    quick={"steps": 2000, "seeds": 2},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
