"""A larger batch out of several backward passes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minigrad.backend import xp
from minigrad.tensor import Tensor
from optim.engine.floating import quietly
from optim.engine.stepping import Closure
from optim.wrappers.base import Updates, Wrapper, beside, refuse_closures, whole_spans


@dataclass(eq=False)
class Accumulate(Wrapper):
    """Steps the inner once in `every` steps, with the mean of their gradients: a larger batch.

    Each step takes the gradients and leaves zeros, save the one that moves the parameters; so
    zero_grad is needed after that one only, and does no harm after the others. t counts updates.
    `flush()` updates from what waits for the rest, as at the end of an epoch; `drop()` forgets it.
    """

    every: Updates

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_closures(self.inner, "Accumulate")
        state = beside(self.params, "accumulated")
        self.arrays = state.arrays
        self._spans = [(g, sums) for _, g, sums in whole_spans(state, "g", "accumulated")]
        self._flushing = False

    @property
    def waiting(self) -> int:
        """How many gradients wait for an update."""
        return self.count + int(self.inner.waiting)

    @property
    def due(self) -> bool:
        return self._completes and super().due

    @property
    def _completes(self) -> bool:
        """Whether the next step is one of the inner."""
        return self._flushing or self.count + 1 >= self.every

    def check_step(self) -> None:
        if self._completes:
            super().check_step()

    def move(self, loss: Tensor | None, closure: Closure | None) -> bool:
        """Take the gradients; the `every`-th time, let the inner move."""
        self.params.materialize_grads()
        if not self._completes:
            self.mark_half_way()
            self._compute(self._add)
            self.count += 1
            self.inner.zero_grad()
            return False
        self._compute(self._mean)
        moved = super().move(loss, None)
        self.count = 0
        return moved

    def flush(self, outermost: Any = None) -> None:
        self._flushing, outermost = True, outermost or self
        before = outermost._copies()
        try:
            if self.count:
                outermost.zero_grad()
                outermost.step()
            self.inner.flush(outermost)
        except TypeError:  # of groups inside, which know only now whether a gradient waits there
            outermost._go_back(*before)
            raise
        finally:
            self._flushing = False

    def drop(self) -> None:
        """Forget the gradients that wait for an update."""
        self.count = 0
        self.inner.drop()

    def _compute(self, function: Callable[[], None]) -> None:
        """Call the function; where gradients are asked later whether they are finite, quietly."""
        (quietly if self.inner.asks_later else self.run)(function)

    def _add(self) -> None:
        for g, accumulated in self._spans:
            if self.count == 0:
                accumulated[...] = g
            else:
                accumulated += g

    def _mean(self) -> None:
        """Make the gradient the mean of those that wait and, unless these are flushed, itself: what
        wrappers outside have then made of zeros is no gradient."""
        count = self.count + (not self._flushing)
        for g, accumulated in self._spans:
            if self._flushing:
                g[...] = accumulated
            elif self.count:
                g += accumulated
            xp.divide(g, max(1, count), out=g)
