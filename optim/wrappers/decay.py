"""Decoupled weight decay around any rule."""

from dataclasses import dataclass
from typing import Any

from minigrad.backend import scalar, xp
from minigrad.tensor import Tensor
from optim.engine.optimizer import Closure
from optim.engine.settings import Hyperparameters, Schedule, check_range
from optim.wrappers.base import Wrapper, memory_of, refuse_closures, whole_spans


@dataclass(eq=False)
class DecoupledDecay(Wrapper):
    """Shrinks the weights by 1 - lr * weight_decay before the inner steps.

    Loshchilov and Hutter 2019, Algorithm 2: around Adam, AdamW. lr is that of the inner at its t.
    """

    weight_decay: Schedule

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_closures(self.inner, "DecoupledDecay")
        self._spans = list(whole_spans(memory_of(self.params), "p"))

    def _check(self, name: str, value: Any) -> None:
        super()._check(name, value)
        if name == "inner" and not hasattr(value, "lr"):
            raise TypeError(f"inner={value!r:.60} has no lr of its own; decay what has one.")
        if name == "weight_decay":
            check_range(name, value, 0.0)
            shape = getattr(value(1) if callable(value) else value, "shape", ())
            if shape not in ((), (self.params.size,)):
                raise ValueError(
                    f"weight_decay is an array of shape {shape}; give a number, or one value for "
                    f"each of the {self.params.size} coordinates."
                )

    def step(self, closure: Closure | None = None) -> Tensor | None:
        """Decay, after the closure if there is one, and let the inner step."""
        loss = closure() if closure else None
        if self.due:
            self._shrink()
        self.inner.step()
        return loss

    def _shrink(self) -> None:
        t, dtype = self.t + 1, self.params.dtype
        h = Hyperparameters({"lr": self.inner.lr, "weight_decay": self.weight_decay}).at(t)
        keep = 1 - h.lr * h.weight_decay
        spread = getattr(keep, "ndim", 0)
        if not spread and keep != keep:
            raise ValueError(f"lr or weight_decay is NaN at step {t}; mend the schedule.")
        keep = xp.asarray(keep, dtype) if spread else scalar(keep, dtype)
        for here, (p,) in self._spans:
            xp.multiply(p, keep[here] if spread else keep, out=p)
        self.params.mark_changed()
