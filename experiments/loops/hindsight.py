"""The loop that measures regret against the best point in hindsight, beside what bounds of it are
made of."""

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.loops.compared import check_separate
from experiments.loops.continuing import Continuing
from experiments.loops.online import STRETCH, VALUES
from experiments.problems.convex import best_loss
from minigrad import Parameters, Tensor, to_host, xp
from optim import Box, Optimizer


class Hindsight(Continuing):
    """One rule on f_t(x) = curvature x^2 / 2 + slope_t x, summed over the coordinates of [-1, 1]^d,
    in float64; of several runs at once, whose coordinates stand beside each other.

    Of each run it records at `times`, (times, runs), all of them sums over coordinates: the
    `regret` R_t, the `metric` sqrt(V_t)/alpha_t after the step, the `weighted` sum of beta1_t
    times it over the steps so far, the `norm` of the gradients so far, and the `energy`, the sum of
    their squares over the metric. A rule without a diagonal has only the regret and the norm.
    """

    def __init__(
        self,
        problem: Any,
        rule: Callable[..., Optimizer],
        *,
        times: np.ndarray,
        x1: float,
        dimensions: int = 1,
        runs: int = 1,
        curvature: Any = 0.0,
        **hyperparameters: Any,
    ):
        self.problem, self.curvature = problem, curvature
        self.times, self.steps = times, int(times[-1])
        self.shape, copies = (runs, dimensions), runs * dimensions
        self.x = Tensor(np.full(copies, x1), requires_grad=True)
        self.params = Parameters.of([self.x])
        self.opt = rule(self.params, projection=Box(-1, 1), **hyperparameters)
        if copies > 1:
            check_separate(self.opt)
        self.beta1 = hyperparameters.get("betas", (0.0,))[0]
        self.stretch = max(1, min(STRETCH, VALUES // copies))
        self.measured = self.opt.diagonal is not None
        of_metric = ("weighted", "energy") if self.measured else ()
        names = ["loss", "slope", "squares", *of_metric]
        self.totals = {name: np.zeros(copies) for name in names}
        names = ["regret", "norm", *(("metric",) if self.measured else ()), *of_metric]
        self.recorded = {name: np.full((len(times), runs), np.nan) for name in names} | {"t": times}

    def advance(self) -> None:
        """Take a stretch of steps."""
        t = np.array(self.coming(self.stretch))
        slopes = self.problem.slopes(t[0], t[-1] + 1)
        x, metrics = self._played(slopes) if np.all(self.curvature == 0) else self._stepped(slopes)
        gradients = slopes + self.curvature * x
        terms = {
            "loss": (self.curvature * x / 2 + slopes) * x,
            "slope": slopes,
            "squares": gradients**2,
        }
        if self.measured:
            beta1 = np.array([self.beta1(one) for one in t]) if callable(self.beta1) else self.beta1
            terms["weighted"] = np.reshape(beta1, (-1, 1)) * metrics
            terms["energy"] = gradients**2 / metrics
        places = np.flatnonzero((t[0] <= self.times) & (self.times <= t[-1]))
        rows = self.times[places] - t[0]
        sums = {}
        for name, values in terms.items():
            running = np.cumsum(np.vstack([self.totals[name], values]), axis=0)[1:]
            self.totals[name], sums[name] = running[-1], running[rows]
        loss = best_loss(self.times[places, None], sums["slope"], self.curvature)
        found = {"regret": sums["loss"] - loss, "norm": np.sqrt(sums["squares"])}
        if self.measured:
            of_metric = {name: sums[name] for name in ("weighted", "energy")}
            found |= {"metric": metrics[rows]} | of_metric
        for name, values in found.items():
            self.recorded[name][places] = values.reshape(-1, *self.shape).sum(axis=-1)

    def _played(self, slopes: np.ndarray) -> Any:
        """The points before each step and the metric after it, if there is one, where gradients are
        slopes."""
        played = self.opt.play(xp.asarray(slopes), metric=self.measured)
        return map(to_host, played) if self.measured else (to_host(played), None)

    def _stepped(self, slopes: np.ndarray) -> Any:
        """The same where gradients depend on the point."""
        x, metrics = np.empty((2, len(slopes), self.x.size))
        curvature = xp.asarray(self.curvature)
        for k, slope in enumerate(xp.asarray(slopes)):
            x[k] = to_host(self.x.data)
            self.x.grad[...] = slope + curvature * self.x.data
            self.opt.step()
            if self.measured:
                metrics[k] = to_host(self.opt.metric())
        return x, metrics

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs."""
        return {**super().state_dict(), "totals": self.totals}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        super().load_state_dict(state)
        self.totals = state["totals"]
