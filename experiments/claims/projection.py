"""What a projection in another metric than the rule's loses: the minimum.

A rule that divides each coordinate by its own sqrt(v) steps along other lines than the gradient's,
so the point of the set that is nearest to where a step leads is another one in the plain metric
than in that of sqrt(v), which Reddi, Kale and Kumar 2018 project in (Algorithm 1). Under a constant
slope c the first stops where c/sqrt(v), not c, is normal to the set. On a box the two are the same.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from experiments.claims.projection_report import METRICS, caption, draw, findings, verdict
from experiments.experiment import Experiment
from experiments.loops.compared import hyperparameters, keep_files
from experiments.loops.projected import Projected, Slope
from experiments.problems.shapes import SHAPES
from experiments.record.settings import Settings
from optim.named import NamedRule, named


@dataclass(frozen=True, kw_only=True)
class Projections(Settings):
    rule: str = "AMSGrad"
    steps: int = 1000
    lr: float = 0.2  # alpha_t is lr / sqrt(t)
    betas: tuple[float, float] = (0.9, 0.99)
    ball: tuple[float, float] = (1.0, 3.0)  # the slope on the ball of the plane
    simplex: tuple[float, float, float] = (1.0, 2.0, 4.0)  # that on the simplex
    start_ball: tuple[float, float] = (0.6, 0.5)  # x_1
    start_simplex: tuple[float, float, float] = (0.2, 0.5, 0.3)

    def __post_init__(self) -> None:
        super().__post_init__()
        keep_files(self, [self.rule])
        if self.named.rule.diagonal is None:
            raise ValueError(f"rule={self.rule} has no metric to project in; give another.")
        self.check("(0, inf)", "lr")
        for name, shape in SHAPES.items():
            slope, start = self.slope(name), self.start(name)
            if 0 in slope:
                raise ValueError(f"{name}={slope.tolist()}: give numbers that are not 0.")
            if not shape.holds(start):
                raise ValueError(f"start_{name}={start.tolist()}: give a point of the {name}.")

    @property
    def named(self) -> NamedRule:
        """The rule."""
        return named(self.rule, self.files)

    def slope(self, name: str) -> np.ndarray:
        """That on the set of that name."""
        return np.array(getattr(self, name))

    def start(self, name: str) -> np.ndarray:
        """x_1 in the set of that name."""
        return np.array(getattr(self, f"start_{name}"))


def trials(s):
    rule = s.named
    return {
        f"{name} {label}": partial(
            Projected,
            problem,
            rule,
            projection=shape.projection(euclidean=plain),
            steps=s.steps,
            x1=s.start(name),
            **hyperparameters(rule, s.lr, s.betas, problem),
        )
        for name, shape in SHAPES.items()
        for problem in [Slope(tuple(s.slope(name)))]
        for label, plain in METRICS.items()
    }


EXPERIMENT = Experiment(
    name="projection",
    summary="projection in the plain metric and in the rule's own, on a ball and a simplex",
    settings=Projections(),
    quick={"steps": 200},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
