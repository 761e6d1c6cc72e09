"""Sharpness-aware minimization, around any rule."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minigrad.backend import xp
from minigrad.tensor import Tensor
from optim.engine.optimizer import Closure
from optim.rules.descent import SGD
from optim.wrappers.base import (
    Distance,
    GradientNorm,
    Wrapper,
    beside,
    refuse_closures,
    whole_spans,
)


@dataclass(eq=False, init=False)
class SAM(Wrapper):
    """Steps `base` with the gradient from rho further uphill. Foret et al. 2021, Algorithm 1.

    Wraps base(params, **settings), whose lr and state it has; base may be any rule
    without a closure.
    """

    rho: Distance

    needs_closure: ClassVar[bool] = True
    oracle: ClassVar[str] = "pytorch_optimizer.SAM"

    def __init__(
        self,
        params: Iterable[Tensor],
        base: Callable[..., Any] = SGD,
        rho: float = 0.05,
        **settings: Any,
    ):
        self.rho = rho
        super().__init__(base(params, **settings))
        refuse_closures(self.inner, "SAM")
        state = beside(self.params, "p_here")
        self._spans = [arrays for _, *arrays in whole_spans(state, "p", "g", "p_here")]
        self._norm = GradientNorm(self.params)
        self._tiny = np.finfo(self.params.dtype).tiny

    def step(self, closure: Closure | None = None) -> Tensor | None:
        """Update the parameters once; returns the loss from before the update."""
        if closure is None:
            raise TypeError(
                "SAM.step() needs a closure, which zeroes the gradients, goes backward and returns "
                "the loss."
            )
        loss = closure()
        self.params.materialize_grads()
        inverse = xp.asarray(1 / xp.maximum(self._norm(), self._tiny), self.params.dtype)
        for p, g, p_here in self._spans:
            p_here[...] = p
            g *= inverse  # the closure overwrites it anyway
            g *= self.rho
            p += g
        self.params.mark_changed()
        try:
            closure()
        finally:
            for p, _, p_here in self._spans:
                p[...] = p_here
            self.params.mark_changed()
        self.inner.step()
        return loss
