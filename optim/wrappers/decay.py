"""Decoupled weight decay around any rule."""

from dataclasses import dataclass
from typing import Any

from minigrad.backend import Array
from minigrad.tensor import Tensor
from optim.engine.kinds import Rate
from optim.engine.optimizer import inplace
from optim.engine.passes import FlatPass
from optim.engine.settings import Settings, check_setting, check_size, value_at
from optim.engine.stepping import Closure
from optim.wrappers.base import Wrapper, beside, refuse_closures

RATE: Any = Rate  # a kind, at run time


@dataclass(eq=False)
class DecoupledDecay(Wrapper):
    """Shrinks the weights by 1 - lr * weight_decay before the inner steps.

    Loshchilov and Hutter 2019, Algorithm 2: around Adam, AdamW. lr is that of the inner at its t.
    """

    weight_decay: Rate

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_closures(self.inner, "DecoupledDecay")
        if self.inner.asks_later:
            raise TypeError(
                f"{self.inner!r:.60} may leave a step out after the weights have decayed; put "
                "DecoupledDecay inside SkipNonFinite."
            )
        scalars = {"lr": 0, "weight_decay": 0}
        self._shrink = FlatPass(self.kernel, ("p",), scalars, beside(self.params), self.params)

    @inplace
    def kernel(p: Array, *, lr: Any, weight_decay: Any) -> None:
        p *= 1 - lr * weight_decay

    def _check(self, name: str, value: Any) -> None:
        if name != "weight_decay":
            super()._check(name, value)
        if name == "inner" and not hasattr(value, "lr"):
            raise TypeError(f"inner={value!r:.60} has no lr of its own; decay what has one.")
        if name == "weight_decay":
            check_setting("DecoupledDecay", name, value, RATE)
            first = value_at(name, value, 1)
            if getattr(first, "ndim", 0):
                check_size(name, first, self.params.size)

    def check_step(self) -> None:
        if self.due:
            super().check_step()
            given = {"lr": self.inner.lr, "weight_decay": self.weight_decay}
            settings = Settings(given, dict.fromkeys(given, RATE), self.params.size)
            self._values = settings.at(self.t + 1)

    def move(self, loss: Tensor | None, closure: Closure | None) -> bool:
        """Decay, and let the inner move."""
        if self.due:
            self.mark_half_way()
            self.params.mark_changed()
            self.run(self._shrink, self._values)
        return super().move(loss, closure)
