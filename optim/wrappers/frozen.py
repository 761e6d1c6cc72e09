"""Parameters that are left alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from minigrad.arena import Parameters
from minigrad.backend import Array, xp
from minigrad.errors import nearest
from minigrad.tensor import Tensor
from optim.engine.stepping import Closure
from optim.wrappers.base import Wrapper, beside, whole_spans


@dataclass(eq=False)
class Frozen(Wrapper):
    """Leaves parameters alone: zeroes their gradients, and undoes what the inner does to them.

    `mask` holds names of tensors, or one bool per coordinate, true for those to be left alone.
    """

    mask: Any

    def __post_init__(self) -> None:
        if isinstance(self.mask, list | set):
            vars(self)["mask"] = frozenset(self.mask)  # to which no name is added later
        super().__post_init__()
        frozen, state = _coordinates(self.mask, self.params), beside(self.params, "kept")
        self._spans = [
            (*arrays, frozen[here]) for here, *arrays in whole_spans(state, "p", "g", "kept")
        ]

    def edit(self) -> None:
        self.params.materialize_grads()
        for _, g, _, frozen in self._spans:
            xp.copyto(g, 0, where=frozen)

    def move(self, loss: Tensor | None, closure: Closure | None) -> bool:
        """Let the inner move, and undo what it did to the frozen."""
        self._keep()
        try:
            return super().move(loss, closure)
        finally:
            self._undo()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the parameters are those of the inner to evaluate with, but for the frozen."""
        self._keep()
        with self.inner.averaged():
            self._undo()
            yield

    def _keep(self) -> None:
        for p, _, kept, _ in self._spans:
            kept[...] = p

    def _undo(self) -> None:
        for p, _, kept, frozen in self._spans:
            xp.copyto(p, kept, where=frozen)


def _coordinates(mask: Any, params: Parameters) -> Array:
    """A mask as one bool per coordinate."""
    wanted = f"give names of tensors, or an array of {params.size} bools, one per coordinate"
    if str(getattr(mask, "dtype", "")) == "bool":
        if mask.shape != (params.size,):
            raise ValueError(f"mask is of shape {mask.shape}; {wanted}.")
        return xp.asarray(mask)
    if not isinstance(mask, (list, tuple, set, frozenset)):
        raise TypeError(f"mask={mask!r:.60}: {wanted}.")
    for name in mask:
        if name not in params.names:
            raise ValueError(f"mask has {name!r}, no parameter; {nearest(name, params.names)}")
    return xp.concatenate([xp.full(t.size, name in mask) for name, t in params.items()])
