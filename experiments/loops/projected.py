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

    @property
    def progress(self) -> float:
        """The share of the steps that are taken."""
        return self.opt.t / self.steps

    @property
    def done(self) -> bool:
        return self.opt.t >= self.steps

    def advance(self) -> None:
        """Take a stretch of steps."""
        stretch = slice(self.opt.t, min(self.opt.t + STRETCH, self.steps))
        rows = np.tile(self.problem.slope, (stretch.stop - stretch.start, 1))
        for name, values in zip(
            self.recorded, self.opt.play(xp.asarray(rows), metric=True), strict=True
        ):
            self.recorded[name][stretch] = to_host(values)

    def traces(self) -> dict[str, np.ndarray]:
        """What was recorded; NaN: not yet."""
        return self.recorded
