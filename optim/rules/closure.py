"""Rules that need the loss, or gradients at more than one point of a step.

Their `step(closure)` takes a function that zeroes the gradients, goes backward and returns the
loss. It is called several times within a step and must always mean the same batch.
"""

from contextvars import copy_context
from functools import partial
from typing import Annotated, Any

import numpy as np

from minigrad.backend import xp
from minigrad.tensor import Tensor
from optim.engine.kinds import ONE_NUMBER, Beta, Count, Eps, Number, Positive, Rate, but
from optim.engine.optimizer import Optimizer, inplace
from optim.engine.stepping import Closure, loss_of

__all__ = ["PolyakSGD", "Sophia"]


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

    The engine has no second derivative, so u * (H u) comes from the gradients at p + h u and
    p - h u: exact for quadratics, and else up to O(h^2). h is `radius` times the root mean square
    of the weights, or `radius` where all are zero. The signs u are drawn from (seed, t), so that
    there is no generator to save.
    """

    oracle = "the paper"
    lr: Rate = 1e-3
    betas: tuple[Beta, Beta] = (0.965, 0.99)
    gamma: Annotated[Rate, "how much of the Hessian counts"] = 0.01
    eps: Eps = 1e-12
    weight_decay: Rate = 0.1
    every: Annotated[Count, "steps between two estimates"] = 10
    radius: Annotated[Positive, "how far to the gradients of an estimate, over the weights"] = 1e-3
    seed: Annotated[Count, but(low=0), "of the signs"] = 0

    passes = ("look_ahead", "look_behind", "curvature", "come_back", "kernel")
    given = ("mean_square",)

    def update(self):
        if self.t % self.every == 1 % self.every:
            u, size = self.state["u"], self._owned.size
            mean_square = self.sum_over(lambda p: (p * p / size).sum())
            signs = 2 * np.random.default_rng([self.seed, self.t]).integers(2, size=u.size) - 1
            self.mark_half_way()  # as a pass does by itself before it writes
            u[...] = xp.asarray(signs, u.dtype)
            self.apply("look_ahead", mean_square=mean_square)
            try:
                self.evaluate()
                self.apply("look_behind", mean_square=mean_square)
                self.evaluate()
                self.apply("curvature", mean_square=mean_square)
            finally:
                self.apply("come_back")
        self.apply("kernel")

    @inplace
    def distance(mean_square, radius):
        """The h of an estimate."""
        return radius * xp.where(mean_square > 0, xp.sqrt(mean_square), 1.0)

    @inplace
    def look_ahead(p, g, u, p_here, g_here, *, radius, mean_square):
        p_here[...] = p
        g_here[...] = g
        p += Sophia.distance(mean_square, radius) * u

    @inplace
    def look_behind(p, g, u, p_here, g_ahead, *, radius, mean_square):
        g_ahead[...] = g
        p[...] = p_here - Sophia.distance(mean_square, radius) * u

    @inplace
    def curvature(g, u, g_ahead, d, *, betas, radius, mean_square):
        d *= betas[1]
        d += (1 - betas[1]) * 0.5 / Sophia.distance(mean_square, radius) * u * (g_ahead - g)

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
