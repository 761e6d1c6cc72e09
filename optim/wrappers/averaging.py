"""Wrappers that average the weights of any rule, to evaluate with or to go on from.

opt = ExponentialAverage(Adam(params, lr=1e-3), decay=0.999)
with opt.averaged():
    loss = evaluate(model)
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from minigrad.backend import Array
from minigrad.tensor import Tensor
from optim.engine.kinds import FROM_0, kinds
from optim.engine.optimizer import inplace
from optim.engine.passes import FlatPass
from optim.engine.settings import Settings
from optim.engine.state import State
from optim.engine.stepping import Closure
from optim.wrappers.base import Memory, Share, Updates, Wrapper


@dataclass(eq=False)
class WeightAverage(Wrapper, ABC):
    """Base of the averages: after updates of the inner, a share of the newest weights.

    It begins with the weights as they are at the first step.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        state = self._state = State(self.params, ["average"], _weights)
        self.arrays = state.arrays
        names = ("p", "average")
        self._approach = FlatPass(self.approach, names, {"share": 0}, state, self.params)
        self._depart = FlatPass(self.depart, names, {"keep": 0}, state, self.params)

    @property
    def average(self) -> Array:
        """The average of the weights, flat and live."""
        return self._live()["average"]

    def _live(self) -> dict[str, Array]:
        self._state.follow(_weights)
        return self.arrays

    # Both are exact where the weights are the average, and never leave the interval between the
    # two, so that an average of points of a box lies in the box: one from the average, for small
    # shares, and one from the weights

    @inplace
    def approach(p: Array, average: Array, *, share: Any) -> None:
        average += share * (p - average)

    @inplace
    def depart(p: Array, average: Array, *, keep: Any) -> None:
        average -= p
        average *= keep
        average += p

    @abstractmethod
    def update_average(self) -> None:
        """Take the newest weights in; `count` has counted the update."""

    def lerp(self, share: float) -> None:
        """Make the average that share of the weights, and the rest of itself."""
        if share < 0.5:
            self.run(self._approach, {"share": float(share)})
        else:
            self.run(self._depart, {"keep": float(1 - share)})

    def copy_to_weights(self) -> None:
        """Make the average the weights."""
        self.params.scatter(self.average)

    def check_step(self) -> None:
        super().check_step()
        self._state.follow(_weights)

    def move(self, loss: Tensor | None, closure: Closure | None) -> bool:
        """Let the inner move, and take in the weights if it has."""
        moved = super().move(loss, closure)
        if moved:
            self._state.fresh = False
            self.count += 1
            self.update_average()
        return moved

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the parameters are the average of this wrapper, the outermost that has one."""
        self.check_owner()
        with self.params.holding(self.average):
            yield

    def _go_on(self, count: int) -> None:
        super()._go_on(count)
        self._state.settle(fresh=not self.t)


def _weights(p: Array) -> dict[str, Array]:
    return {"average": p}


class RunningAverage(WeightAverage):
    """Base of the averages of weights that are taken in one after the other."""

    if TYPE_CHECKING:
        start: int
        every: int

    @abstractmethod
    def share(self, n: int) -> float:
        """That of the n-th weights that are taken in, n = 1, 2, ..."""

    def number(self, count: int) -> int:
        """Which weights those of that update are: 0 where they are not taken in."""
        n, left = divmod(count - self.start, self.every)
        return 0 if left else max(n, 0)

    def update_average(self) -> None:
        if self.count <= self.start:
            self.lerp(1)
        elif n := self.number(self.count):
            self.lerp(self.share(n))


@dataclass(eq=False)
class ExponentialAverage(RunningAverage):
    """Averages the weights with a memory of 1 / (1 - decay) updates, from those it starts with.

    It is the newest weights until `start` updates are done, and then takes in those of every
    `every`-th. decay may be a schedule, of n = 1, 2, ... for the n-th weights taken in, so that the
    first ones are soon forgotten: lambda n: min(0.999, (1 + n) / (10 + n)).
    """

    decay: Memory = 0.999
    start: Annotated[Updates, FROM_0] = 0
    every: Updates = 1

    def check_step(self) -> None:
        super().check_step()
        if self.due and (n := self.number(self.count + 1)):
            self._next = self._decay_at(n)

    def _decay_at(self, n: int) -> float:
        if not callable(self.decay):
            return self.decay
        kind: Any = kinds(type(self))["decay"]
        settings = Settings({"decay": self.decay}, {"decay": kind}, self.params.size)
        return float(settings.at(n)["decay"])

    def share(self, n: int) -> float:
        self._used = {"decay": self._next}
        return 1 - self._next


@dataclass(eq=False)
class PolyakAverage(RunningAverage):
    """The mean of the weights of every `every`-th update after the first `start`, until which it is
    the newest. Polyak and Juditsky 1992; with every > 1, Izmailov et al. 2018 (SWA).
    """

    start: Annotated[Updates, FROM_0] = 0
    every: Updates = 1

    def share(self, n: int) -> float:
        return 1 / n


@dataclass(eq=False)
class Lookahead(WeightAverage):
    """Every k updates, moves slow weights by alpha of the way to the fast ones, and restarts there.

    Zhang, Lucas, Hinton and Ba 2019, Algorithm 1. The slow weights are those to evaluate with.
    """

    k: Updates = 5
    alpha: Share = 0.5

    def update_average(self) -> None:
        if self.count >= self.k:
            self.count = 0
            self.lerp(self.alpha)
            self.copy_to_weights()
