"""Every primitive: its value and its pullbacks, returned by one function.

x, y are operands, g is the gradient of the value. At a kink the gradient is the one that the
docstring states. Masks are factors, since `where` is slow: where one is 0, an infinite g gives NaN.
To add an op, write one function here, its rows in test_ops.py, and a record of it by
tests/record/ops.py.
"""

import builtins
import math
from itertools import accumulate, pairwise
from math import inf
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from minigrad.backend import current, xp
from minigrad.convert import plain
from minigrad.images import avg_pool2d as avg_pool2d
from minigrad.images import conv2d as conv2d
from minigrad.images import dropout as dropout
from minigrad.images import local_response_norm as local_response_norm
from minigrad.images import max_pool2d as max_pool2d
from minigrad.tape import OPS, op
from minigrad.tensor import Tensor

# Decorates ops in which exponentials, or squares, are added to what is larger
small_is_0 = np.errstate(under="ignore")

# Elementwise: arithmetic


@op
def add(x, y):
    return x + y, lambda g: g, lambda g: g


@op
def sub(x, y):
    return x - y, lambda g: g, lambda g: -g


@op
def mul(x, y):
    return x * y, lambda g: g * y, lambda g: g * x


@op
def div(x, y):
    z = x / y
    return z, lambda g: g / y, lambda g: -g * z / y


@op
def neg(x):
    return -x, lambda g: -g


@op
def pow(x, y):
    """x ** y. At x = 0 the gradient in y is 0, and -inf where y is negative."""
    z = x**y
    return (
        z,
        lambda g: g * y * x ** (y - 1 + (y == 0)),
        lambda g: g * z * xp.log(x + ((x == 0) & (y >= 0))),
    )


# Elementwise: functions


@op
def exp(x):
    y = xp.exp(x)
    return y, lambda g: g * y


@op
def log(x):
    return xp.log(x), lambda g: g / x


@op
def sqrt(x):
    y = xp.sqrt(x)
    return y, lambda g: g / (2 * y)


@op
def abs(x):
    """|x|, with gradient 0 at 0."""
    return xp.abs(x), lambda g: g * xp.sign(x)


@op
def sin(x):
    return xp.sin(x), lambda g: g * xp.cos(x)


@op
def cos(x):
    return xp.cos(x), lambda g: -g * xp.sin(x)


@op
def tanh(x):
    y = xp.tanh(x)
    return y, lambda g: g * (1 - y * y)


@op
@small_is_0
def sigmoid(x):
    """1 / (1 + exp(-x)), accurate in both tails."""
    y = _sigmoid(x)
    return y, lambda g: g * y * (1 - y)


@op
def relu(x):
    """max(x, 0), with gradient 0 at 0."""
    return xp.maximum(x, 0), lambda g: g * (x > 0).astype(g.dtype)  # faster than g * bool


@op
@small_is_0
def softplus(x):
    """log(1 + exp(x)), without overflow."""
    y = xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))
    return y, lambda g: g * _sigmoid(x)


@op
def log1p(x):
    """log(1 + x), accurate near 0."""
    return xp.log1p(x), lambda g: g / (1 + x)


@op
def expm1(x):
    """exp(x) - 1, accurate near 0."""
    y = xp.expm1(x)
    return y, lambda g: g * (y + 1)


@op
@small_is_0
def silu(x):
    """x sigmoid(x), also called swish."""
    s = _sigmoid(x)
    return x * s, lambda g: g * s * (1 + x * (1 - s))


@op
@small_is_0
def gelu(x):
    """x times the normal distribution function of x, by its approximation with tanh (Hendrycks and
    Gimpel 2016), which is within 5e-4 of it."""
    c = (2 / math.pi) ** 0.5
    z = xp.clip(x, -10, 10)  # where tanh is 1 already, and the cube does not overflow
    t = xp.tanh(c * (z + 0.044715 * z**3))
    return (
        0.5 * x * (1 + t),
        lambda g: g * (0.5 * (1 + t) + 0.5 * c * x * (1 - t * t) * (1 + 0.134145 * z * z)),
    )


@op
@small_is_0
def elu(x, alpha=1.0):
    """x where it is positive, else alpha (exp(x) - 1); at 0 the gradient is alpha."""
    y = xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))
    return y, lambda g: g * xp.where(x > 0, 1, y + alpha)


@op
def leaky_relu(x, slope=0.01):
    """x where it is positive, else slope x; at 0 the gradient is the slope."""
    return xp.where(x > 0, x, slope * x), lambda g: xp.where(x > 0, g, slope * g)


@op
def maximum(x, y):
    """The larger of x and y; ties share the gradient equally."""
    return (
        xp.maximum(x, y),
        lambda g: g * (x > y) + g / 2 * (x == y),
        lambda g: g * (y > x) + g / 2 * (x == y),
    )


@op
def minimum(x, y):
    """The smaller of x and y; ties share the gradient equally."""
    return (
        xp.minimum(x, y),
        lambda g: g * (x < y) + g / 2 * (x == y),
        lambda g: g * (y < x) + g / 2 * (x == y),
    )


@op
def where(condition, x, y):
    """x where the condition holds, else y. The one that is not taken gets the gradient 0, which an
    infinite derivative in its own computation turns into NaN; a second `where` prevents that, as
    in where(x > 0, sqrt(where(x > 0, x, 1)), 0)."""
    if not hasattr(x, "dtype") and not hasattr(y, "dtype"):
        x = xp.asarray(x, "float32")
    if not hasattr(condition, "dtype"):
        condition = xp.asarray(condition)
    return (
        xp.where(condition, x, y),
        None,
        lambda g: xp.where(condition, g, 0),
        lambda g: xp.where(condition, 0, g),
    )


@op
def clip(x, lo, hi):
    """x kept within the numbers or arrays lo and hi; None is no bound. At a bound the gradient in
    x is 1."""
    lo = -inf if lo is None else lo
    hi = inf if hi is None else hi
    return (
        xp.clip(x, lo, hi),
        lambda g: g * ((x >= lo) & (x <= hi)),
        lambda g: g * ((x < lo) & (lo <= hi)),
        lambda g: g * (xp.maximum(x, lo) > hi),
    )


# Reductions: axis is None for all, an integer or a tuple


@op
def sum(x, axis=None, keepdims=False):
    return (
        x.sum(axis=axis, keepdims=keepdims),
        lambda g: xp.broadcast_to(_restored(g, axis, keepdims or not x.ndim), x.shape),
    )


@op
def mean(x, axis=None, keepdims=False):
    n = _count(x, axis)
    if not n:
        raise ValueError("there is no element to take the mean of; give some.")
    return (
        x.mean(axis=axis, keepdims=keepdims),
        lambda g: xp.broadcast_to(_restored(g / n, axis, keepdims), x.shape),
    )


@op
@small_is_0
def var(x, axis=None, keepdims=False, ddof=0):
    """The variance: the sum of squared deviations over n - ddof, which must be positive."""
    n = _degrees_of_freedom(x, axis, ddof)
    d = _deviations(x, axis)
    return (
        (d * d).sum(axis=axis, keepdims=keepdims) / n,
        lambda g: d * _restored(g * (2 / n), axis, keepdims),
    )


@op
@small_is_0
def std(x, axis=None, keepdims=False, ddof=0):
    """The root of the variance, with gradient 0 where x is constant."""
    n = _degrees_of_freedom(x, axis, ddof)
    d = _deviations(x, axis)
    y = _length(d, axis) / n**0.5
    return _reduced(y, axis, keepdims), lambda g: d * _over(_restored(g / n, axis, keepdims), y)


@op
@small_is_0
def norm(x, axis=None, keepdims=False):
    """The Euclidean norm along the axes, the root of the sum of squares, with gradient 0 at 0."""
    y = _length(x, axis)
    return _reduced(y, axis, keepdims), lambda g: x * _over(_restored(g, axis, keepdims), y)


@op
def prod(x, axis=None, keepdims=False):
    """The product. Where an element is 0, its gradient is the product of the others."""

    def pullback(g):
        zero = x == 0
        others = xp.where(zero, 1, x)
        one_is_0 = zero.sum(axis=axis, keepdims=True) - zero == 0  # of the others none is
        whole = others.prod(axis=axis, keepdims=True)
        return _restored(g, axis, keepdims) * (whole / others) * one_is_0

    return x.prod(axis=axis, keepdims=keepdims), pullback


@op
def cumsum(x, axis=None):
    """The sums of the elements up to each along the axis, or of x as one row."""
    return (
        x.cumsum(axis=axis),
        lambda g: xp.flip(xp.flip(g, axis).cumsum(axis=axis), axis).reshape(x.shape),
    )


@op
def max(x, axis=None, keepdims=False):
    """The largest elements; ties share the gradient equally."""
    return _extreme(x, x.max(axis=axis, keepdims=True), axis, keepdims)


@op
def min(x, axis=None, keepdims=False):
    """The smallest elements; ties share the gradient equally."""
    return _extreme(x, x.min(axis=axis, keepdims=True), axis, keepdims)


@op
@small_is_0
def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x))), without overflow. Elements of infinity share the gradient equally; where
    all are -inf, so is the value, and the gradient is 0."""
    z, peak = _below_peak(x, axis)
    e = xp.exp(z)
    total = e.sum(axis=axis, keepdims=True)
    y = peak + xp.log(total)
    return (
        _reduced(y, axis, keepdims),
        lambda g: e * (_restored(g, axis, keepdims) * (peak > -inf) / total),
    )


@op
@small_is_0
def log_softmax(x, axis=-1):
    """x - logsumexp(x): the logarithms of probabilities that sum to 1 along the axis."""
    z = x - x.max(axis=axis, keepdims=True)  # first: the log would be rounded off beside a large x
    e = xp.exp(z)
    total = e.sum(axis=axis, keepdims=True)
    return z - xp.log(total), lambda g: g - e * (g.sum(axis=axis, keepdims=True) / total)


@op
@small_is_0
def softmax(x, axis=-1):
    """exp(x) over its sum along the axis: probabilities."""
    e = xp.exp(x - x.max(axis=axis, keepdims=True))
    y = e / e.sum(axis=axis, keepdims=True)
    return y, lambda g: y * (g - (g * y).sum(axis=axis, keepdims=True))


# Shape


@op
def reshape(x, *shape):
    """x in another shape, given as integers or as one tuple."""
    return x.reshape(*shape), lambda g: g.reshape(x.shape)


@op
def transpose(x, *axes):
    """x with its axes reversed, or in the order given as integers or as one tuple."""
    y = x.transpose(*axes)
    if not axes or axes[0] is None:
        return y, lambda g: g.T
    order = axes[0] if isinstance(axes[0], (tuple, list)) else axes
    back = sorted(range(x.ndim), key=lambda i: order[i] % x.ndim)
    return y, lambda g: g.transpose(back)


@op
def flatten(x, start=0):
    """x with its axes from `start` on as one: 1 in a network, whose first axis is the batch."""
    start = normalize_axis_index(start, x.ndim) if start else 0
    shape = *x.shape[:start], math.prod(x.shape[start:])
    return x.reshape(shape), lambda g: g.reshape(x.shape)


@op
def squeeze(x, axis=None):
    """x without its axes of length 1, or without those given."""
    y = x.squeeze(axis)[...]  # a view also where NumPy gives x itself, so that it is seen as one
    return y, lambda g: g.reshape(x.shape)


@op
def expand_dims(x, axis):
    """x with further axes of length 1, which stand at those places in the result."""
    return xp.expand_dims(x, axis), lambda g: g.reshape(x.shape)


@op
def swapaxes(x, axis1, axis2):
    return x.swapaxes(axis1, axis2), lambda g: g.swapaxes(axis1, axis2)


@op
def moveaxis(x, source, destination):
    return xp.moveaxis(x, source, destination), lambda g: xp.moveaxis(g, destination, source)


@op
def astype(x, dtype):
    """x in another dtype; its gradient is in its own."""
    return x.astype(dtype), lambda g: g


@op
def pad(x, width, value=0.0):
    """x between elements of one value: `width` on every side, or (before, after) of every axis, or
    a pair for each."""
    pairs = np.broadcast_to(width, (x.ndim, 2)).tolist()
    inside = tuple(slice(a, a + n) for (a, _), n in zip(pairs, x.shape, strict=True))
    return xp.pad(x, pairs, constant_values=value), lambda g: g[inside]


@op
def broadcast_to(x, shape):
    return xp.broadcast_to(x, shape), lambda g: g


@op
def getitem(x, index):
    """x[index] for integers, slices, index arrays (repeats add up) and masks."""
    index = _without_lists(index)
    return x[index], lambda g: _scattered(g, index, x.shape)


@op
def embedding(weight, index):
    """Rows of the weights (n, d) by integers of any shape, of which none is below 0."""
    index = xp.asarray(_without_lists(index))
    if index.dtype.kind not in "iu":
        raise ValueError(f"an index of dtype {index.dtype}; give integers.")
    if current().on_host and index.size and not 0 <= index.min() <= index.max() < len(weight):
        raise ValueError(
            f"indices from {index.min()} to {index.max()}; give some in 0..{len(weight) - 1}."
        )
    return weight[index], lambda g: _scattered(g, index, weight.shape)


@op
def concatenate(tensors, axis=0):
    """Tensors joined along an axis."""
    if axis is None:
        raise ValueError("axis=None: give the axis along which to join.")
    joined = xp.concatenate(tensors, axis)
    before = (slice(None),) * (axis % joined.ndim)
    edges = pairwise(accumulate((t.shape[axis] for t in tensors), initial=0))
    return joined, *(lambda g, part=(*before, slice(*edge)): g[part] for edge in edges)


@op
def stack(tensors, axis=0):
    """Tensors of one shape joined along a new axis."""
    dtype = next((t.dtype for t in tensors if hasattr(t, "dtype")), "float32")
    joined = xp.stack([t if hasattr(t, "dtype") else xp.asarray(t, dtype) for t in tensors], axis)
    return joined, *(lambda g, i=i: xp.moveaxis(g, axis, 0)[i] for i in range(len(tensors)))


# Linear maps and losses


@op
def matmul(x, y):
    """x @ y, for vectors, matrices and stacks of matrices."""
    if isinstance(x, (int, float)) or isinstance(y, (int, float)):
        raise ValueError("a number is no matrix; multiply by it with *.")
    rows = x[None, :] if x.ndim == 1 else x
    columns = y[:, None] if y.ndim == 1 else y

    def full(g):
        g = g[..., None] if y.ndim == 1 else g
        return g[..., None, :] if x.ndim == 1 else g

    def dy(g):
        product = rows.swapaxes(-1, -2) @ full(g)
        return product[..., 0] if y.ndim == 1 else product

    return x @ y, lambda g: full(g) @ columns.swapaxes(-1, -2), dy


@op
def einsum(subscripts, x, y):
    """The sum of products that subscripts such as "ij,jk->ik" say, of two operands: no letter twice
    in one of them, and no ellipsis."""
    (xs, ys), out = _subscripts(subscripts)

    def pullback(g, mine, x, theirs, y):
        kept = "".join(i for i in mine if i in out + theirs)  # g is the same along the others
        dx = xp.einsum(f"{out},{theirs}->{kept}", g, y)
        shape = [n if i in kept else 1 for i, n in zip(mine, x.shape, strict=True)]
        return xp.broadcast_to(dx.reshape(shape), x.shape)

    return (
        xp.einsum(f"{xs},{ys}->{out}", x, y),
        None,
        lambda g: pullback(g, xs, x, ys, y),
        lambda g: pullback(g, ys, y, xs, x),
    )


@op
def linear(x, w, b):
    """x W + b for a batch x (n, in), weights (in, out) and biases (out,)."""
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[0] or b.shape != w.shape[1:]:
        raise ValueError(
            "x, w and b must be (n, in), (in, out) and (out,): give x one row per example."
        )
    if x.dtype.kind in "biu":  # pixels, say
        x = x.astype(w.dtype)
    y = x @ w
    y += b
    return (
        y,
        lambda g: g @ w.T,
        lambda g, *, out=None: xp.matmul(x.T, g, out=out),
        lambda g, *, out=None: g.sum(axis=0, out=out),
    )


@op
@small_is_0
def layer_norm(x, weight, bias, eps=1e-5):
    """Each row of the last axis with mean 0 and variance 1, eps aside, times the weight, plus the
    bias. Ba, Kiros and Hinton 2016."""
    return _normalized(x, x.ndim - 1, weight, bias, eps)


@op
@small_is_0
def batch_norm(x, weight, bias, eps=1e-5):
    """Each feature, along the last axis, with mean 0 and variance 1 over the batch, eps aside,
    times the weight, plus the bias. Ioffe and Szegedy 2015, for training."""
    axes = tuple(range(x.ndim - 1))
    if _count(x, axes) < 2:
        raise ValueError("one example has no variance; give a batch of two or more.")
    return _normalized(x, axes, weight, bias, eps)


@op
@small_is_0
def softmax_cross_entropy(logits, labels, smoothing=0.0, ignored=None, weights=None):
    """The mean over a batch of -log softmax(logits)[label]; logits (n, classes), labels (n,).

    `smoothing` is the part of a target that all classes share equally. Examples whose label is
    `ignored` do not count. `weights` (classes,) multiply the terms of each class, and the mean is
    over the weights of the labels. All three are as PyTorch's.

    Raises ValueError for labels out of range. On a device the loss is NaN instead, since a look at
    the labels would wait for the device.
    """
    if smoothing or ignored is not None or weights is not None:
        return _weighted_cross_entropy(logits, labels, smoothing, ignored, weights)
    at, outside = _label_positions(labels, logits)
    n = len(logits)
    z = logits.T.copy()  # a row per class: few long rows are reduced faster than many short ones
    z -= z.max(axis=0)
    z_label = z.take(at)
    e = xp.exp(z, out=z)
    total = e.sum(axis=0)
    losses = xp.log(total) - z_label
    if outside is not None:
        losses = xp.where(outside, xp.nan, losses)

    def pullback(g):
        dz = e / total
        dz.reshape(-1)[at] -= 1
        dz *= g / n
        return dz.T

    return losses.sum() / n, pullback


@op
@small_is_0
def mse(x, y):
    """The mean of (x - y)^2 over all elements; the shapes must agree."""
    if xp.shape(x) != xp.shape(y):
        raise ValueError(
            f"x {xp.shape(x)} and y {xp.shape(y)} must have one shape: reshape one of them."
        )
    d = x - y
    if not d.size:
        raise ValueError("x and y are empty; give some elements.")
    return (d * d).mean(), lambda g: g * (2 / d.size) * d, lambda g: g * (-2 / d.size) * d


# What several ops share


def _sigmoid(x: Any) -> Any:
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, e) / (1 + e)


def _below_peak(x: Any, axis: Any) -> Any:
    """x less its largest element along the axes, which leaves 0 there though it be infinite; and
    that element. Both keep the axes."""
    peak = x.max(axis=axis, keepdims=True)
    return xp.where(x == peak, 0, x - xp.nan_to_num(peak)), peak


def _length(x: Any, axis: Any) -> Any:
    """The Euclidean norm along the axes, which stay with length 1."""
    return xp.sqrt((x * x).sum(axis=axis, keepdims=True))


def _over(g: Any, y: Any) -> Any:
    """g / y, where y is 0 only if what it is multiplied by is as well."""
    return g / (y + (y == 0))


def _deviations(x: Any, axis: Any) -> Any:
    """x less its mean along the axes: exactly 0 where x is constant, since one element is
    subtracted first."""
    axes = _axes(x, axis)
    d = x - x[tuple(slice(1) if i in axes else slice(None) for i in range(x.ndim))]
    return d - d.mean(axis=axis, keepdims=True)


def _normalized(x: Any, axes: Any, weight: Any, bias: Any, eps: float) -> Any:
    """The value and the pullbacks of layer_norm and batch_norm, which differ in the axes."""
    d = _deviations(x, axes)
    scale = 1 / xp.sqrt((d * d).mean(axis=axes, keepdims=True) + eps)
    z = d * scale

    def dx(g):
        h = g * weight
        h_z = (h * z).mean(axis=axes, keepdims=True)
        return scale * (h - h.mean(axis=axes, keepdims=True) - z * h_z)

    return z * weight + bias, dx, lambda g: g * z, lambda g: g


def _subscripts(text: str) -> Any:
    """Those of two operands, and those of the result: where not given, letters that occur once, in
    the order of the alphabet."""
    given, arrow, out = text.replace(" ", "").partition("->")
    operands = given.split(",")
    if len(operands) != 2 or "." in text or builtins.any(len({*o}) < len(o) for o in operands):
        raise ValueError(f"subscripts {text!r}: give two operands, with no letter twice in one.")
    if not arrow:
        out = "".join(sorted(i for i in {*given} - {","} if given.count(i) == 1))
    return operands, out


def _weighted_cross_entropy(
    logits: Any, labels: Any, smoothing: float, ignored: int | None, weights: Any
) -> Any:
    """The value and the pullback of softmax_cross_entropy with a target for every class."""
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing={smoothing} is no part of 1; give one from 0 to 1.")
    labels = xp.asarray(labels)
    counts = xp.ones(labels.shape, bool) if ignored is None else labels != ignored
    at, outside = _label_positions(xp.where(counts, labels, 0), logits)
    n, classes = logits.shape
    of_class = xp.ones(classes) if weights is None else xp.asarray(weights)
    if of_class.shape != (classes,):
        raise ValueError(f"weights of shape {of_class.shape}; give one for each of the {classes}.")
    of_class = of_class.astype(logits.dtype)[:, None]

    target = xp.zeros((classes, n), logits.dtype)
    target.reshape(-1)[at] = 1
    counts = counts.astype(logits.dtype)
    target *= counts
    whole = (of_class * target).sum()
    if current().on_host and not whole:
        raise ValueError("no label counts: all are ignored, or of a class of weight 0.")
    target = of_class * ((1 - smoothing) * target + smoothing / classes * counts) / whole

    z = logits.T - logits.max(axis=1)
    e = xp.exp(z)
    total = e.sum(axis=0)
    losses = target * xp.where(target == 0, 0, xp.log(total) - z)
    if outside is not None:
        losses = xp.where(outside, xp.nan, losses)
    return losses.sum(), lambda g: (g * (e * (target.sum(axis=0) / total) - target)).T


def _label_positions(labels: Any, logits: Any) -> Any:
    """The position of each example's label in logits.T, flattened, and which labels are out of
    range: None on the host, where one that is raises ValueError.
    """
    labels = xp.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not logits.size:
        raise ValueError(
            f"logits {logits.shape} and labels {labels.shape} are not (n, classes) and (n,)."
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels of dtype {labels.dtype} are not integers: pass class indices.")
    n, classes = logits.shape
    if current().on_host:
        try:
            return xp.ravel_multi_index((labels, xp.arange(n)), (classes, n)), None
        except ValueError:
            bad = labels[(labels < 0) | (labels >= classes)][0]
            raise ValueError(f"label {bad} is not a class index in 0..{classes - 1}.") from None
    wrapped = labels.astype("int64", copy=False) % classes
    return wrapped * n + xp.arange(n), labels != wrapped


def _extreme(x: Any, y: Any, axis: Any, keepdims: bool) -> Any:
    """The value y, the largest or smallest elements of x along the axes, and its pullback."""
    at = x == y
    return (
        _reduced(y, axis, keepdims),
        lambda g: _shared(at.astype(g.dtype), _restored(g, axis, keepdims), axis),
    )


def _shared(mask: Any, g: Any, axis: Any) -> Any:
    """g, shared equally by the ones of a mask along the axes."""
    mask *= g / mask.sum(axis=axis, keepdims=True)
    return mask


def _reduced(y: Any, axis: Any, keepdims: bool) -> Any:
    """Drop the axes of length 1 that a reduction kept."""
    if keepdims:
        return y
    return y.reshape(()) if axis is None else y.squeeze(axis)


def _restored(g: Any, axis: Any, keepdims: bool) -> Any:
    """Give back the axes that a reduction dropped, with length 1."""
    return g if axis is None or keepdims else xp.expand_dims(g, axis)


def _without_lists(index: Any) -> Any:
    """An index with sequences as arrays, and copies of arrays and Tensors, which may change."""
    if isinstance(index, Tensor):
        return index._data.copy()
    if isinstance(index, tuple):
        return tuple(_without_lists(list(i) if isinstance(i, tuple) else i) for i in index)
    index = plain(index)
    if hasattr(index, "dtype"):
        return index.copy()
    if hasattr(index, "__len__"):
        return xp.asarray(index, None if len(index) else int)
    return index


def _scattered(g: Any, index: Any, shape: Any) -> Any:
    """g at the index of zeros of that shape, added up where the index repeats."""
    dx = xp.zeros(shape, g.dtype)
    if _repeats_nothing(index):
        dx[index] = g
    else:
        xp.add.at(dx, index, g)
    return dx


def _repeats_nothing(index: Any) -> bool:
    """Whether an index names each element at most once: no arrays of integers in it."""
    parts = index if isinstance(index, tuple) else (index,)
    return not builtins.any(getattr(i, "ndim", 0) and i.dtype.kind in "iu" for i in parts)


def _axes(x: Any, axis: Any) -> Any:
    """The axes along which a reduction of x goes, counted from 0."""
    return range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)


def _count(x: Any, axis: Any) -> int:
    """How many elements a reduction of x along the axes takes together."""
    return math.prod(x.shape[i] for i in _axes(x, axis))


def _degrees_of_freedom(x: Any, axis: Any, ddof: int) -> int:
    n = _count(x, axis) - ddof
    if n <= 0:
        raise ValueError(f"ddof={ddof} leaves no degree of freedom; lower it.")
    return n


# Methods and operators of Tensor

for _name, _op in OPS.items():
    if _name not in (
        "where",
        "concatenate",
        "stack",
        "einsum",
    ):  # their first argument is no tensor
        setattr(Tensor, _name, _op)

for _symbol, _op in {
    "add": add,
    "sub": sub,
    "mul": mul,
    "truediv": div,
    "pow": pow,
    "matmul": matmul,
}.items():
    setattr(Tensor, f"__{_symbol}__", _op)
    setattr(Tensor, f"__r{_symbol}__", lambda y, x, _op=_op: _op(x, y))

for _symbol, _op in {"neg": neg, "abs": abs, "getitem": getitem}.items():
    setattr(Tensor, f"__{_symbol}__", _op)
