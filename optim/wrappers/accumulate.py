"""A larger batch out of several backward passes."""

from dataclasses import dataclass

from minigrad.backend import xp
from minigrad.tensor import Tensor
from optim.engine.optimizer import Closure
from optim.wrappers.base import Updates, Wrapper, beside, refuse_closures, whole_spans


@dataclass(eq=False)
class Accumulate(Wrapper):
    """Steps the inner once in `every` steps, with the mean of their gradients: a larger batch.

    Each step takes the gradients and leaves zeros, save the one that moves the parameters; so
    zero_grad is needed after that one only, and does no harm after the others. t counts updates.
    """

    every: Updates

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_closures(self.inner, "Accumulate")
        state = beside(self.params, "accumulated")
        self.arrays = state.arrays
        self._spans = [(g, sums) for _, g, sums in whole_spans(state, "g", "accumulated")]

    @property
    def due(self) -> bool:
        return self.count + 1 >= self.every and super().due

    def check_step(self) -> None:
        if self.due:
            super().check_step()

    def step(self, closure: Closure | None = None) -> Tensor | None:
        """Take the gradients, of the closure if there is one; the `every`-th time, update."""
        loss = closure() if closure else None
        self.params.materialize_grads()
        for g, accumulated in self._spans:
            if self.count == 0:
                accumulated[...] = g
            else:
                accumulated += g
        self.count += 1
        if self.count < self.every:
            self.inner.zero_grad()
            return loss
        for g, accumulated in self._spans:
            xp.divide(accumulated, self.count, out=g)
        self.inner.step()
        self.count = 0  # not where the inner refused the step
        return loss
