"""Weight decay around any rule: of the weights themselves, or by way of the gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from minigrad.backend import Array
from minigrad.tensor import Tensor
from optim.engine.kinds import Rate
from optim.engine.optimizer import inplace
from optim.engine.passes import FlatPass
from optim.engine.settings import Settings, check_setting, check_size, value_at
from optim.engine.signature import signature_of
from optim.engine.stepping import Closure
from optim.wrappers.base import Wrapper, beside, refuse_closures

RATE: Any = Rate  # a kind, at run time


@dataclass(eq=False)
class WeightDecay(Wrapper):
    """Base of the decays: a pass that takes weight_decay and settings of the inner, at its t."""

    weight_decay: Rate

    kernel: ClassVar[Callable[..., None]]

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_closures(self.inner, type(self).__name__)
        names, scalars, _ = signature_of(self.kernel)
        self._decay = FlatPass(
            self.kernel, names, dict.fromkeys(scalars, 0), beside(self.params), self.params
        )

    def _check(self, name: str, value: Any) -> None:
        if name != "weight_decay":
            super()._check(name, value)
            return
        check_setting(type(self).__name__, name, value, RATE)
        first = value_at(name, value, 1)
        if getattr(first, "ndim", 0):
            check_size(name, first, self.params.size)

    def check_step(self) -> None:
        super().check_step()
        own = Settings(
            {"weight_decay": self.weight_decay}, {"weight_decay": RATE}, self.params.size
        )
        self._values = own.at(self.t + 1)

    def _apply_decay(self) -> None:
        self.run(self._decay, self._values)
        self._used = {"weight_decay": self._values["weight_decay"]}


@dataclass(eq=False)
class DecoupledDecay(WeightDecay):
    """Shrinks the weights by 1 - lr * weight_decay before the inner steps.

    Loshchilov and Hutter 2019, Algorithm 2: around Adam, AdamW. lr is that of the inner at its t.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inner.asks_later:
            raise TypeError(
                f"{self.inner!r:.60} may leave a step out after the weights have decayed; put "
                "DecoupledDecay inside SkipNonFinite."
            )

    @inplace
    def kernel(p: Array, *, lr: Any, weight_decay: Any) -> None:
        p *= 1 - lr * weight_decay

    def _check(self, name: str, value: Any) -> None:
        super()._check(name, value)
        if name == "inner" and not hasattr(value, "lr"):
            raise TypeError(f"inner={value!r:.60} has no lr of its own; decay what has one.")

    def check_step(self) -> None:
        if self.due:
            super().check_step()
            (rule,) = self.rules
            self._values["lr"] = rule._next["lr"]

    def move(self, loss: Tensor | None, closure: Closure | None) -> bool:
        """Decay, and let the inner move."""
        if self.due:
            self.mark_half_way()
            self.params.mark_changed()
            self._apply_decay()
        return super().move(loss, closure)


@dataclass(eq=False)
class L2Decay(WeightDecay):
    """Adds weight_decay * p to the gradient, that of a penalty weight_decay |p|^2 / 2 in the loss.

    Around Adam, Adam(weight_decay=...) of PyTorch; around SGD the same as DecoupledDecay. The
    gradients hold the sum afterwards, as they hold the clipped ones after a clip.
    """

    @inplace
    def kernel(p: Array, g: Array, *, weight_decay: Any) -> None:
        g += weight_decay * p

    def edit(self) -> None:
        self.params.materialize_grads()
        self._apply_decay()
