"""Wrappers that clip the gradients before a rule sees them."""

from dataclasses import dataclass

import numpy as np

from minigrad.backend import xp
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

    Pascanu, Mikolov and Bengio 2013, Algorithm 1.
    """

    norm: Bound

    def __post_init__(self) -> None:
        super().__post_init__()
        self._norm = GradientNorm(self.params)

    def edit(self) -> None:
        self.params.materialize_grads()
        try:
            with np.errstate(over="raise", invalid="raise"):
                factor = xp.asarray(1 / xp.maximum(self._norm() / self.norm, 1), self.params.dtype)
                for span in self.params.spans:
                    xp.multiply(span.grad, factor, out=span.grad)
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{self} at step {self.t + 1}: {error}; the gradients are infinite or their norm "
                "is; lower lr, or scale the loss down."
            ) from error
