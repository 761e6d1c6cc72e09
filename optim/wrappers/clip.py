"""Wrappers that clip the gradients before a rule sees them."""

from dataclasses import dataclass
from typing import Any

from minigrad.backend import xp
from optim.engine.floating import quietly
from optim.wrappers.base import Bound, GradientNorm, Wrapper


@dataclass(eq=False)
class ClipValue(Wrapper):
    """Clips every coordinate of the gradient to [-value, value]."""

    value: Bound

    def edit(self) -> None:
        self.params.materialize_grads()
        for span in self.params.spans:
            xp.maximum(span.grad, -self.value, out=span.grad)
            xp.minimum(span.grad, self.value, out=span.grad)


@dataclass(eq=False)
class ClipNorm(Wrapper):
    """Shrinks the gradient of all parameters together to a Euclidean norm of at most `norm`.

    `total_norm` is what it was before. Pascanu, Mikolov and Bengio 2013, Algorithm 1.
    """

    norm: Bound

    def __post_init__(self) -> None:
        super().__post_init__()
        self._norm = GradientNorm(self.params)
        self._total: Any = None

    @property
    def total_norm(self) -> Any:
        """The norm of the last gradient before it was clipped, 0-d of float64; None before any."""
        return self._total

    def edit(self) -> None:
        self.params.materialize_grads()
        self._total = self.run(self._norm)
        quietly(self._clip)

    def _clip(self) -> None:
        factor = xp.asarray(1 / xp.maximum(self._total / self.norm, 1), self.params.dtype)
        for span in self.params.spans:
            xp.multiply(span.grad, factor, out=span.grad)
