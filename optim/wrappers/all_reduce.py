"""Training on several processes or machines: each has its part of a batch, all the same weights.

opt = AllReduce(ClipNorm(Adam(model.parameters()), norm=1.0))
for part in opt.parts(len(x)):
    opt.zero_grad()
    model.loss(x[part], y[part]).backward()
    opt.step(samples=part.stop - part.start)
"""

from dataclasses import dataclass, field
from functools import partial
from math import isfinite, nan
from numbers import Real
from typing import Any
from zlib import crc32

import numpy as np

from minigrad.backend import Array, to_host, xp
from minigrad.tensor import Tensor
from optim.engine.floating import quietly
from optim.engine.on_disk import Writes
from optim.engine.stepping import Closure, loss_of
from optim.wrappers.base import Updates, Wrapper, beside, refuse_closures, whole_spans
from optim.wrappers.ranks import Ranks, weights_of


@dataclass(eq=False)
class AllReduce(Wrapper):
    """Steps the inner, on every rank of `comm`, with the mean of the ranks' gradients.

    `comm` is a communicator of mpi4py, by default of all processes that mpiexec has started. Every
    rank builds the same optimizer, which gives all of them the weights of rank 0, and calls step()
    as often as the others. What the inner sees is the same everywhere, so that it raises, skips
    and clips everywhere or nowhere; AllReduce is the outermost wrapper.

    With `deterministic`, every batch is cut into `shards`, whatever the number of ranks, which
    divides it; each has its own backward pass, and their gradients are added in one order. So the
    bits do not depend on how many ranks there are, where the machines are of one kind. It takes
    the memory and the traffic of that many gradients.

    At the first step, and at every `check_every`-th after it, the ranks compare checksums of
    weights and state.
    """

    comm: Any = field(default=None, repr=False)
    deterministic: bool = False
    shards: int | None = None
    check_every: Updates = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ranks = Ranks(self.comm)
        self._check_shards(self._ranks.size)
        self._each = (self.shards or self._ranks.size) // self._ranks.size  # parts for every rank
        self._counts: list[float] = []  # of samples, in the parts whose gradients wait
        self._rows: Any = None  # the gradient of every shard
        self._spans = [(here, g) for here, g in whole_spans(beside(self.params), "g")]
        shapes = {name: tensor.shape for name, tensor in self.params.items()}
        built = shapes, str(self.params.dtype), self.deterministic, self.shards, self.check_every
        for rank, other in enumerate(self._ranks.objects(built)):
            if other != built:
                raise ValueError(
                    "the ranks differ in (parameters, dtype, deterministic, shards, check_every): "
                    f"{built} here, {other} on rank {rank}; build the same on each."
                )
        for span in self.params.spans:
            self._ranks.broadcast(span.data)
        self.params.mark_changed()

    def _check_shards(self, ranks: int) -> None:
        if self.deterministic != (self.shards is not None):
            raise ValueError(
                f"deterministic={self.deterministic} with shards={self.shards}: give both, as in "
                "deterministic=True, shards=4, or neither."
            )
        if self.deterministic:
            refuse_closures(self.inner, "AllReduce(deterministic=True)")
            if type(self.shards) is not int or self.shards < 1 or self.shards % ranks:
                raise ValueError(
                    f"shards={self.shards!r} is not a multiple of the {ranks} ranks; give one."
                )

    @property
    def due(self) -> bool:
        return len(self._counts) + 1 == self._each and super().due

    def parts(self, n: int) -> list[slice]:
        """The parts of a batch of n that are this rank's, each for a backward pass and a step.

        One, or as many as its shards; one is empty where n is less than there are in all, and then
        needs step(samples=0) alone.
        """
        every, first = self._each * self._ranks.size, self._each * self._ranks.rank
        return [
            slice(n * i // every, n * (i + 1) // every) for i in range(first, first + self._each)
        ]

    def step(self, closure: Closure | None = None, samples: float | None = None) -> Tensor | None:
        """Update the parameters once, from the gradients of all ranks; every rank calls it.

        `samples` is how many there are in this rank's part of the batch, which the mean is weighted
        by; without it the ranks count alike. With `deterministic` it is called after the backward
        pass of each shard, and the last one moves the parameters. A closure is for this rank's part
        too; its gradients and its loss become the means, wherever the inner calls it, and that loss
        is returned.

        Raises, on all ranks, what a step of the inner raises; ValueError where only some give
        `samples`, or all give 0; and RuntimeError where ranks are at different steps or have
        different weights or state. What one rank alone raises leaves the others waiting: run
        scripts as `mpiexec -n N python -m mpi4py SCRIPT`, which then ends them all.
        """
        count = _count(samples)
        if closure is not None:
            if self.deterministic:
                raise TypeError(
                    "a closure would have to go backward shard by shard; call step() after each "
                    "backward pass, or leave deterministic out."
                )
            loss: Tensor | None = self.inner.step(partial(self._reduced, closure, count))
            return loss
        if self.deterministic:
            self._keep(count)
            if len(self._counts) < self._each:
                self.inner.zero_grad()
                return None
            counts, self._counts = self._counts, []
            self._add_in_order(self._shares(counts)[0])
        else:
            self._reduce(self._shares([count])[0])
        self.inner.step()
        return None

    def flush(self, outermost: Any = None) -> None:
        self.inner.flush()  # what waits there is the mean already

    def drop(self) -> None:
        """Forget the gradients that wait for an update."""
        self._counts.clear()
        self.inner.drop()

    def state_dict(self) -> dict[str, Any]:
        """As for every wrapper, whatever the number of ranks; RuntimeError within a batch."""
        if self._counts:
            raise RuntimeError(
                f"{len(self._counts)} of this rank's {self._each} shards have gone backward; save "
                "after the step that moves the parameters."
            )
        return super().state_dict()

    def _load(self, saved: dict[str, Any]) -> Writes:
        return [*super()._load(saved), self._counts.clear]

    def _reduced(self, closure: Closure, count: float) -> Tensor:
        """The mean of what the closure returns on each rank, with the mean gradients."""
        loss = loss_of(closure)
        shares, losses = self._shares([count], loss.item())
        self._reduce(shares)
        mean = sum(share * one for share, one in zip(shares, losses, strict=True) if share)
        return Tensor(mean, dtype=loss.dtype)

    def _shares(self, counts: list[float], loss: float = 0.0) -> tuple[list[float], list[float]]:
        """What part of the whole batch each part is, in their order, and the ranks' losses.

        Raises, on all ranks alike, where they do not agree.
        """
        checked = self.t % self.check_every == 0
        own = [self.t, self._checksum() if checked else 0, loss, *counts]
        every = self._ranks.numbers(own)
        if (every[:, 0] != self.t).any():
            raise RuntimeError(
                f"the ranks are at steps {every[:, 0].astype(int).tolist()}; load the same state "
                "on each, and let each call step() as often."
            )
        if len(other := np.flatnonzero(every[:, 1] != every[0, 1])):
            raise RuntimeError(
                f"at step {self.t + 1} the weights or the state of ranks {other.tolist()} are not "
                "those of rank 0; load the same state on each, change weights on all alike, and "
                "use machines of one kind."
            )
        return weights_of(every[:, 3:].ravel()), every[:, 2].tolist()

    def _checksum(self) -> int:
        arrays = [span.data for span in self.params.spans]
        arrays += [array for rule in self.rules for array in rule.state.values()]
        code = 0
        for array in arrays:
            whole: Any = np.ascontiguousarray(to_host(array))
            code = crc32(whole, code)
        return code

    def _reduce(self, shares: list[float]) -> None:
        """Make the gradient the mean of those of all ranks."""
        self.params.materialize_grads()
        for _, g in self._spans:
            quietly(_scale, g, shares[self._ranks.rank])
            self._ranks.sum(g)

    def _keep(self, count: float) -> None:
        """Keep the gradient of one shard."""
        if self._rows is None:
            self._rows = np.empty((self.shards, self.params.size), self.params.dtype)
        row = self._rows[self._ranks.rank * self._each + len(self._counts)]
        self.params.materialize_grads()
        for here, g in self._spans:
            row[here] = to_host(g)
        self._counts.append(count)

    def _add_in_order(self, shares: list[float]) -> None:
        """Make the gradient the mean of those of all shards, added from the first to the last."""
        self._ranks.rows(self._rows)
        total = quietly(_sum_in_order, self._rows, shares)
        for here, g in self._spans:
            g[...] = xp.asarray(total[here])


def _count(samples: Any) -> float:
    """The weight of a part; NaN where none is given."""
    if samples is None:
        return nan
    if not isinstance(samples, Real) or not isfinite(samples) or samples < 0:
        raise ValueError(f"samples={samples!r:.60}: give how many there are in this rank's part.")
    return float(samples)


def _scale(g: Array, share: float) -> None:
    """Multiply, by 0 whatever is there: the mean over no samples may be NaN."""
    if share:
        g *= share
    else:
        g[...] = 0


def _sum_in_order(rows: Any, shares: list[float]) -> Any:
    """The sum of the rows times their shares, by which they are multiplied in place."""
    for row, share in zip(rows, shares, strict=True):
        _scale(row, share)
    for row in rows[1:]:
        rows[0] += row
    return rows[0]
