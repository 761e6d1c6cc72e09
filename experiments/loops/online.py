"""The loop of the online problems: play x_t, see the slope, step."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

import numpy as np

from experiments.loops.compared import Compared, check_separate, hyperparameters
from experiments.loops.continuing import Continuing
from experiments.problems.linear import Periodic
from minigrad import Parameters, Tensor, to_host, xp
from minigrad.backend import current
from optim import Box, Optimizer

STRETCH = 2000  # steps between two looks at the clock, and the unit of resuming; fewer if
VALUES = 2**20  # steps times copies of a stretch would be more than these
POINTS = 400  # recorded steps, evenly spaced in log t
LONG, LONGER = 10**6, 10**7  # steps; the second where a whole run is one compiled loop


@dataclass(frozen=True, kw_only=True)
class OnlineSettings(Compared):
    """What the experiments on the online problems share."""

    lr: float = 0.5  # alpha_t is lr / sqrt(t)
    start: float = 0.0  # x_1
    scale: float = 10.0  # all slopes are multiples of it

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("(0, inf)", "lr", "scale")
        check_start(self.start)


@dataclass(frozen=True, kw_only=True)
class PeriodicSettings(OnlineSettings):
    """Settings of an experiment on f_t(x) = c x if t mod period = spike, else -x, times scale."""

    betas: tuple[float, float] = (0.9, 0.99)
    c: float = 101.0
    period: int | None = None  # None: c rounded up, as in the paper's Theorem 2
    spike: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("(1, inf)", "c")
        check_slopes(self.problem)
        period = self.problem.period
        if self.spike > period:
            raise ValueError(f"spike={self.spike}: give a step of the period, 1 to {period}.")
        if self.problem.mean <= 0:
            raise ValueError(
                f"period={period} is too long for c={self.c:g}: the mean slope is not positive, so "
                f"-1 is not the best point; give at most {ceil(self.c)}."
            )

    @property
    def problem(self) -> Periodic:
        """What is played."""
        period = ceil(self.c) if self.period is None else self.period
        return Periodic(self.c * self.scale, self.scale, period, self.spike)


def check_start(start: float) -> None:
    """Raise ValueError for an x_1 that is not in [-1, 1]."""
    if not -1 <= start <= 1:
        raise ValueError(f"start={start} is not a point to play; give one in [-1, 1].")


def check_slopes(problem: Any) -> None:
    """Raise ValueError where the squares of the slopes overflow."""
    with np.errstate(over="ignore"):
        if not np.all(np.isfinite(problem.rms)):
            raise ValueError("c times scale is too large: its square overflows; give smaller ones.")


def long_run() -> int:
    """How many steps a long run has by default on the backend in force."""
    return LONGER if current().compiles or not current().on_host else LONG


def trials_of_rules(
    s: Any, exponent: Any = -0.5, **options: Any
) -> dict[str, Callable[[], "OnlineTrial"]]:
    """A trial by the label of each rule of these settings, which have the problem and betas too."""
    return {
        label: partial(
            OnlineTrial,
            s.problem,
            rule,
            steps=s.steps,
            x1=s.start,
            **hyperparameters(rule, s.lr, s.betas, s.problem, exponent) | options,
        )
        for label, rule in s.compared.items()
    }


def spaced(steps: int, points: int) -> np.ndarray:
    """Steps from 1 to the last, at most so many, evenly spaced in log t."""
    return np.unique(np.geomspace(1, steps, points).round().astype(int))


def recorded_times(steps: int, period: int = 1) -> np.ndarray:
    """The steps of which a trial records the point played and the average regret: the last of a
    period, lest what repeats with it show as noise; some in the first period; and the last."""
    first = spaced(min(period, steps), POINTS // 4)
    whole = period * spaced(max(steps // period, 1), POINTS)
    times = np.unique(np.concatenate([first, whole, [steps]]))
    return times[times <= steps]


class OnlineTrial(Continuing):
    """One rule on all copies of a problem, in float64, each copy a coordinate of one arena.

    Records at `times`, by default those of the problem's period, x_t before the step and the
    average regret R_t / t, both (times, copies). With `watch_metric`, also the metric after the
    step, and of Gamma_t since the last recorded time how many were negative, and the first and the
    last t that were, NaN for none.
    """

    def __init__(
        self,
        problem: Any,
        rule: Callable[..., Optimizer],
        *,
        steps: int,
        x1: float,
        copies: int = 1,
        times: np.ndarray | None = None,
        projected: bool = True,
        watch_metric: bool = False,
        **hyperparameters: Any,
    ):
        self.problem, self.steps, self.watch_metric = problem, steps, watch_metric
        x = Tensor(np.full(copies, x1), requires_grad=True)
        self.params = Parameters.of([x])
        box = Box(-1, 1) if projected else None
        self.opt = rule(self.params, projection=box, **hyperparameters)
        if copies > 1:
            check_separate(self.opt)
        period = getattr(problem, "period", 1)
        self.times = recorded_times(steps, period) if times is None else times
        self.stretch = max(1, min(STRETCH, VALUES // copies))
        self.regret = np.zeros(copies)
        self.metric = np.full(copies, np.nan)  # after the last step; NaN before any
        self.recorded = {"x": [], "average_regret": []}
        if watch_metric:
            self.recorded |= {"metric": [], "gamma_negative": []}
            self.recorded |= {"gamma_first": [], "gamma_last": []}
        self.gammas = np.empty((0, copies))  # since the last recorded time

    def advance(self) -> None:
        """Play one stretch."""
        steps = self.coming(self.stretch)
        start, stop = steps.start, steps.stop
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
            self.recorded["metric"] += list(metrics[recorded - start])
            self._record_gamma(metrics, start, recorded - start)

    def _record_gamma(self, metrics: np.ndarray, start: int, recorded: np.ndarray) -> None:
        """Record each window of Gamma_t that ends at an index in `recorded`, and keep the rest."""
        first = start - len(self.gammas)
        gammas = np.vstack([self.gammas, np.diff(np.vstack([self.metric, metrics]), axis=0)])
        self.metric = metrics[-1]
        negative = gammas < 0  # Gamma_1 has no predecessor and is NaN
        t = np.where(negative, first + np.arange(len(gammas))[:, None], np.nan)
        ends = len(self.gammas) + recorded + 1
        *windows, _ = np.split(t, ends)
        for window in windows:
            self.recorded["gamma_negative"].append(np.isfinite(window).sum(axis=0))
            # these two pass over NaN
            self.recorded["gamma_first"].append(np.fmin.reduce(window))
            self.recorded["gamma_last"].append(np.fmax.reduce(window))
        self.gammas = gammas[ends[-1] if len(ends) else 0 :]

    def traces(self) -> dict[str, np.ndarray]:
        """What was recorded so far, with the times `t`."""
        n = len(self.recorded["x"])
        return {"t": self.times[:n], **{k: np.array(v) for k, v in self.recorded.items()}}

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs."""
        return {
            **super().state_dict(),
            "regret": self.regret,
            "metric": self.metric,
            "gammas": self.gammas,
            "recorded": {name: np.array(values) for name, values in self.recorded.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        super().load_state_dict(state)
        self.regret, self.metric, self.gammas = state["regret"], state["metric"], state["gammas"]
        self.recorded = {name: list(values) for name, values in state["recorded"].items()}
