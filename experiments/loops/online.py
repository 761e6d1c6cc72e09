"""The loop of the online problems: play x_t, see the slope, step."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from experiments.record.settings import Settings
from minigrad import Parameters, Tensor, to_host, xp
from optim import Box, Optimizer

STRETCH = 2000  # steps between two looks at the clock, and the unit of resuming
POINTS = 400  # recorded steps, evenly spaced in log t


@dataclass(frozen=True, kw_only=True)
class OnlineSettings(Settings):
    """What the experiments on the online problems share."""

    steps: int
    lr: float = 0.5  # alpha_t is lr / sqrt(t); gamma also holds it constant at lr
    x1: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.lr < inf:
            raise ValueError(f"lr={self.lr}: give a positive number.")
        if not -1 <= self.x1 <= 1:
            raise ValueError(f"x1={self.x1} is not a point to play; give one in [-1, 1].")


def recorded_times(steps: int) -> np.ndarray:
    """The steps of which a trial records the point played and the average regret."""
    return np.unique(np.geomspace(1, steps, POINTS).round().astype(int))


class OnlineTrial:
    """One rule on all copies of a problem, in float64, each copy a coordinate of one arena.

    Records x_t before the step and the average regret R_t / t, both (times, copies). With
    `watch_metric`, also the smallest and largest Gamma_t since the last recorded time, and how
    many of them were negative.
    """

    def __init__(
        self,
        problem: Any,
        rule: Callable[..., Optimizer],
        *,
        steps: int,
        x1: float,
        copies: int = 1,
        watch_metric: bool = False,
        **hyperparameters: Any,
    ):
        self.problem, self.steps, self.watch_metric = problem, steps, watch_metric
        x = Tensor(np.full(copies, x1), requires_grad=True)
        self.params = Parameters.of([x])
        self.opt = rule(self.params, projection=Box(-1, 1), **hyperparameters)
        self.times = recorded_times(steps)
        self.regret = np.zeros(copies)
        self.metric = np.full(copies, np.nan)  # after the last step; NaN before any
        self.recorded: dict[str, Any] = {"x": [], "average_regret": []}
        if watch_metric:
            self.recorded |= {"gamma_min": [], "gamma_max": [], "gamma_negative": []}
        self.gammas = np.empty((0, copies))  # since the last recorded time

    @property
    def done(self) -> bool:
        return self.opt.t >= self.steps

    def advance(self) -> None:
        """Play one stretch."""
        start = self.opt.t + 1
        stop = min(start + STRETCH, self.steps + 1)
        slopes = self.problem.slopes(start, stop)
        played = self.opt.play(xp.asarray(slopes), metric=self.watch_metric)
        x, metrics = map(to_host, played if self.watch_metric else (played, played))
        increments = self.problem.regret(slopes, x)
        regret = np.cumsum(np.vstack([self.regret, increments]), axis=0)[1:]
        self.regret = regret[-1]
        recorded = self.times[(start <= self.times) & (self.times < stop)]
        self.recorded["x"] += list(x[recorded - start])
        self.recorded["average_regret"] += list(regret[recorded - start] / recorded[:, None])
        if self.watch_metric:
            self._record_gamma(metrics, recorded - start)

    def _record_gamma(self, metrics: np.ndarray, recorded: np.ndarray) -> None:
        """Record each window of Gamma_t that ends at an index in `recorded`, and keep the rest."""
        gammas = np.vstack([self.gammas, np.diff(np.vstack([self.metric, metrics]), axis=0)])
        self.metric = metrics[-1]
        *windows, self.gammas = np.split(gammas, len(self.gammas) + recorded + 1)
        for window in windows:
            # Gamma_1 has no predecessor and is NaN, which fmin and fmax pass over
            self.recorded["gamma_min"].append(np.fmin.reduce(window))
            self.recorded["gamma_max"].append(np.fmax.reduce(window))
            self.recorded["gamma_negative"].append((window < 0).sum(axis=0))

    def traces(self) -> dict[str, np.ndarray]:
        """What was recorded so far, with the times `t`."""
        n = len(self.recorded["x"])
        return {"t": self.times[:n], **{k: np.array(v) for k, v in self.recorded.items()}}

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs."""
        return {
            "params": self.params.state_dict(),
            "opt": self.opt.state_dict(),
            "regret": self.regret,
            "metric": self.metric,
            "gammas": self.gammas,
            "recorded": {name: np.array(values) for name, values in self.recorded.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        self.params.load_state_dict(state["params"])
        self.opt.load_state_dict(state["opt"])
        self.regret, self.metric, self.gammas = state["regret"], state["metric"], state["gammas"]
        self.recorded = {name: list(values) for name, values in state["recorded"].items()}
