"""Wrappers that average the weights of any rule, to evaluate with or to go on from.

opt = ExponentialAverage(Adam(params, lr=1e-3), decay=0.999)
with opt.averaged():
    loss = evaluate(model)
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from minigrad.backend import Array
from minigrad.tensor import Tensor
from optim.engine.kinds import but
from optim.engine.optimizer import inplace
from optim.engine.passes import FlatPass
from optim.engine.state import State
from optim.engine.stepping import Closure
from optim.wrappers.base import Memory, Share, Updates, Wrapper


@dataclass(eq=False)
class WeightAverage(Wrapper, ABC):
    """Base of the averages: after every update of the inner, a share of the newest weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        state = State(self.params, ["average"], lambda p: {"average": p}, per_tensor=False)
        self.arrays = state.arrays
        self._lerp = FlatPass(self.kernel, ("p", "average"), {"keep": 0}, state, self.params)

    @property
    def average(self) -> Array:
        """The average of the weights, flat and live."""
        return self.arrays["average"]

    @inplace
    def kernel(p: Array, average: Array, *, keep: Any) -> None:
        average -= p  # so that the average of equal weights is these, bit for bit
        average *= keep
        average += p

    @abstractmethod
    def update_average(self) -> None:
        """Take the newest weights in."""

    def lerp(self, keep: float) -> None:
        """Keep that share of the average, and take the rest from the weights."""
        self.run(self._lerp, {"keep": float(keep)})

    def copy_to_weights(self) -> None:
        """Make the average the weights."""
        self.params.scatter(self.average)

    def move(self, loss: Tensor | None, closure: Closure | None) -> bool:
        """Let the inner move, and take in the weights if it has."""
        moved = super().move(loss, closure)
        if moved:
            self.update_average()
        return moved

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the parameters are the average of this wrapper, the outermost that has one."""
        self.check_owner()
        with self.params.holding(self.average):
            yield


@dataclass(eq=False)
class ExponentialAverage(WeightAverage):
    """Averages the weights with a memory of 1 / (1 - decay) updates, from those it starts with."""

    decay: Memory = 0.999

    def update_average(self) -> None:
        self.lerp(self.decay)


@dataclass(eq=False)
class PolyakAverage(WeightAverage):
    """Averages the weights of all updates after the first `start`; until then, the newest.

    Polyak and Juditsky 1992.
    """

    start: Annotated[Updates, but(low=0)] = 0

    def update_average(self) -> None:
        self.count += 1
        self.lerp(1 - 1 / max(1, self.count - self.start))


@dataclass(eq=False)
class Lookahead(WeightAverage):
    """Every k updates, moves slow weights by alpha of the way to the fast ones, and restarts there.

    Zhang, Lucas, Hinton and Ba 2019, Algorithm 1. The slow weights are those to evaluate with.
    """

    k: Updates = 5
    alpha: Share = 0.5

    def update_average(self) -> None:
        self.count += 1
        if self.count >= self.k:
            self.count = 0
            self.lerp(1 - self.alpha)
            self.copy_to_weights()
