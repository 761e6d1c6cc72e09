"""Ascent in place of descent."""

from dataclasses import dataclass
from functools import partial

from minigrad.backend import xp
from minigrad.tensor import Tensor
from optim.engine.stepping import Closure, loss_of
from optim.wrappers.base import Wrapper


@dataclass(eq=False)
class Maximize(Wrapper):
    """Climbs: the inner gets minus the gradients, and of a closure minus the objective.

    As with maximize=True of PyTorch, the gradients are afterwards what they were.
    """

    def edit(self) -> None:
        self.params.materialize_grads()
        for span in self.params.spans:
            xp.negative(span.grad, out=span.grad)

    def move(self, loss: Tensor | None, closure: Closure | None) -> bool:
        """Let the inner move the other way."""
        below = None if loss is None else -loss.detach()
        self.edit()
        try:
            return bool(self.inner.move(below, partial(self._below, closure) if closure else None))
        finally:
            self.edit()

    def _below(self, closure: Closure) -> Tensor:
        """Minus what the closure returns, with minus its gradients."""
        height = loss_of(closure)
        self.edit()
        return -height.detach()
