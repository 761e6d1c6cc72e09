"""Sharpness-aware minimization, around any rule."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minigrad.backend import xp
from minigrad.tensor import Tensor
from optim.engine.stepping import Closure, loss_of
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

    def move(self, loss: Tensor | None, closure: Closure | None) -> bool:
        """Let the base move from the gradient uphill."""
        self.params.materialize_grads()
        for p, _, p_here in self._spans:
            p_here[...] = p
        self.mark_half_way()
        try:
            self.run(self._climb)
            self.params.mark_changed()
            loss_of(closure)
        finally:
            for p, _, p_here in self._spans:
                p[...] = p_here
            self.params.mark_changed()
            self.mark_half_way(False)
        self.inner.check_gradients()
        return super().move(loss, None)

    def _climb(self) -> None:
        inverse = xp.asarray(1 / xp.maximum(self._norm(), self._tiny), self.params.dtype)
        for p, g, _ in self._spans:
            g *= inverse  # the closure overwrites it anyway
            g *= self.rho
            p += g
