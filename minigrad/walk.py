"""What `backward` asks of a recorded graph: its order, whether what was recorded still holds, and
gradients in the shape of their operands. The nodes are Tensors, and arrays that are not ours.
"""

from math import gcd
from operator import attrgetter
from typing import Any

from minigrad.backend import Array


class Borrowed:
    """An array that somebody else may write to, among the inputs of what was computed from it.

    It passes for a leaf whose version is a fingerprint: an element of every row, or of 1,024 rows,
    and no fewer than 256 elements. It shows that rows were refilled; a change of single elements
    may go unnoticed.
    """

    __slots__ = ("array",)
    is_leaf = True

    def __init__(self, array: Array):
        self.array = array

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.array.shape
        return shape

    @property
    def _version(self) -> bytes:
        size = self.array.size
        step = max(1, size // min(1024, max((256, *self.array.shape[:1]))))
        while gcd(step, size) > 1:  # so that it meets all columns: some may be constant
            step -= 1
        sample: bytes = self.array.ravel(order="K")[::step].tobytes()
        return sample


def unbroadcast(gradient: Array, data: Array) -> Array:
    """A gradient in the dtype of `data`, summed over the axes along which `data` was broadcast."""
    if gradient.shape != data.shape:
        given = gradient.shape
        if gradient.ndim > data.ndim:
            gradient = gradient.sum(axis=tuple(range(gradient.ndim - data.ndim)))
        pairs = enumerate(zip(data.shape, gradient.shape, strict=False))
        stretched = tuple(i for i, (n, m) in pairs if n == 1 != m)
        if stretched:
            gradient = gradient.sum(axis=stretched, keepdims=True)
        if gradient.shape != data.shape:
            raise ValueError(
                f"a pullback returned the shape {given} for an operand of shape {data.shape}."
            )
    return gradient if gradient.dtype == data.dtype else gradient.astype(data.dtype)


def topological_order(root: Any) -> list[Any]:
    """`root` and the intermediates that it was computed from, each before its own operands."""
    found, unvisited = {root}, [root]
    while unvisited:  # a loop, since a recursion as deep as the graph would overflow the stack
        tensor = unvisited.pop()
        _refuse_stale(tensor)
        for operand, _, pullback in tensor._inputs:
            if pullback is not None and not operand.is_leaf and operand not in found:
                found.add(operand)
                unvisited.append(operand)
    return sorted(found, key=attrgetter("_born"), reverse=True)  # operands are older


def _refuse_stale(tensor: Any) -> None:
    """Raise RuntimeError where the pullbacks of a computed tensor are gone or no longer hold."""
    if not tensor._inputs:
        raise RuntimeError(
            "backward() through a graph that was used already; "
            "compute the loss again, or add the losses and go backward once."
        )
    if tensor._version:
        raise RuntimeError(
            f"backward(): a tensor of shape {tensor.shape} that was computed has been written "
            "to since; compute it again."
        )
    for operand, version, _ in tensor._inputs:
        if operand.is_leaf and operand._version != version:
            if isinstance(operand, Borrowed):
                raise RuntimeError(
                    f"backward(): an array of shape {operand.shape} was written to after it was "
                    "used; go backward before it is filled anew, or pass a copy."
                )
            raise RuntimeError(
                f"backward(): a leaf of shape {operand.shape} was changed after it was used "
                "(step(), loading, assignment, a first parameters()); compute the loss again."
            )
