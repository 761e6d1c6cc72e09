"""The loop that descends along one slope inside a feasible set, projected in one metric or
another."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.loops.continuing import Continuing
from experiments.loops.online import STRETCH
from minigrad import Parameters, Tensor, to_host, xp
from optim import Optimizer, Projection


@dataclass(frozen=True)
class Slope:
    """f(x) = slope x, the same at every step."""

    slope: tuple[float, ...]

    @property
    def rms(self) -> float:
        """The root of the mean square of its coordinates."""
        return float(np.sqrt(np.mean(np.square(self.slope))))


class Projected(Continuing):
    """One rule on a slope from x_1, after each step projected onto a set, in float64.

    Records x before each step and sqrt(V_t)/alpha_t after it, both (steps, coordinates).
    """

    def __init__(
        self,
        problem: Slope,
        rule: Callable[..., Optimizer],
        *,
        projection: Projection,
        steps: int,
        x1: tuple[float, ...],
        **hyperparameters: Any,
    ):
        self.problem, self.steps = problem, steps
        self.params = Parameters.of([Tensor(np.array(x1), requires_grad=True)])
        self.opt = rule(self.params, projection=projection, **hyperparameters)
        names, shape = ("x", "metric"), (steps, len(x1))
        self.recorded = {name: np.full(shape, np.nan) for name in names}

    def advance(self) -> None:
        """Take a stretch of steps."""
        places = np.array(self.coming(STRETCH)) - 1
        slopes = xp.asarray(np.tile(self.problem.slope, (len(places), 1)))
        x, metrics = self.opt.play(slopes, metric=True)
        self.recorded["x"][places] = to_host(x)
        self.recorded["metric"][places] = to_host(metrics)
