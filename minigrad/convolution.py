"""Windows of images (n, height, width, channels), and two ways to correlate images with kernels."""

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import Array, current, xp
from minigrad.tensor import Pullback


class Axis(NamedTuple):
    """The rows, or the columns, of an image and of a kernel that moves over it."""

    length: int  # of the image
    kernel: int
    stride: int
    before: int  # zeros
    after: int
    positions: int  # of the kernel

    @property
    def padded(self) -> int:
        """The length with the zeros on both sides."""
        return self.before + self.length + self.after

    @property
    def circle(self) -> int:
        """The length of a circle on which the zeros before are also those behind."""
        return self.length + max(self.before, self.after)


Axes = tuple[Axis, Axis]
Way = Callable[[Array, Array, Axes], tuple[Array, Pullback, Pullback]]
SMALL_PRODUCTS = 0.7  # the share of multiplications below which the DFT is faster than patches


def axes_of(image: Any, kernel: Any, stride: Any, padding: Any) -> Axes:
    """The axes of images (n, height, width, c); raises ValueError where a kernel (k, l, ...) does
    not fit, or where a stride or padding is none."""
    made = []
    for i, step in enumerate(pair(stride, "stride", 1)):
        length, size = image[1 + i], kernel[i]
        match padding:
            case "valid":
                before = after = 0
            case "same":
                both = max(0, (-(-length // step) - 1) * step + size - length)
                before, after = both // 2, both - both // 2
            case ((_, _), (_, _)):
                before, after = pair(padding[i], "padding", 0)
            case _:
                before = after = pair(padding, "padding", 0)[i]
        if not 0 < size <= before + length + after:
            raise ValueError(
                f"windows of {tuple(kernel[:2])} do not fit into images of {tuple(image[1:3])} "
                f"with padding={padding!r}; make them smaller, or give larger images."
            )
        positions = (before + length + after - size) // step + 1
        made.append(Axis(length, size, step, before, after, positions))
    return made[0], made[1]


def pair(value: Any, name: str, least: int) -> tuple[int, int]:
    """An integer for both axes, or one for each; raises ValueError for anything else."""
    both = value if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2 or not all(isinstance(n, (int, np.integer)) and n >= least for n in both):
        words = ', or "same" or "valid"' if name == "padding" else ""
        raise ValueError(
            f"{name}={value!r}: give an integer from {least} on, or one for each axis{words}."
        )
    return both[0], both[1]


def places(axes: Axes) -> list[tuple[slice, slice, slice]]:
    """For each place in a window an index, which takes what all windows have there."""

    def along(axis: Axis) -> list[slice]:
        reach = axis.stride * (axis.positions - 1) + 1
        return [slice(i, i + reach, axis.stride) for i in range(axis.kernel)]

    rows, columns = axes
    return [(slice(None), i, j) for i in along(rows) for j in along(columns)]


def chunked(n: int, bytes_of_each: int) -> list[slice]:
    """n images in chunks that fit the cache; on a device in one."""
    limit = current().block_bytes
    some = max(1, limit // max(1, bytes_of_each)) if limit else max(1, n)
    return [slice(i, i + some) for i in range(0, n, some)]


def cheapest(axes: Axes, n: int, c: int, d: int) -> Way:
    """The way with fewer multiplications, those of the DFT being slower, in smaller products."""
    counts = multiplications(axes, n, c, d)
    return by_dft if counts[by_dft] < SMALL_PRODUCTS * counts[by_patches] else by_patches


def multiplications(axes: Axes, n: int, c: int, d: int) -> dict[Way, int]:
    """How many each way takes, for n images of c channels and kernels to d channels.

    Patches: c d at each position for each place of the kernel. DFT: of H W real numbers on circles
    of these lengths H W / 2 complex frequencies matter, to which h x w numbers get by H h w along
    columns and H W 2 w along rows of (Re, Im). So do n c channels of images and c d of kernels,
    and n d channels back; a complex product of c by d channels at each frequency takes 4 c d.
    """
    rows, columns = axes
    high, wide = rows.circle, columns.circle

    def dft(h: int, w: int) -> int:
        return high * h * w + high * wide * 2 * w

    images, kernels = dft(rows.length, columns.length), dft(rows.kernel, columns.kernel)
    values = dft(rows.positions, columns.positions)
    taps = rows.kernel * columns.kernel * rows.positions * columns.positions
    return {
        by_patches: n * taps * c * d,
        by_dft: n * (c * images + d * values + high * wide * 2 * c * d) + c * d * kernels,
    }


def by_dft(x: Array, w: Array, axes: Axes) -> tuple[Array, Pullback, Pullback]:
    """On a circle where a kernel that leaves the image meets enough zeros before it comes back, a
    correlation is at each frequency the product of the DFT of x and the conjugate DFT of w. Stride
    and padding only say at which places the DFTs are taken. Pullbacks are adjoints.
    """
    (rows, columns), (c, d) = axes, w.shape[2:]
    at_x = _dft(*((a.circle, a.length, a.before, 1) for a in axes), False, x.dtype.str)
    at_w = _dft(*((a.circle, a.kernel, 0, -1) for a in axes), False, x.dtype.str)
    at_y = _dft(*((a.circle, a.positions, 0, a.stride) for a in axes), True, x.dtype.str)
    fx = _spectrum(x, at_x)
    # a complex factor u + iv as the real matrix that takes (Re, Im) to (Re, Im)
    kernels = w.reshape(1, rows.kernel, columns.kernel, c * d)
    u, v = _spectrum(kernels, at_w).reshape(-1, 2, c, d).swapaxes(0, 1)
    fw = xp.empty((len(u), 2, c, 2, d), w.dtype)
    fw[:, 0, :, 0] = fw[:, 1, :, 1] = u
    fw[:, 0, :, 1] = v
    fw[:, 1, :, 0] = -v
    fw = fw.reshape(-1, 2 * c, 2 * d)

    seen: list[Array] = []  # a gradient and its spectrum, which both pullbacks use

    def spectrum(g: Array) -> Array:
        if not seen or seen[0] is not g:
            seen[:] = g, _spectrum(g, at_y)
        return seen[1]

    def dx(g: Array) -> Array:
        return _image(_each(spectrum(g), fw.swapaxes(1, 2)), at_x, c)

    def dw(g: Array) -> Array:
        f = (fx.transpose(1, 2, 0) @ spectrum(g).swapaxes(0, 1)).reshape(-1, 2, c, 2, d)
        f = xp.stack([f[:, 0, :, 0] + f[:, 1, :, 1], f[:, 0, :, 1] - f[:, 1, :, 0]], 1)
        return _image(f.reshape(1, -1, 2 * c * d), at_w, c * d).reshape(w.shape)

    return _image(_each(fx, fw), at_y, d), dx, dw


def _each(f: Array, matrices: Array) -> Array:
    """Spectra (n, frequencies, channels) times the matrix of each frequency."""
    product = xp.empty((*f.shape[:2], matrices.shape[2]), f.dtype)
    xp.matmul(f.swapaxes(0, 1), matrices, out=product.swapaxes(0, 1))
    return product


def _spectrum(x: Array, dft: tuple[Array, Array]) -> Array:
    """Images (n, h, w, c) as (n, frequencies, 2 c): the real parts, then the imaginary ones."""
    first, second = dft
    n, h, w, c = x.shape
    f = (first @ x.reshape(n, h, w * c)).reshape(n, len(first) // 2, 2 * w, c)
    return (second @ f).reshape(n, -1, 2 * c)


def _image(f: Array, dft: tuple[Array, Array], c: int) -> Array:
    """The adjoint of `_spectrum`, for c channels."""
    first, second = dft
    n, h, w = len(f), first.shape[1], second.shape[1] // 2
    x = (second.T @ f.reshape(n, len(first) // 2, len(second), c)).reshape(n, len(first), w * c)
    return (first.T @ x).reshape(n, h, w, c)


def by_patches(x: Array, w: Array, axes: Axes) -> tuple[Array, Pullback, Pullback]:
    """Every window of an image a row, times the kernels; rows are made anew in each pullback, for
    so many images at a time that they fit the cache."""
    (n, _, _, c), d, (rows, columns) = x.shape, w.shape[3], axes
    inside = (
        slice(None),
        slice(rows.before, rows.before + rows.length),
        slice(columns.before, columns.before + columns.length),
    )
    padded = xp.zeros((n, rows.padded, columns.padded, c), x.dtype)
    padded[inside] = x
    kernels, windows = w.reshape(-1, d), _windows(padded, axes)
    chunks = chunked(n, prod(windows.shape[1:]) * x.itemsize)
    # windows so far apart on a row have nothing in common
    apart = -(-columns.kernel // columns.stride)

    def patches(chunk: slice) -> Array:
        return windows[chunk].reshape(-1, len(kernels))

    def dx(g: Array) -> Array:
        total = xp.zeros_like(padded)
        sums = _windows(total, axes)
        for chunk in chunks:
            parts = (g[chunk].reshape(-1, d) @ kernels.T).reshape(sums[chunk].shape)
            for row in range(rows.kernel):
                for first in range(min(apart, columns.positions)):
                    into = sums[chunk, :, first::apart, row]
                    into += parts[:, :, first::apart, row]
        return total[inside]

    def dw(g: Array) -> Array:
        total = xp.zeros_like(kernels)
        for chunk in chunks:
            total += patches(chunk).T @ g[chunk].reshape(-1, d)
        return total.reshape(w.shape)

    y = xp.empty((*windows.shape[:3], d), x.dtype)
    for chunk in chunks:
        xp.matmul(patches(chunk), kernels, out=y[chunk].reshape(-1, d))
    return y, dx, dw


def _windows(padded: Array, axes: Axes) -> Array:
    """A view of all windows of images with their zeros: (n, positions on both axes, rows of a
    window, columns of a window times channels)."""
    (n, _, _, c), (rows, columns) = padded.shape, axes
    image, row, column, number = padded.strides
    shape = n, rows.positions, columns.positions, rows.kernel, columns.kernel * c
    strides = image, rows.stride * row, columns.stride * column, row, number
    return xp.lib.stride_tricks.as_strided(padded, shape, strides)


def constant(make: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """A function that gives what `make` gives, where the backend in force has its arrays; it is
    made and moved once."""

    @lru_cache(64)
    def kept(backend: str, *arguments: Any) -> tuple[Any, ...]:
        return tuple(map(xp.asarray, make(*arguments)))

    return lambda *arguments: kept(current().name, *arguments)


@constant
def _dft(rows: Any, columns: Any, inverse: bool, dtype: str) -> Any:
    """The DFT of real numbers at places of a circle, as two real matrices, or the adjoint of its
    inverse.

    Each of `rows` and `columns` is the length of the circle, how many places, the first, and the
    distance to the next. The first matrix turns rows to (Re, Im) of the frequencies that are not
    conjugates of others, the second columns of (Re, Im) to (Re, Im) of all frequencies.
    """
    (r, h, i, s), (c, w, j, t) = rows, columns
    half = np.arange(r // 2 + 1)
    a = np.exp(-2j * np.pi / r * np.outer(half, i + s * np.arange(h)))
    b = np.exp(-2j * np.pi / c * np.outer(np.arange(c), j + t * np.arange(w)))
    if inverse:
        a *= np.where((half == 0) | (2 * half == r), 1, 2)[:, None] / (r * c)
    first = np.stack([a.real, a.imag], 1).reshape(-1, h)
    second = np.block([[b.real, -b.imag], [b.imag, b.real]])
    second = second.reshape(2, c, 2 * w).swapaxes(0, 1).reshape(-1, 2 * w)
    return first.astype(dtype), second.astype(dtype)
