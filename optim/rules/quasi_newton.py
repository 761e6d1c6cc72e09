"""Rules that learn the curvature from how gradients change."""

from math import inf, isfinite
from typing import Annotated

import numpy as np

from minigrad.backend import Array, xp
from optim.engine.kinds import READ_BY_UPDATE, Count, Rate
from optim.engine.optimizer import inplace
from optim.rules.closure import ClosureOptimizer
from optim.rules.line_search import Point, strong_wolfe

__all__ = ["LBFGS"]


class LBFGS(ClosureOptimizer):
    """Quasi-Newton steps from the last `history` changes of x and g, with a line search for the
    strong Wolfe conditions. Nocedal and Wright 2006, Algorithms 7.4, 3.5 and 3.6.

    A step evaluates where it is, and makes up to `iterations` searches, within which the closure
    means one batch and no point is evaluated twice. A search tries lr first, along -g / |g|_1
    until there is a change to learn from. Where no trial lowers the loss, the parameters stay, and
    the changes are forgotten; where the closure fails, they stay where the last search ended. A
    step from a loss that is not finite raises FloatingPointError; a search turns back from one. A
    device waits for the loss at every evaluation.
    """

    oracle = "torch.optim.LBFGS"
    lr: Annotated[Rate, READ_BY_UPDATE] = 1.0
    history: Annotated[Count, "changes that are kept"] = 10
    iterations: Annotated[Count, "most searches in a step"] = 1
    evaluations: Annotated[Count, "most evaluations of the loss in a search"] = 25

    passes = ("note", "kernel", "come_back", "keep")
    reductions = ("curvature",)
    given = ("step",)

    def __post_init__(self):
        if self.projection:
            raise ValueError("LBFGS takes no projection: its line search would leave the set.")
        super().__post_init__()

    def start(self, p):
        rows = xp.zeros((self.history, p.size))
        return {"s": rows, "y": rows, "pairs": 0.0}

    @inplace
    def note(p, g, x, slope):
        x[...], slope[...] = p, g

    @inplace
    def kernel(p, x, d, *, step):
        p[...] = x + step * d

    @inplace
    def come_back(p, x):
        p[...] = x

    @inplace
    def keep(g, lowest):
        lowest[...] = g

    @inplace
    def curvature(s, y):
        return (s * y).sum(axis=1)

    def update(self):
        loss, trial = self._loss.item(), float(self.used["lr"])
        if not isfinite(loss):
            raise FloatingPointError(f"the loss is {loss}")
        self.apply("note")
        for _ in range(self.iterations if trial else 0):
            along = self._aim()
            if along == 0:
                return
            found = self._search(loss, along, trial)
            if found.step:
                self._remember()
                if loss - found.loss <= self._finfo.eps * abs(loss):
                    return  # rounding is all that is left
                loss = found.loss
            elif self.state["pairs"]:
                self.state["pairs"].fill(0)
            else:
                return

    def _aim(self) -> float:
        """Set the direction d, and give the slope along it: 0 where the gradient is."""
        slope, d, pairs = self.state["slope"], self.state["d"], self.state["pairs"]
        if pairs:
            d[...] = self._direction(slope)
            along = float(xp.dot(slope, d))
            if -inf < along < 0:
                return along
            pairs.fill(0)  # they are of another problem, or rounding is all that is left
        size = float(xp.abs(slope).sum())
        if size == 0:
            return 0.0
        d[...] = slope / -size
        return float(xp.dot(slope, d))

    def _search(self, loss: float, along: float, trial: float) -> Point:
        """Move to the lowest trial of a search, or nowhere where none is lower."""

        def at(step: float) -> tuple[float, float]:
            self.apply("kernel", step=step)
            there = float(self.evaluate())
            with np.errstate(all="ignore"):  # the search turns back from what is infinite
                return there, float(self.sum_over(lambda g, d: (g * d).sum()))

        def keep() -> None:
            self.apply("keep")

        def differ(one: float, other: float) -> bool:
            return bool(self.sum_over(lambda x, d: (x + one * d != x + other * d).sum()))

        step = 0.0
        try:
            found = strong_wolfe(at, keep, differ, loss, along, trial, self.evaluations)
            step = found.step
        finally:
            if step:
                self.apply("kernel", step=step)
            else:
                self.apply("come_back")
        return found

    def _remember(self) -> None:
        """Keep the changes of a search, unless the curvature along them is not positive."""
        state, row = self.state, int(self.state["pairs"]) % self.history
        x, slope = self._owned.gathered(), state["lowest"]
        s, y = x - state["x"], slope - state["slope"]
        if float(xp.dot(s, y)) > self._finfo.eps * abs(float(xp.dot(s, state["slope"]))):
            state["s"][row], state["y"][row] = s, y
            state["pairs"] += 1
        state["x"][...], state["slope"][...] = x, slope

    def _direction(self, slope: Array) -> Array:
        """Minus the inverse Hessian's estimate times the gradient: the two-loop recursion."""
        pairs = int(self.state["pairs"])
        newest_first = [
            i % self.history for i in range(pairs - 1, max(pairs - self.history, 0) - 1, -1)
        ]
        q, weights, curvature = -slope, {}, self.curvature(self.state["s"], self.state["y"])
        for i in newest_first:
            weights[i] = xp.dot(self.state["s"][i], q) / curvature[i]
            q -= weights[i] * self.state["y"][i]
        newest = newest_first[0]
        # in float64, in which no square of a float32 vanishes or overflows
        square = xp.square(self.state["y"][newest], dtype="float64").sum()
        q *= (curvature[newest] / square).astype(q.dtype)
        for i in reversed(newest_first):
            q += (weights[i] - xp.dot(self.state["y"][i], q) / curvature[i]) * self.state["s"][i]
        return q
