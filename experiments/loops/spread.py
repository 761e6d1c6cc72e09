"""What the processes of a training do of it: one alone all, several under MPI each its part."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optim import AllReduce
from optim.wrappers.ranks import Ranks

Backward = Callable[[slice], None]  # of a part of a batch


class Alone:
    """One process does everything."""

    def optimizer(self, inner: Any) -> Any:
        """What steps in place of the optimizer."""
        return inner

    def inner(self, opt: Any) -> Any:
        """The optimizer that it steps, whose state is the same however many processes there are."""
        return opt

    def step(self, opt: Any, n: int, backward: Backward) -> None:
        """Update once, from a batch of n."""
        opt.zero_grad()
        backward(slice(0, n))
        opt.step()

    def each(self, function: Callable[[Any], tuple[float, ...]], items: Sequence[Any]) -> list[Any]:
        """The numbers that the function gives for each item; it may raise FloatingPointError."""
        return [function(item) for item in items]


class Spread(Alone):
    """Every rank of MPI calls the same, and does its part, with the same results on all.

    What is not finite on one rank is so on all: they raise FloatingPointError together.
    """

    def __init__(self, shards: int | None = None):
        self.settings = {"deterministic": shards is not None, "shards": shards}
        self.ranks = Ranks()

    def optimizer(self, inner: Any) -> Any:
        return AllReduce(inner, **self.settings)

    def inner(self, opt: Any) -> Any:
        return opt.inner

    def step(self, opt: Any, n: int, backward: Backward) -> None:
        for part in opt.parts(n):
            opt.zero_grad()
            if size := part.stop - part.start:
                try:
                    backward(part)
                except FloatingPointError:  # this rank alone would raise it
                    opt.params.materialize_grads()
                    for span in opt.params.spans:
                        span.grad.fill(np.nan)
            opt.step(samples=size)

    def each(self, function: Callable[[Any], tuple[float, ...]], items: Sequence[Any]) -> list[Any]:
        mine = {}
        for i in range(self.ranks.rank, len(items), self.ranks.size):
            try:
                mine[i] = function(items[i])
            except FloatingPointError as error:
                mine[i] = str(error)
        found = {i: one for part in self.ranks.objects(mine) for i, one in part.items()}
        for one in found.values():
            if isinstance(one, str):
                raise FloatingPointError(one)
        return [found[i] for i in range(len(items))]
