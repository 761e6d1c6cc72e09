"""Arrays for the axes of a tensor, which lie end to end in a flat one."""

from itertools import accumulate
from math import prod

from minigrad.backend import xp


def zeros(shapes, p):
    """A flat array of zeros for arrays of these shapes, which are for the axes of p."""
    size = sum(map(prod, shapes))
    try:
        return xp.zeros(size, p.dtype)
    except MemoryError as error:
        raise MemoryError(
            f"the matrices for the axes of {p.shape} take {size * p.dtype.itemsize / 1e9:.3g} GB; "
            f"set largest_axis below {max(p.shape)}, or give the tensor another rule, with "
            "optim.Groups"
        ) from error


def views(flat, shapes):
    """The arrays of these shapes that lie end to end in a flat array, and None where one is."""
    sizes = [0 if shape is None else prod(shape) for shape in shapes]
    ends = accumulate(sizes)
    return [
        None if shape is None else flat[end - size : end].reshape(shape)
        for shape, size, end in zip(shapes, sizes, ends, strict=True)
    ]


def slices(x, axis):
    """The n slices of x across an axis, as the rows of a matrix."""
    return xp.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)


def gram(x, axis):
    """The (n, n) inner products of the n slices of x across an axis."""
    rows = slices(x, axis)
    return rows @ rows.T


def along_axes(x, matrices):
    """x times one (n, n) matrix along each of its axes: for an (m, n) matrix, A.T @ x @ B.

    A vector stands for a diagonal matrix, and None for the identity.
    """
    for a in matrices:
        first, *rest = x.shape
        x = x.reshape(first, -1).T
        if a is not None:
            x = x @ a if a.ndim == 2 else x * a
        x = x.reshape(*rest, first)  # the axes go round once
    return x
