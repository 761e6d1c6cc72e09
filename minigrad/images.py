"""Ops on batches of images (n, height, width, channels), and dropout.

As in minigrad/ops.py, an op is one function that gives its value and its pullbacks, x is an operand
and g the gradient of the value.
"""

from math import prod

import numpy as np

from minigrad.backend import xp
from minigrad.convolution import axes_of, cheapest, chunked, constant, pair, places
from minigrad.tape import op


@op
def conv2d(x, w, b=None, stride=1, padding=0):
    """Images x (n, height, width, c) correlated with kernels w (k, l, c, d), plus biases b (d,).

    `stride` is a number or one for each axis; `padding`, the zeros around an image, is a number,
    one for each axis, a pair (before, after) for each axis, "valid" for none, or "same" for
    ceil(length / stride) positions on each axis, with the odd zero behind. Errors of rounding are
    relative to the largest values of an image, over which NaN and infinity spread.
    """
    if x.ndim != 4 or w.ndim != 4 or x.shape[3] != w.shape[2]:
        raise ValueError("x and w must be (n, height, width, c) and (k, l, c, d).")
    if b is not None and b.shape != w.shape[3:]:
        raise ValueError(f"b {b.shape} must have one number for each of {w.shape[3]} channels.")
    dtype = w.dtype if x.dtype.kind in "biu" else np.result_type(x.dtype, w.dtype)
    x, w = x.astype(dtype, copy=False), w.astype(dtype, copy=False)
    axes = axes_of(x.shape, w.shape, stride, padding)
    y, dx, dw = cheapest(axes, len(x), *w.shape[2:])(x, w, axes)
    if b is not None:
        y += b
    return y, dx, dw, lambda g, *, out=None: g.sum(axis=0).sum(axis=(0, 1), out=out)


@op
def max_pool2d(x, size=2, stride=None):
    """The largest of each window of an image; ties share the gradient equally.

    `size` and `stride`, which is `size` where it is not given, are numbers or one for each axis.
    """
    parts = _places(x, size, stride)
    y = xp.maximum(x[parts[0]], x[parts[-1]])
    for part in parts[1:-1]:
        xp.maximum(y, x[part], out=y)

    def pullback(g):
        dx = xp.zeros(x.shape, g.dtype)
        for chunk in chunked(len(x), prod(x.shape[1:]) * x.itemsize):
            hits = [(x[chunk][part] == y[chunk]).astype(g.dtype) for part in parts]
            shares = g[chunk] / sum(hits[1:], hits[0])
            for part, hit in zip(parts, hits, strict=True):
                hit *= shares
                into = dx[chunk][part]  # a view: dx[chunk][part] += would copy what it has added
                into += hit
        return dx

    return y, pullback


@op
def avg_pool2d(x, size=2, stride=None):
    """The mean of each window of an image; `size` and `stride` are as in `max_pool2d`."""
    parts = _places(x, size, stride)

    def pullback(g):
        g = g / len(parts)
        dx = xp.zeros(x.shape, g.dtype)
        for part in parts:
            into = dx[part]
            into += g
        return dx

    return sum(x[part] for part in parts) / len(parts), pullback


@op
def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    """x / (k + alpha m)^beta, where m is the mean of x^2 over the `size` channels around each one,
    with zeros beyond the first and the last. Krizhevsky et al. 2012, as in PyTorch.
    """
    if size < 1:
        raise ValueError(f"size={size}: give a number of channels, at least 1.")
    (near,) = _near(x.shape[-1], size, x.dtype.str)
    alpha = alpha / size
    s = _by_rows(x * x, near)
    s *= alpha
    s += k
    # two roots are faster than a power
    scale = 1 / (xp.sqrt(s) * xp.sqrt(xp.sqrt(s))) if beta == 0.75 else s**-beta
    y = x * scale

    def pullback(g):
        dx = _by_rows(g * y / s, near.T)
        dx *= x
        dx *= -2 * alpha * beta
        dx += g * scale
        return dx

    return y, pullback


@op
def dropout(x, p, key, first=0):
    """x with each element set to 0 with probability p, and else divided by 1 - p.

    `key` is a pair of integers in 0..2^32 - 1, of which, with the shape, the mask is a function:
    give each call another one. Of a part of an array, whose first element is number `first` of the
    whole, the mask is that part of the whole's. Srivastava et al. 2014.
    """
    check_dropped(p)
    factor = (_hashes(x.size, key, first) >= int(p * 2**32)).astype(x.dtype).reshape(x.shape)
    factor *= 1 / (1 - p)
    return x * factor, lambda g: g * factor


# What several ops share


def check_dropped(p: float) -> None:
    """Raise ValueError where p is no probability of dropping an element."""
    if not 0 <= p < 1:
        raise ValueError(f"p={p} is no probability of dropping below 1; give 0 to keep all.")


def _by_rows(x, matrix):
    """x @ matrix as one product."""
    return (x.reshape(-1, len(matrix)) @ matrix).reshape(x.shape)


def _places(x, size, stride):
    """What `places` gives for windows of that size, which are as far apart as they are wide where
    there is no stride."""
    if x.ndim != 4:
        raise ValueError("x must be (n, height, width, channels).")
    size = pair(size, "size", 1)
    return places(axes_of(x.shape, size, size if stride is None else stride, 0))


@constant
def _near(channels, size, dtype):
    """1 in row i and column j where channel i is one of the `size` channels around channel j."""
    i, j = np.indices((channels, channels))
    return (((-(size // 2) <= i - j) & (i - j <= (size - 1) // 2)).astype(dtype),)


def _hashes(size, key, first):
    """`size` integers in 0..2^32 - 1, of which each is a hash of the key and of its index, which
    is `first` and those that follow.

    The index is mixed before the halves of the key are added, each in turn, so that those of
    another key are not the same ones moved.
    """
    h = _mixed(xp.arange(first, first + size, dtype="uint32"))
    for half in key:
        h += half
        h = _mixed(h)
    return h


def _mixed(h):
    """A bijection of 32 bits in which each bit of h turns every other with probability 1/2: the
    `lowbias32` of C. Wellons."""
    h ^= h >> 16
    h *= 0x7FEB352D
    h ^= h >> 15
    h *= 0x846CA68B
    h ^= h >> 16
    return h
