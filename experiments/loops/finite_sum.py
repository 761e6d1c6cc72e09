"""The loop on a finite sum: one function a step, pass by pass."""

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.loops.continuing import Continuing
from experiments.loops.online import STRETCH
from experiments.problems.finite_sum import FiniteSum
from minigrad import Parameters, Tensor, to_host, xp
from optim import Optimizer


class FiniteSumDescent(Continuing):
    """One rule from x_1 on copies of a finite sum, in float64, without a projection.

    The first copy of each pair of betas takes the functions in their order; each of the `shuffles`
    that follow takes them in an order that is drawn anew for every pass, the same for all betas.

    Records x_1, x at the first end of a pass in the second half of the steps, and the last x:
    (3, orders, betas).
    """

    def __init__(
        self,
        problem: FiniteSum,
        rule: Callable[..., Optimizer],
        *,
        passes: int,
        x1: float,
        betas: tuple[np.ndarray, np.ndarray],
        shuffles: int,
        seed: int,
        **hyperparameters: Any,
    ):
        self.problem, self.seed = problem, seed
        self.passes, self.steps = passes, passes * problem.n
        self.shape = 1 + shuffles, len(betas[0])
        self.x = Tensor(np.full(self.shape, x1), requires_grad=True)
        self.params = Parameters.of([self.x])
        copies = tuple(xp.asarray(np.tile(beta, self.shape[0])) for beta in betas)
        self.opt = rule(self.params, betas=copies, **hyperparameters)
        self.recorded = {"x": np.full((3, *self.shape), np.nan)}
        self.recorded["x"][0] = x1

    def advance(self) -> None:
        """Make a few passes."""
        n, linear = self.problem.n, self.problem.linear
        start = self.opt.t // n
        stop = min(start + max(1, STRETCH // n), self.passes)
        # f_0 is all that an order has to place, as the other functions are the same
        drawing = np.random.default_rng([self.seed, start])
        places = drawing.integers(n, size=(stop - start, self.shape[0]))
        places[:, 0] = 0
        for k, first in enumerate(places, start + 1):
            slopes = np.where(np.arange(n)[:, None] == first, linear.large, -linear.small)
            for row in xp.asarray(slopes[:, :, None]):
                self.x.grad[...] = self.problem.gradient(row, self.x.data)
                self.opt.step()
            if k == (self.passes + 1) // 2:
                self.recorded["x"][1] = to_host(self.x.data)
        self.recorded["x"][2] = to_host(self.x.data)
