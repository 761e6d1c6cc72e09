"""The loop that descends on c x^k / k, one number, without noise."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from experiments.loops.continuing import Continuing
from experiments.loops.online import STRETCH
from minigrad import Parameters, Tensor, xp
from optim import Optimizer


class MonomialDescent(Continuing):
    """One rule from x_1 on f(x) = c x^k / k, in float64; `state` is what the rule's arrays begin
    with, where that is not 0.

    Records x_t before each step, and the last x too: steps + 1 of them.
    """

    def __init__(
        self,
        rule: Callable[..., Optimizer],
        *,
        power: int,
        steps: int,
        x1: float = 1.0,
        c: float = 1.0,
        state: Mapping[str, float] | None = None,
        **hyperparameters: Any,
    ):
        self.power, self.c, self.steps = power, c, steps
        self.x = Tensor(np.array([x1]), requires_grad=True)
        self.params = Parameters.of([self.x])
        self.opt = rule(self.params, **hyperparameters)
        for name, value in (state or {}).items():
            self.opt.state[name][...] = xp.asarray(value)
        self.recorded = {"x": np.full(steps + 1, np.nan)}
        self.recorded["x"][0] = x1

    def advance(self) -> None:
        """Take a stretch of steps."""
        for t in self.coming(STRETCH):
            self.x.grad[...] = self.c * self.x.data ** (self.power - 1)
            self.opt.step()
            self.recorded["x"][t] = self.x.item()
