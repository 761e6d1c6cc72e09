"""The loop that looks at one period of a periodic problem, step by step."""

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.loops.continuing import Continuing
from experiments.loops.online import STRETCH
from minigrad import Parameters, Tensor, to_host, xp
from optim import Optimizer


class Microscope(Continuing):
    """One rule on a periodic problem, without projection: after some periods, one in detail.

    That one begins with the spike. Of each of its steps are recorded t, the slope g, the move of
    x, the rule's metric after it, if it has one, and the arrays of the rule's state after it.
    """

    def __init__(
        self,
        problem: Any,
        rule: Callable[..., Optimizer],
        *,
        periods: int,
        **hyperparameters: Any,
    ):
        self.problem = problem
        self.x = Tensor(np.zeros(1), requires_grad=True)
        self.params = Parameters.of([self.x])
        self.opt = rule(self.params, **hyperparameters)
        self.first = problem.spike + periods * problem.period  # step of the one in detail
        self.steps = self.first + problem.period - 1
        self.recorded: dict[str, np.ndarray] = {}

    def advance(self) -> None:
        """Play a stretch of the periods before, or look at the last."""
        start = self.opt.t + 1
        if start < self.first:
            stop = min(start + STRETCH, self.first)
            self.opt.play(xp.asarray(self.problem.slopes(start, stop)))
            return
        rows: list[dict[str, float]] = []
        for t in range(self.first, self.steps + 1):
            slope = self.problem.slopes(t, t + 1)
            before = self.x.item()
            self.x.grad[...] = xp.asarray(slope[0])
            self.opt.step()
            row = {"t": t, "g": float(slope[0, 0]), "move": self.x.item() - before}
            if self.opt.diagonal is not None:
                row["metric"] = to_host(self.opt.metric()).item()
            states = {name: array for name, array in self.opt.state.items() if array.shape == (1,)}
            rows.append(row | {name: to_host(array).item() for name, array in states.items()})
        self.recorded = {name: np.array([row[name] for row in rows]) for name in rows[0]}
