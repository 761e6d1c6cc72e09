"""The loop on any loss of the parameters, at some steps of which something is looked at."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from experiments.loops.compared import check_separate
from experiments.loops.continuing import Continuing
from minigrad import Parameters, Tensor
from optim import Optimizer

STRETCH = 100  # steps between two looks at the clock


class Watched(Continuing):
    """One rule on a loss, and what is to be seen before some of the steps.

    `loss(t)` is the loss of step t. `watch(opt)` gives numbers or arrays by name, of the same
    shapes each time, which are recorded at each of the `times`, with these as `t`; it is called
    just after a step, or before the first. The last of the times ends the run. If the parameters
    are `separate`, of several runs at once, a rule must take their coordinates one by one.
    """

    def __init__(
        self,
        params: Parameters | Iterable[Tensor],
        loss: Callable[[int], Tensor],
        rule: Callable[..., Optimizer],
        *,
        times: np.ndarray,
        watch: Callable[[Optimizer], Mapping[str, Any]],
        separate: bool = False,
        **hyperparameters: Any,
    ):
        self.params = Parameters.of(params)
        self.loss, self.watch = loss, watch
        self.times, self.steps = times, int(times[-1]) - 1
        self.opt = rule(self.params, **hyperparameters)
        if separate:
            check_separate(self.opt)
        self.recorded = {"t": times}
        self._look()

    def advance(self) -> None:
        """Take a stretch of steps; raises FloatingPointError for what is not finite."""
        try:
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                for t in self.coming(STRETCH):
                    self.opt.zero_grad()
                    self.loss(t).backward()
                    self.opt.step()
                    self._look()
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{self.opt} at step {self.opt.t + 1}: {error}; try lower rates."
            ) from error

    def _look(self) -> None:
        """Record what is to be seen before the next step, if it is one of the times."""
        place = int(np.searchsorted(self.times, self.opt.t + 1))
        if self.times[place] == self.opt.t + 1:
            for name, value in self.watch(self.opt).items():
                if not np.isfinite(value).all():
                    raise FloatingPointError(f"{name} is not finite")
                shape = len(self.times), *np.shape(value)
                self.recorded.setdefault(name, np.full(shape, np.nan))[place] = value
