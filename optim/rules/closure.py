"""Rules that need the loss, or gradients at more than one point of a step.

Their `step(closure)` takes a function that zeroes the gradients, goes backward and returns the
loss. It is called several times within a step and must always mean the same batch.
"""

from contextvars import copy_context
from functools import partial
from typing import Annotated, Any

import numpy as np

from minigrad.backend import Array, xp
from minigrad.tensor import Tensor
from optim.engine.kinds import (
    ONE_NUMBER,
    READ_BY_UPDATE,
    Beta,
    Count,
    Eps,
    Number,
    Positive,
    Rate,
    but,
)
from optim.engine.optimizer import Optimizer, inplace
from optim.engine.stepping import Closure, loss_of
from optim.rules.line_search import strong_wolfe

__all__ = ["LBFGS", "PolyakSGD", "Sophia"]


class ClosureOptimizer(Optimizer):
    """Base of the rules whose update calls the closure of its step again.

    Where a later call of the closure fails, the parameters stay where they were.
    """

    needs_closure = True

    def move(self, loss: Tensor | None, closure: Closure | None) -> bool:
        outside = copy_context()  # a step runs in a context of its own
        outside.run(np.seterr, all="ignore")  # far away a loss may well be infinite
        self._loss: Any = loss
        self._reevaluate: Any = partial(outside.run, loss_of, closure)
        try:
            return super().move(loss, closure)
        finally:
            self._reevaluate = self._loss = None  # which may hold this optimizer

    def evaluate(self) -> Any:
        """The loss where the parameters are now, as an array, with its gradient in g."""
        self._owned.mark_changed()
        loss = self._reevaluate()
        self._owned.materialize_grads()
        return loss.data


class PolyakSGD(ClosureOptimizer):
    """Steps by (loss - f_min) / |g|^2, but at most by lr. Polyak 1987.

    The bound is that of Loizou et al. 2021, whose c is 1 here.
    """

    oracle = "optax.polyak_sgd"
    given = ("loss", "square")
    lr: Annotated[Rate, ONE_NUMBER] = 1.0
    f_min: Annotated[Number, ONE_NUMBER, "least value of the loss"] = 0.0

    def update(self):
        square = self.sum_over(lambda g: (g * g).sum())
        self.apply("kernel", loss=self._loss.data, square=square)

    @inplace
    def kernel(p, g, *, lr, f_min, loss, square):
        gap = xp.maximum(loss - f_min, 0.0)
        far = gap >= lr * square
        p -= xp.where(far, lr, gap / xp.where(far, 1.0, square)) * g


class Sophia(ClosureOptimizer):
    """Momentum over a running Hessian diagonal, each step clipped to lr. Liu et al. 2023,
    Algorithm 3 with their Hutchinson estimator (Algorithm 1).

    The engine has no second derivative, so u * (H u) comes from the gradients at p + radius u and
    p - radius u: exact for quadratics, and else up to O(radius^2). The signs u are drawn from
    (seed, t), so that there is no generator to save.
    """

    oracle = "the paper"
    lr: Rate = 1e-3
    betas: tuple[Beta, Beta] = (0.965, 0.99)
    gamma: Annotated[Rate, "how much of the Hessian counts"] = 0.01
    eps: Eps = 1e-12
    weight_decay: Rate = 0.1
    every: Annotated[Count, "steps between two estimates"] = 10
    radius: Annotated[Positive, "distance of the two gradients of an estimate"] = 1e-3
    seed: Annotated[Count, but(low=0), "of the signs"] = 0

    passes = ("look_ahead", "look_behind", "curvature", "come_back", "kernel")

    def update(self):
        if self.t % self.every == 1 % self.every:
            u = self.state["u"]
            signs = 2 * np.random.default_rng([self.seed, self.t]).integers(2, size=u.size) - 1
            u[...] = xp.asarray(signs, u.dtype)
            self.apply("look_ahead")
            try:
                self.evaluate()
                self.apply("look_behind")
                self.evaluate()
                self.apply("curvature")
            finally:
                self.apply("come_back")
        self.apply("kernel")

    @inplace
    def look_ahead(p, g, u, p_here, g_here, *, radius):
        p_here[...] = p
        g_here[...] = g
        p += radius * u

    @inplace
    def look_behind(p, g, u, p_here, g_ahead, *, radius):
        g_ahead[...] = g
        p[...] = p_here - radius * u

    @inplace
    def curvature(g, u, g_ahead, d, *, betas, radius):
        d *= betas[1]
        d += (1 - betas[1]) * u * (0.5 / radius) * (g_ahead - g)

    @inplace
    def come_back(p, g, p_here, g_here):
        p[...], g[...] = p_here, g_here

    @inplace
    def kernel(p, g, m, d, *, lr, betas, gamma, eps, weight_decay):
        m *= betas[0]
        m += (1 - betas[0]) * g
        p *= 1 - lr * weight_decay
        ratio = m / xp.maximum(gamma * d, eps)
        p -= lr * xp.minimum(xp.maximum(ratio, -1.0), 1.0)


class LBFGS(ClosureOptimizer):
    """Quasi-Newton steps from the last `history` changes of x and g, with a line search for the
    strong Wolfe conditions. Nocedal and Wright 2006, Algorithms 7.4, 3.5 and 3.6.

    The first trial of a search is lr, and lr * min(1, 1/|g|_1) before the first pair. Where no
    trial lowers the loss, the parameters stay. A device waits for the loss at every evaluation.
    """

    oracle = "torch.optim.LBFGS"
    lr: Annotated[Rate, READ_BY_UPDATE] = 1.0
    history: Annotated[Count, "pairs that are kept"] = 10
    evaluations: Annotated[Count, "most of the loss in a step"] = 25

    passes = ("note", "kernel")
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
    def note(p, g, x, slope, x_last, slope_last):
        x_last[...], slope_last[...] = x, slope
        x[...], slope[...] = p, g

    @inplace
    def kernel(p, x, d, *, step):
        p[...] = x + step * d

    @inplace
    def curvature(s, y):
        return (s * y).sum(axis=1)

    def update(self):
        slope, d = self.state["slope"], self.state["d"]
        self.apply("note")
        self._remember()
        d[...] = self._direction(slope)
        along = float(xp.dot(slope, d))
        if along == 0:
            return
        trial = float(self.used["lr"])
        if not self.state["pairs"]:
            trial *= min(1.0, 1 / float(xp.abs(slope).sum()))

        def at(step: float) -> tuple[float, float]:
            self.apply("kernel", step=step)
            loss = float(self.evaluate())
            with np.errstate(all="ignore"):  # the search turns back from what is infinite
                return loss, float(self.sum_over(lambda g, d: (g * d).sum()))

        step = 0.0
        try:
            step = strong_wolfe(at, self._loss.item(), along, trial, self.evaluations)
        finally:
            self.apply("kernel", step=step)

    def _remember(self) -> None:
        """Keep the changes since the last step, unless the curvature along them is not positive."""
        state, pairs = self.state, int(self.state["pairs"])
        if self.t == 1:
            return
        s, y = state["x"] - state["x_last"], state["slope"] - state["slope_last"]
        if float(xp.dot(s, y)) > 1e-10:
            state["s"][pairs % self.history], state["y"][pairs % self.history] = s, y
            state["pairs"].fill(pairs + 1)

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
        if newest_first:
            newest = newest_first[0]
            y = self.state["y"][newest]
            q *= curvature[newest] / xp.dot(y, y)
        for i in reversed(newest_first):
            q += (weights[i] - xp.dot(self.state["y"][i], q) / curvature[i]) * self.state["s"][i]
        return q
