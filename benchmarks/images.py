"""A convolution forward and backward, and a training step of CIFARNET.

Each contestant, here and in images_peers.py, starts from the same arrays. At a convolution it
yields the sum of one element of the value and of each gradient; at a step, with Adam, the loss,
without dropout, whose masks would differ.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from benchmarks.training import trained

CONVOLUTIONS = {  # side of the image and of the kernel, and channels
    "12x12, 6x6, 64 to 64": (12, 6, 64, 64),
    "24x24, 6x6, 3 to 64": (24, 6, 3, 64),
    "16x16, 3x3, 64 to 64": (16, 3, 64, 64),
    "16x16, 3x3, 128 to 128": (16, 3, 128, 128),
}
BATCH, IMAGES, CLASSES = 128, 1280, 10
CHANNELS, KERNEL, WIDTHS = 64, 6, (384, 192)
NORM = {"size": 9, "alpha": 1e-3, "beta": 0.75, "k": 1.0}
Sizes = tuple[int, int, int, int]


def arrays(sizes: Sizes) -> list[Any]:
    """Images, kernels, biases, and a gradient of the value."""
    side, kernel, c, d = sizes
    rng = np.random.default_rng(0)
    shapes = (BATCH, side, side, c), (kernel, kernel, c, d), (d,), (BATCH, side, side, d)
    x, w, b, g = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
    return [x, w / np.float32(kernel * c**0.5), b, g]


def zeros_around(kernel: int) -> tuple[int, int]:
    """Before and behind an image, for a value of its size."""
    return (kernel - 1) // 2, kernel // 2


def ours(sizes: Sizes) -> Iterator[Any]:
    """The op, through the tape."""
    from minigrad import Tensor, ops

    *given, g = arrays(sizes)
    x, w, b = (Tensor(a, requires_grad=True) for a in given)
    while True:
        x.grad = w.grad = b.grad = None
        y = ops.conv2d(x, w, b, padding="same")
        y.backward(g)
        yield y.data[0, 0, 0, 0] + sum(leaf.grad.flat[0] for leaf in (x, w, b))


def products(sizes: Sizes) -> Iterator[Any]:
    """The three products of matrices alone that patches need: a bound of what copies them."""
    side, kernel, c, d = sizes
    rng = np.random.default_rng(0)
    rows, columns = BATCH * side * side, kernel * kernel * c
    patches, w, g = (
        rng.standard_normal(shape, dtype=np.float32)
        for shape in ((rows, columns), (columns, d), (rows, d))
    )
    while True:
        yield (patches @ w)[0, 0] + (g @ w.T)[0, 0] + (patches.T @ g)[0, 0]


def weights(side: int) -> list[Any]:
    """Weights and biases of CIFARNET, in the order of its layers."""
    kernels = [(KERNEL, KERNEL, 3, CHANNELS), (KERNEL, KERNEL, CHANNELS, CHANNELS)]
    widths = ((side // 4) ** 2 * CHANNELS, *WIDTHS, CLASSES)
    rng, found = np.random.default_rng(0), []
    for shape in (*kernels, *pairwise(widths)):
        scale = np.float32(prod(shape[:-1]) ** -0.5)
        found += [rng.standard_normal(shape, dtype=np.float32) * scale, np.zeros(shape[-1], "f4")]
    return found


def batches(side: int) -> tuple[Any, Any, list[Any]]:
    """Images, labels, and the indices of each batch."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((IMAGES, side, side, 3), dtype=np.float32)
    y = rng.integers(CLASSES, size=IMAGES)
    return x, y, list(rng.permutation(IMAGES).reshape(-1, BATCH))


def cifarnet(side: int, norm: bool = True) -> Iterator[Any]:
    """Through the public API."""
    import models
    from minigrad import LocalResponseNorm

    x, y, order = batches(side)
    model = models.CIFARNET((side, side, 3)).eval()
    if not norm:
        layers = model.features.layers
        model.features.layers = [a for a in layers if not isinstance(a, LocalResponseNorm)]
    yield from trained(model, weights(side), x, y, order)
