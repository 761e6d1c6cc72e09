"""The loop on functions of one number with noise: many copies at once."""

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.loops.compared import check_separate
from experiments.loops.continuing import Continuing
from minigrad import Parameters, Tensor, to_host, xp
from optim import Optimizer

STRETCH = 200  # steps between two looks at the clock, and the unit of resuming


def mean_so_far(t: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Of means over the steps since the time before, (times, ...): those over all steps so far."""
    steps = np.diff(t, prepend=0).reshape(-1, *[1] * (means.ndim - 1))
    return np.cumsum(means * steps, axis=0) / np.cumsum(steps, axis=0)


class Lanes(Continuing):
    """One rule from x1, (settings, copies), in float64: each is a coordinate of one arena.

    Hyperparameters may differ by coordinate: with `copies` values in turn for each setting. The
    noise of a step is added to the slope; where it is (copies,), all settings see the same. Records
    x before each of `times`, (times, settings, copies), and where there is a `measure` of x, its
    mean over the steps since the last of these, up to this one.
    """

    def __init__(
        self,
        rule: Callable[..., Optimizer],
        slope: Callable[[Any], Any],
        noise: Callable[[np.random.Generator, int], np.ndarray],
        *,
        x1: np.ndarray,
        times: np.ndarray,
        seed: int,
        measure: Callable[[Any], Any] | None = None,
        **hyperparameters: Any,
    ):
        self.slope, self.noise, self.measure = slope, noise, measure
        self.times, self.steps, self.seed = times, int(times[-1]), seed
        self.x = Tensor(np.array(x1, float), requires_grad=True)
        self.params = Parameters.of([self.x])
        self.opt = rule(self.params, **hyperparameters)
        check_separate(self.opt)
        self.recorded = {"t": times, "x": np.full((len(times), *np.shape(x1)), np.nan)}
        if measure:
            self.recorded |= {"mean": self.recorded["x"].copy(), "sum": np.zeros_like(x1)}

    def advance(self) -> None:
        """Take a stretch of steps."""
        steps = self.coming(STRETCH)
        noise = self.noise(np.random.default_rng([self.seed, steps.start]), len(steps))
        total = xp.asarray(self.recorded["sum"]) if self.measure else None
        place = int(np.searchsorted(self.times, steps.start))
        for t, one in zip(steps, xp.asarray(noise), strict=True):
            if self.measure:
                total += self.measure(self.x.data)
            if self.times[place] == t:
                self.recorded["x"][place] = to_host(self.x.data)
                if self.measure:
                    before = self.times[place - 1] if place else 0
                    self.recorded["mean"][place] = to_host(total) / (t - before)
                    total[...] = 0
                place += 1
            self.x.grad[...] = self.slope(self.x.data) + one
            self.opt.step()
        if self.measure:
            self.recorded["sum"] = to_host(total)

    def traces(self) -> dict[str, np.ndarray]:
        """What was recorded so far."""
        return {name: values for name, values in self.recorded.items() if name != "sum"}
