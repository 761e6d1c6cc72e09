"""Rules that need the loss, or gradients at more than one point of a step.

Their `step(closure)` takes a function that zeroes the gradients, goes backward and returns the
loss. It is called several times within a step and must always mean the same batch.
"""

from contextvars import copy_context
from functools import partial
from typing import Any

import numpy as np

from minigrad.backend import Array, xp
from minigrad.tensor import Tensor
from optim.engine.optimizer import Closure, Optimizer, inplace
from optim.engine.settings import Betas, Schedule
from optim.rules.line_search import strong_wolfe

__all__ = ["LBFGS", "PolyakSGD", "Sophia"]


class ClosureOptimizer(Optimizer):
    """Base of the rules whose update calls the closure of its step again."""

    needs_closure = True

    def step(self, closure: Closure | None = None) -> Tensor | None:
        """Update the parameters once; returns the loss from before the update.

        Where a later call of the closure fails, the parameters stay where they were.
        """
        if closure is None:
            return super().step()
        outside = copy_context()  # a step runs in a context of its own
        outside.run(np.seterr, all="ignore")  # far away a loss may well be infinite
        self._again: Any = partial(outside.run, closure)

        def first() -> Any:
            self._loss: Any = closure()
            return self._loss

        try:
            return super().step(first)
        finally:
            self._again = self._loss = None  # which may hold this optimizer

    def evaluate(self) -> Any:
        """The loss where the parameters are now, as an array, with its gradient in g."""
        self._owned.mark_changed()
        loss = self._again()
        self._owned.materialize_grads()
        return loss.data


class PolyakSGD(ClosureOptimizer):
    """Steps by (loss - f_min) / |g|^2, but at most by lr. Polyak 1987.

    The bound is that of Loizou et al. 2021, whose c is 1 here.
    """

    oracle = "optax.polyak_sgd"
    one_number = ("lr", "f_min")
    lr: Schedule = 1.0
    f_min: float = 0.0

    def start(self, p):
        return {"size": xp.zeros(())}

    def update(self, scalars):
        lr, square = scalars["lr"], self.total(lambda g: (g * g).sum())
        gap = xp.maximum(self._loss.data - scalars["f_min"], 0)
        far = gap >= lr * square
        self.state["size"][...] = xp.where(far, lr, gap / xp.where(far, 1, square))
        self.sweep("kernel", scalars)

    @inplace
    def kernel(p, g, size, *, lr):
        p -= size * g


class Sophia(ClosureOptimizer):
    """Momentum over a running Hessian diagonal, each step clipped to lr. Liu et al. 2023,
    Algorithm 3 with their Hutchinson estimator (Algorithm 1).

    The engine has no second derivative, so u * (H u) comes from the gradients at p + radius u and
    p - radius u: exact for quadratics, and else up to O(radius^2). The signs u are drawn from
    (seed, t), so that there is no generator to save.
    """

    oracle = "the paper"
    lr: Schedule = 1e-3
    betas: Betas = (0.965, 0.99)
    gamma: Schedule = 0.01
    eps: float = 1e-12
    weight_decay: Schedule = 0.1
    every: int = 10
    radius: float = 1e-3
    seed: int = 0

    passes = ("look_ahead", "look_behind", "curvature", "come_back", "kernel")

    def scalars(self, h):
        beta1, beta2 = h.betas
        return {
            "keep": 1 - h.lr * h.weight_decay,
            "lr": h.lr,
            "beta1": beta1,
            "one_minus_beta1": 1 - beta1,
            "beta2": beta2,
            "one_minus_beta2": 1 - beta2,
            "gamma": h.gamma,
            "eps": h.eps,
            "one": 1.0,
            "minus_one": -1.0,
            "radius": h.radius,
            "half_inverse": 0.5 / h.radius,
        }

    def update(self, scalars):
        if self.t % self.every == 1 % self.every:
            u = self.state["u"]
            signs = 2 * np.random.default_rng([self.seed, self.t]).integers(2, size=u.size) - 1
            u[...] = xp.asarray(signs, u.dtype)
            self.sweep("look_ahead", scalars)
            try:
                self.evaluate()
                self.sweep("look_behind", scalars)
                self.evaluate()
                self.sweep("curvature", scalars)
            finally:
                self.sweep("come_back", scalars)
        self.sweep("kernel", scalars)

    @inplace
    def look_ahead(p, g, u, p_here, g_here, *, radius):
        p_here[...] = p
        g_here[...] = g
        p += radius * u

    @inplace
    def look_behind(p: Array, g, u, p_here, g_ahead, *, radius):
        g_ahead[...] = g
        p[...] = p_here - radius * u

    @inplace
    def curvature(g, u, g_ahead, d, *, beta2, one_minus_beta2, half_inverse):
        d *= beta2
        d += one_minus_beta2 * u * half_inverse * (g_ahead - g)

    @inplace
    def come_back(p: Array, g: Array, p_here, g_here):
        p[...], g[...] = p_here, g_here

    @inplace
    def kernel(p, g, m, d, *, lr, keep, beta1, one_minus_beta1, gamma, eps, one, minus_one):
        m *= beta1
        m += one_minus_beta1 * g
        p *= keep
        ratio = m / xp.maximum(gamma * d, eps)
        p -= lr * xp.minimum(xp.maximum(ratio, minus_one), one)


class LBFGS(ClosureOptimizer):
    """Quasi-Newton steps from the last `history` changes of x and g, with a line search for the
    strong Wolfe conditions. Nocedal and Wright 2006, Algorithms 7.4, 3.5 and 3.6.

    The first trial of a search is lr, and lr * min(1, 1/|g|_1) before the first pair. Where no
    trial lowers the loss, the parameters stay. A device waits for the loss at every evaluation.
    """

    oracle = "torch.optim.LBFGS"
    one_number = ("lr",)
    lr: Schedule = 1.0
    history: int = 10
    evaluations: int = 25

    passes = ("note", "kernel")
    totals = ("curvature",)

    def __post_init__(self):
        if self.projection:
            raise ValueError("LBFGS takes no projection: its line search would leave the set.")
        super().__post_init__()

    def start(self, p):
        rows = xp.zeros((self.history, p.size))
        return {"s": rows, "y": rows}

    @inplace
    def note(p: Array, g, x: Array, slope, x_last: Array, slope_last):
        x_last[...], slope_last[...] = x, slope
        x[...], slope[...] = p, g

    @inplace
    def kernel(p: Array, x, d, *, step):
        p[...] = x + step * d

    @inplace
    def curvature(s, y):
        return (s * y).sum(axis=1)

    def scalars(self, h):
        return {"lr": h.lr}

    def update(self, scalars):
        slope, d = self.state["slope"], self.state["d"]
        self.sweep("note", scalars)
        self._remember()
        d[...] = self._direction(slope)
        along = float(xp.dot(slope, d))
        if along == 0:
            return
        trial = float(scalars["lr"])
        if not self.running["pairs"]:
            trial *= min(1.0, 1 / float(xp.abs(slope).sum()))

        def at(step: float) -> tuple[float, float]:
            self.sweep("kernel", {"step": self._scalars.cast("step", step)})
            loss = float(self.evaluate())
            with np.errstate(all="ignore"):  # the search turns back from what is infinite
                return loss, float(self.total(lambda g, d: (g * d).sum()))

        step = 0.0
        try:
            step = strong_wolfe(at, self._loss.item(), along, trial, self.evaluations)
        finally:
            self.sweep("kernel", {"step": self._scalars.cast("step", step)})

    def _remember(self) -> None:
        """Keep the changes since the last step, unless the curvature along them is not positive."""
        state, pairs = self.state, self.running.setdefault("pairs", 0)
        if self.t == 1:
            return
        s, y = state["x"] - state["x_last"], state["slope"] - state["slope_last"]
        if float(xp.dot(s, y)) > 1e-10:
            state["s"][pairs % self.history], state["y"][pairs % self.history] = s, y
            self.running["pairs"] = pairs + 1

    def _direction(self, slope: Array) -> Array:
        """Minus the inverse Hessian's estimate times the gradient: the two-loop recursion."""
        pairs = self.running["pairs"]
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
