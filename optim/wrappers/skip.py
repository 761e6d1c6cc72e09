"""Steps whose gradients are not finite are left out."""

from dataclasses import dataclass
from typing import ClassVar

from minigrad.tensor import Tensor
from optim.engine.gradients import all_finite
from optim.engine.stepping import Closure
from optim.wrappers.base import Wrapper


@dataclass(eq=False)
class SkipNonFinite(Wrapper):
    """Leaves out a step whose gradients are not all finite; `skipped` counts these.

    All else stays as it was, t too, but the gradients become zeros. Inside Accumulate it is the
    mean that counts, around it each gradient. What overflows inside the rule raises as ever. A
    device is waited for, once a step.
    """

    asks_later: ClassVar[bool] = True

    @property
    def skipped(self) -> int:
        """How many steps were left out."""
        return self.count

    def check_gradients(self) -> bool:
        try:
            return super().check_gradients()
        except FloatingPointError:
            return False  # `move` asks again, since a wrapper outside may change the gradients

    def move(self, loss: Tensor | None, closure: Closure | None) -> bool:
        """Let the inner move, if the gradients are finite."""
        if all_finite(self.params):
            return super().move(loss, closure)
        self.count += 1
        self.inner.zero_grad()
        return False
