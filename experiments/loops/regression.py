"""The loop of least absolute deviations, one example a step, at many rates at once."""

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.loops.compared import check_separate
from experiments.loops.continuing import Continuing
from experiments.problems.features import Features
from minigrad import Parameters, Tensor, to_host, xp
from optim import Box, Optimizer

STRETCH = 200  # steps between two looks at the clock
FARTHEST = 10.0  # that a weight can go, lest a rate that is too large overflow


class Regression(Continuing):
    """One rule from w = 0 at each of the rates, in float64, on the same examples; of several runs.

    At the step `at` the gradient of the first weight is `outlier` times too large. Records at
    `times`, before the step, means over the runs: the `error` of predictions, (times, rates), and
    of the first weight and the last, (times, rates, 2), how far they are `off` and, of a rule that
    has a diagonal, the `metric` of the step.
    """

    def __init__(
        self,
        features: Features,
        rule: Callable[..., Optimizer],
        *,
        rates: np.ndarray,
        runs: int,
        times: np.ndarray,
        seed: int,
        outlier: float = 1.0,
        at: int = 0,
        **hyperparameters: Any,
    ):
        self.features, self.seed = features, seed
        self.times, self.steps = times, int(times[-1])
        self.outlier, self.at = outlier, at
        self.shape = len(rates), runs, len(features.frequencies)
        self.w = Tensor(np.zeros(self.shape), requires_grad=True)
        self.params = Parameters.of([self.w])
        each = np.repeat(rates, runs * self.shape[2])
        box = Box(-FARTHEST, FARTHEST)
        self.opt = rule(self.params, lr=xp.asarray(each), projection=box, **hyperparameters)
        check_separate(self.opt)
        pair = (len(times), len(rates), 2)
        self.recorded = {
            "t": times,
            "error": np.full(pair[:2], np.nan),
            "off": np.full(pair, np.nan),
        }
        if self.opt.diagonal is not None:
            self.recorded["metric"] = np.full(pair, np.nan)

    def advance(self) -> None:
        """Take a stretch of steps."""
        steps = self.coming(STRETCH)
        x, noise = self.features.draws(self.seed, steps.start, steps.stop, self.shape[1])
        weights = np.array([self.features.weights(t) for t in steps])
        y = (x @ weights[:, :, None])[..., 0] + noise
        places = np.searchsorted(self.times, steps)
        for t, place, x_t, y_t in zip(steps, places, xp.asarray(x), xp.asarray(y), strict=True):
            records = self.times[place] == t
            if records:
                self._record(place, t)
            left = (self.w.data * x_t).sum(axis=-1) - y_t
            self.w.grad[...] = xp.sign(left)[..., None] * x_t
            if t == self.at:
                self.w.grad[..., 0] *= self.outlier
            self.opt.step()
            if records and "metric" in self.recorded:
                metric = to_host(self.opt.metric()).reshape(self.shape)
                self.recorded["metric"][place] = metric[..., [0, -1]].mean(axis=1)

    def _record(self, place: int, t: int) -> None:
        w = to_host(self.w.data)
        off = np.abs(w - self.features.weights(t))[..., [0, -1]]
        self.recorded["error"][place] = self.features.error(w, t).mean(axis=1)
        self.recorded["off"][place] = off.mean(axis=1)
