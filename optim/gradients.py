"""Wrappers that change the gradients before a rule sees them: clipped, or accumulated."""

from dataclasses import dataclass

import numpy as np

from minigrad.backend import scalar, xp
from minigrad.tensor import Tensor
from optim.around import Closure, Wrapper, memory_of, refuse_closures, whole_runs
from optim.blocks import summed_length


@dataclass(eq=False)
class ClipValue(Wrapper):
    """Clips every coordinate of the gradient to [-value, value]."""

    value: float

    def edit(self) -> None:
        bound = scalar(self.value, self.params.dtype)
        self.params.settle()
        for run in self.params.runs:
            xp.maximum(run.grad, -bound, out=run.grad)
            xp.minimum(run.grad, bound, out=run.grad)


@dataclass(eq=False)
class ClipNorm(Wrapper):
    """Shrinks the gradient of all parameters together to a Euclidean norm of at most `norm`.

    Pascanu, Mikolov and Bengio 2013, Algorithm 1.
    """

    norm: float

    def __post_init__(self) -> None:
        super().__post_init__()
        pieces = memory_of(self.params).pieces(("g",), summed_length(self.params))
        self._pieces = [g for _, (g,) in pieces]

    def edit(self) -> None:
        self.params.settle()
        try:
            with np.errstate(over="raise", invalid="raise"):
                # in float64, in which no square of a float32 overflows or vanishes
                squares = [xp.square(g, dtype="float64").sum() for g in self._pieces]
                excess = xp.sqrt(sum(squares)) / self.norm
                factor = xp.asarray(1 / xp.maximum(excess, 1), self.params.dtype)
                for run in self.params.runs:
                    xp.multiply(run.grad, factor, out=run.grad)
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{self} at step {self.t + 1}: {error}; the gradients are infinite or their norm "
                "is; lower lr, or scale the loss down."
            ) from error


@dataclass(eq=False)
class Accumulate(Wrapper):
    """Steps the inner once in `every` steps, with the mean of their gradients: a larger batch.

    Each step takes the gradients and leaves zeros, save the one that moves the parameters; so
    zero_grad is needed after that one only, and does no harm after the others. t counts updates.
    """

    every: int

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_closures(self.inner, "Accumulate")
        memory = memory_of(self.params, "accumulated")
        self.arrays = memory.arrays
        self._runs = [arrays for _, arrays in whole_runs(memory, "g", "accumulated")]

    @property
    def due(self) -> bool:
        return self.count + 1 >= self.every and super().due

    def step(self, closure: Closure | None = None) -> Tensor | None:
        """Take the gradients, of the closure if there is one; the `every`-th time, update."""
        loss = closure() if closure else None
        self.params.settle()
        for g, accumulated in self._runs:
            if self.count == 0:
                accumulated[...] = g
            else:
                accumulated += g
        self.count += 1
        if self.count < self.every:
            self.inner.zero_grad()
            return loss
        count = scalar(self.count, self.params.dtype)
        for g, accumulated in self._runs:
            xp.divide(accumulated, count, out=g)
        self.inner.step()
        self.count = 0  # not where the inner refused the step
        return loss
