"""Sharpness-aware minimization, around any rule."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minigrad.backend import xp
from minigrad.tensor import Tensor
from optim.engine.optimizer import Closure
from optim.engine.threads import summed_length
from optim.rules.descent import SGD
from optim.wrappers.base import Wrapper, memory_of, refuse_closures, whole_spans


@dataclass(eq=False, init=False)
class SAM(Wrapper):
    """Steps `base` with the gradient from rho further uphill. Foret et al. 2021, Algorithm 1.

    Wraps base(params, **settings), whose lr and state it has; base may be any rule
    without a closure.
    """

    rho: float

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
        memory = memory_of(self.params, "p_here")
        self._spans = [arrays for _, arrays in whole_spans(memory, "p", "g", "p_here")]
        self._pieces = [g for _, (g,) in memory.pieces(("g",), summed_length(self.params))]
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
        # in float64, in which no square of a float32 overflows or vanishes
        norm = xp.sqrt(sum(xp.square(g, dtype="float64").sum() for g in self._pieces))
        inverse = xp.asarray(1 / xp.maximum(norm, self._tiny), self.params.dtype)
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
        self.inner.advance()
        return loss
