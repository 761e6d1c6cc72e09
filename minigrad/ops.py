"""Every primitive: its value and its pullbacks, returned by one function.

x, y are operands, g is the gradient of the value. At a kink the gradient is the one that the
docstring states. Masks are factors, since `where` is slow: where one is 0, an infinite g gives NaN.
To add an op, write one function here, its rows in test_ops.py, and a record of it by
tests/record/ops.py.
"""

import builtins
from itertools import accumulate, pairwise
from math import inf, prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad.backend import current, xp
from minigrad.convert import plain
from minigrad.tape import OPS, op
from minigrad.tensor import Tensor

small_is_0 = np.errstate(under="ignore")  # decorates ops in which an exponential stands beside a 1

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
def var(x, axis=None, keepdims=False, ddof=0):
    """The variance: the sum of squared deviations over n - ddof, which must be positive."""
    n = _degrees_of_freedom(x, axis, ddof)
    d = _deviations(x, axis)
    return (
        (d * d).sum(axis=axis, keepdims=keepdims) / n,
        lambda g: d * _restored(g * (2 / n), axis, keepdims),
    )


@op
def std(x, axis=None, keepdims=False, ddof=0):
    """The root of the variance, with gradient 0 where x is constant."""
    n = _degrees_of_freedom(x, axis, ddof)
    d = _deviations(x, axis)
    y = _length(d, axis) / n**0.5
    return _reduced(y, axis, keepdims), lambda g: d * _over(_restored(g / n, axis, keepdims), y)


@op
def norm(x, axis=None, keepdims=False):
    """The Euclidean norm along the axes, the root of the sum of squares, with gradient 0 at 0."""
    y = _length(x, axis)
    return _reduced(y, axis, keepdims), lambda g: x * _over(_restored(g, axis, keepdims), y)


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
def broadcast_to(x, shape):
    return xp.broadcast_to(x, shape), lambda g: g


@op
def getitem(x, index):
    """x[index] for integers, slices, index arrays (repeats add up) and masks."""
    index = _without_lists(index)

    def pullback(g):
        dx = xp.zeros(x.shape, g.dtype)
        if _repeats_nothing(index):
            dx[index] = g
        else:
            xp.add.at(dx, index, g)
        return dx

    return x[index], pullback


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
def softmax_cross_entropy(logits, labels):
    """The mean over a batch of -log softmax(logits)[label]; logits (n, classes), labels (n,).

    Raises ValueError for labels out of range. On a device the loss is NaN instead, since a look at
    the labels would wait for the device.
    """
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


def _repeats_nothing(index: Any) -> bool:
    """Whether an index names each element at most once: no arrays of integers in it."""
    parts = index if isinstance(index, tuple) else (index,)
    return not builtins.any(getattr(i, "ndim", 0) and i.dtype.kind in "iu" for i in parts)


def _axes(x: Any, axis: Any) -> Any:
    """The axes along which a reduction of x goes, counted from 0."""
    return range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)


def _count(x: Any, axis: Any) -> int:
    """How many elements a reduction of x along the axes takes together."""
    return prod(x.shape[i] for i in _axes(x, axis))


def _degrees_of_freedom(x: Any, axis: Any, ddof: int) -> int:
    n = _count(x, axis) - ddof
    if n <= 0:
        raise ValueError(f"ddof={ddof} leaves no degree of freedom; lower it.")
    return n


# Methods and operators of Tensor

for _name, _op in OPS.items():
    if _name not in ("where", "concatenate", "stack"):  # their first argument is no tensor
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
