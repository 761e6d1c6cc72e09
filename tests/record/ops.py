"""Record values and gradients of every op from PyTorch: tests/oracles/ops.npz.

Each row of the table is an op, its inputs and its keyword arguments; torch 2.13.0 gives the value
and the gradient of sum(seed * value) for a random seed, in the dtype of the inputs (float64, some
float32). Run as `python -m tests.record.ops`. In the file "cases" is the table as JSON, and "7" a
record of case 7, with the fields in0, in1, ..., seed, out, grad0, grad1, ...
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

OUT = Path(__file__).parent.parent / "oracles" / "ops.npz"
rng = np.random.default_rng(2018)


def axes(x, axis):
    """The axes to reduce over; torch wants all of them by name where NumPy says None."""
    return tuple(range(x.ndim)) if axis is None else axis


def pick(x, index):
    """Index as NumPy does, negative steps included: torch takes what NumPy finds at the index."""
    positions = np.arange(x.numel()).reshape(x.shape)[decode(index)]
    return x.flatten()[torch.tensor(np.array(positions, order="C"))]


def decode(index):
    """An index from its JSON form, a list of parts."""
    return tuple(part if isinstance(part, int) else decode_part(part) for part in index)


def decode_part(part):
    match part:
        case "ellipsis":
            return Ellipsis
        case "newaxis":
            return None
        case {"slice": bounds}:
            return slice(*bounds)
        case {"array": values}:
            return np.array(values, dtype=np.int64)
        case {"mask": values}:
            return np.array(values, dtype=bool)


def cross_entropy(logits, labels, smoothing=0.0, ignored=-100, weights=None):
    weights = None if weights is None else torch.tensor(weights, dtype=logits.dtype)
    return functional.cross_entropy(
        logits, labels, weights, ignore_index=ignored, label_smoothing=smoothing
    )


ORACLES = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "neg": torch.neg,
    "pow": torch.pow,
    "matmul": torch.matmul,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "sin": torch.sin,
    "cos": torch.cos,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    # torch's own softplus is the identity above a threshold.
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "where": torch.where,
    "clip": lambda x, lo, hi: torch.clamp(x, lo, hi),
    "sum": lambda x, axis=None, **k: torch.sum(x, axes(x, axis), **k),
    "mean": lambda x, axis=None, **k: torch.mean(x, axes(x, axis), **k),
    "var": lambda x, axis=None, ddof=0, **k: torch.var(x, axes(x, axis), correction=ddof, **k),
    "std": lambda x, axis=None, ddof=0, **k: torch.std(x, axes(x, axis), correction=ddof, **k),
    "norm": lambda x, axis=None, keepdims=False: torch.linalg.vector_norm(
        x, dim=axes(x, axis), keepdim=keepdims
    ),
    # amax and amin share the gradient among ties; max and min give it to one of them.
    "max": lambda x, axis=None, **k: torch.amax(x, axes(x, axis), **k),
    "min": lambda x, axis=None, **k: torch.amin(x, axes(x, axis), **k),
    "logsumexp": lambda x, axis=None, **k: torch.logsumexp(x, axes(x, axis), **k),
    "log_softmax": lambda x, axis=-1: torch.log_softmax(x, axis),
    "reshape": torch.reshape,
    "transpose": lambda x, axes=None: x.permute(axes or tuple(range(x.ndim))[::-1]),
    "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
    "getitem": pick,
    "concatenate": lambda *tensors, axis=0: torch.concatenate(tensors, axis),
    "stack": lambda *tensors, axis=0: torch.stack(tensors, axis),
    "linear": lambda x, w, b: x @ w + b,
    "softmax_cross_entropy": cross_entropy,
    "mse": functional.mse_loss,
    "log1p": torch.log1p,
    "expm1": torch.expm1,
    "silu": functional.silu,
    "gelu": lambda x: functional.gelu(x, approximate="tanh"),
    "elu": lambda x, alpha=1.0: functional.elu(x, alpha),
    "leaky_relu": lambda x, slope=0.01: functional.leaky_relu(x, slope),
    "softmax": lambda x, axis=-1: torch.softmax(x, axis),
    "prod": lambda x, axis=None, **k: x.prod() if axis is None else x.prod(axis, **k),
    "cumsum": lambda x, axis=None: x.flatten().cumsum(0) if axis is None else x.cumsum(axis),
    "flatten": lambda x, start=0: torch.flatten(x, start),
    "squeeze": lambda x, axis=None: torch.squeeze(x, axes(x, axis)),
    "expand_dims": lambda x, axis: torch.unsqueeze(x, axis),
    "swapaxes": lambda x, axis1, axis2: torch.swapaxes(x, axis1, axis2),
    "moveaxis": torch.moveaxis,
    "astype": lambda x, dtype: x.to(getattr(torch, dtype)),
    "pad": lambda x, width, value=0.0: functional.pad(x, sum(width[::-1], ()), value=value),
    "einsum": lambda x, y, subscripts: torch.einsum(subscripts, x, y),
    "embedding": lambda weight, index: functional.embedding(index, weight),
    "layer_norm": lambda x, w, b, eps=1e-5: functional.layer_norm(x, x.shape[-1:], w, b, eps),
    "batch_norm": lambda x, w, b, eps=1e-5: functional.batch_norm(
        x.movedim(-1, 1), None, None, w, b, training=True, eps=eps
    ).movedim(1, -1),
    "conv2d": lambda *arrays, **k: conv2d(*arrays, **k),
    # torch gives the gradient to one of several that tie: there are none
    "max_pool2d": lambda x, size=2, stride=None: pool2d(functional.max_pool2d, x, size, stride),
    "avg_pool2d": lambda x, size=2, stride=None: pool2d(functional.avg_pool2d, x, size, stride),
    "local_response_norm": lambda x, *a, **k: functional.local_response_norm(
        nchw(x), *a, **k
    ).permute(0, 2, 3, 1),
    "dropout": lambda x, p, key: dropped(x, p, key),
}


def nchw(x):
    return x.permute(0, 3, 1, 2)


def conv2d(x, w, b=None, *, stride=1, padding=0):
    """With the zeros added first, since torch knows no odd padding, nor "same" with a stride."""
    stride = (stride, stride) if isinstance(stride, int) else stride
    sides = zeros_around(padding, x.shape[1:3], w.shape[:2], stride)
    x = functional.pad(nchw(x), [n for side in reversed(sides) for n in side])
    y = functional.conv2d(x, w.permute(3, 2, 0, 1).contiguous(), b, tuple(stride))
    return y.permute(0, 2, 3, 1)


def zeros_around(padding, image, kernel, stride):
    """(before, after) for both axes."""
    if padding == "valid":
        padding = 0
    if padding == "same":
        both = [
            max((math.ceil(n / s) - 1) * s + k - n, 0)
            for n, k, s in zip(image, kernel, stride, strict=True)
        ]
        return [(n // 2, n - n // 2) for n in both]
    pair = (padding, padding) if isinstance(padding, int) else padding
    return [(side, side) if isinstance(side, int) else side for side in pair]


def pool2d(function, x, size, stride):
    return function(nchw(x), size, stride).permute(0, 2, 3, 1)


def dropped(x, p, key):
    """x by the mask of a hash that is computed in Python's integers."""
    factors = [(hashed(i, key) >= int(p * 2**32)) / (1 - p) for i in range(x.numel())]
    return x * torch.tensor(factors, dtype=x.dtype).reshape(x.shape)


def hashed(number, key):
    """lowbias32, of the number and again after each half of the key was added."""
    for part in (0, *key):
        number = (number + part) % 2**32
        number = (number ^ number >> 16) * 0x7FEB352D % 2**32
        number = (number ^ number >> 15) * 0x846CA68B % 2**32
        number ^= number >> 16
    return number


def r(*shape):
    """Normal numbers."""
    return rng.normal(size=shape)


def p(*shape):
    """Numbers between 0.5 and 2."""
    return rng.uniform(0.5, 2, shape)


def f(*values):
    """These numbers."""
    return np.array(values, dtype=np.float64)


def labels(n, classes):
    return rng.integers(classes, size=n)


def table():
    """Rows of op, inputs and keyword arguments; an input in a list is held constant."""
    # Elementwise, two inputs: equal shapes, scalars, both sides broadcast, nothing at all.
    for op in ("add", "sub", "mul", "div"):
        yield op, r(), p()
        yield op, r(2, 3), p(2, 3)
        yield op, r(2, 3), p(3)
        yield op, r(), p(3)
        yield op, r(3, 1), p(2, 1, 4)
    yield "add", r(0, 3), r(3)
    yield "mul", r(0, 3), r(1, 3)
    yield "sub", r(2, 3), [r(3)]
    yield "div", [r(3)], p(2, 3)
    yield "add", r(1, 1), r(1)

    yield "pow", p(), r()
    yield "pow", p(2, 3), r(3)
    yield "pow", p(3, 1), r(2, 1, 4)
    yield "pow", f(0, 0, 0, 2), f(1, 2, 2.5, 3)
    for exponent in (0, 1, 2, 3):
        yield "pow", f(-1.5, 0, 2), [f(exponent)[0]]
    for exponent in (-1, -2, 0.5, -0.5):
        yield "pow", p(2, 3), [f(exponent)[0]]
    yield "pow", f(-1.5, -0.5, 2), [f(-1, -2, -3)]
    yield "pow", f(-1.5, 0, 0, -2), [f(3, 0, 1, 2)]
    yield "pow", [f(2)[0]], r(3)

    # Elementwise, one input, with the kinks and the far ends.
    for op in ("neg", "exp", "abs", "sin", "cos", "tanh", "sigmoid", "relu", "softplus"):
        yield op, r()
        yield op, r(2, 3)
    for op in ("log", "sqrt"):
        yield op, p()
        yield op, p(2, 3)
        yield op, f(1e-200, 1e-8, 1, 1e8, 1e200)
    yield "exp", f(-1e4, -700, 0, 700)
    yield "relu", r(0)
    yield "tanh", f(-1e4, -20, -1e-9, 0, 1e-9, 20, 1e4)
    for op in ("sigmoid", "softplus"):
        yield op, f(-1e4, -700, -40, -1e-9, 0, 1e-9, 40, 700, 1e4)
    for op in ("abs", "relu"):
        yield op, f(-2, -0.0, 0, 3)

    for op in ("maximum", "minimum"):
        yield op, r(), r()
        yield op, r(2, 3), r(3)
        yield op, r(3, 1), r(2, 1, 4)
        yield op, f(1, 2, 3), f(3, 2, 1)
        yield op, f(0, 1), f(0)[0]
        yield op, r(4), [f(0)[0]]
    for shape in ((2, 3), (3,), (2, 1), ()):
        yield "where", [rng.random(shape) < 0.5], r(2, 3), r(3)
    yield "where", [np.array(True)], r(), r()
    yield "where", [f(-1, 0, 1) > 0], r(3), [f(0)[0]]
    yield "clip", r(), {"lo": -0.5, "hi": 0.5}
    yield "clip", r(3, 4), {"lo": -0.5, "hi": 0.5}
    yield "clip", f(-2, -1, 0, 1, 2), {"lo": -1, "hi": 1}

    # Reductions.
    every = [
        ((), {}),
        ((4,), {"axis": 0}),
        ((4,), {"keepdims": True}),
        ((3, 4), {}),
        ((3, 4), {"axis": -1}),
        ((3, 4), {"axis": 0, "keepdims": True}),
        ((2, 3, 4), {"axis": (0, 2)}),
        ((2, 3, 4), {"axis": (-1, 0), "keepdims": True}),
        ((2, 1, 3), {"axis": 1}),
    ]
    for op in ("sum", "mean", "var", "max", "min", "logsumexp"):
        for shape, settings in every:
            yield op, r(*shape), settings
    for op in ("sum", "mean", "max", "min", "logsumexp"):
        yield op, r(0, 3), {"axis": 1}
    yield "sum", r(0)
    yield "sum", r(0, 3), {"axis": 0}
    yield "var", r(4), {"ddof": 1}
    yield "var", r(3, 4), {"axis": 0, "ddof": 1}
    yield "var", r(2, 3, 4), {"axis": (0, -1), "keepdims": True, "ddof": 2}
    yield "var", 1e8 + f(-2, -1, 0, 1, 2)
    for op in ("max", "min"):
        yield op, f(1, 3, 3, 1, 3, 1)
        yield op, np.ones((2, 3)), {"axis": 1}
        yield op, f(2, 0, 2, 0).reshape(2, 2), {"axis": (0, 1), "keepdims": True}
    # torch's gradient is exp(x - value): right to 1e-16 only where the value is not rounded.
    yield "logsumexp", f(1e4, 1e4 - 50, -1e4)
    yield "logsumexp", f(-1e4, -1e4 - 50, 1e4, 0).reshape(2, 2), {"axis": 1, "keepdims": True}
    yield "logsumexp", f(-np.inf, 0.5, 2)

    yield "log_softmax", r(4)
    yield "log_softmax", r(3, 4)
    yield "log_softmax", r(3, 4), {"axis": 0}
    yield "log_softmax", r(2, 3, 4), {"axis": 1}
    yield "log_softmax", r(0, 3)
    yield "log_softmax", r(3, 1)
    yield "log_softmax", f(1e4, -1e4, 0, 1e4, -1e4, -1e4 - 1).reshape(2, 3)

    # Shapes.
    yield "reshape", r(), {"shape": (1, 1)}
    yield "reshape", r(1), {"shape": ()}
    yield "reshape", r(2, 6), {"shape": (3, -1)}
    yield "reshape", r(2, 3, 2), {"shape": (-1,)}
    yield "reshape", r(0, 3), {"shape": (3, 0, 2)}
    yield "transpose", r()
    yield "transpose", r(3)
    yield "transpose", r(2, 3)
    yield "transpose", r(2, 3, 4)
    yield "transpose", r(2, 3, 4), {"axes": (1, 2, 0)}
    yield "transpose", r(2, 3, 4), {"axes": (0, -1, 1)}
    yield "broadcast_to", r(), {"shape": (2, 3)}
    yield "broadcast_to", r(3), {"shape": (2, 3)}
    yield "broadcast_to", r(2, 1, 3), {"shape": (2, 2, 4, 3)}
    yield "broadcast_to", r(1, 3), {"shape": (0, 3)}
    yield "broadcast_to", r(2, 3), {"shape": (2, 3)}

    rows = [
        ((5,), [2]),
        ((5,), [-1]),
        ((5,), [{"slice": [1, 4]}]),
        ((5,), [{"slice": [0, 4, 2]}]),
        ((5,), [{"slice": [None, None, -2]}]),
        ((5,), [{"slice": [3, 3]}]),
        ((5,), [{"array": [0, 2, 2, -1]}]),
        ((5,), [{"array": [[0, 2, 2]]}]),
        ((5,), [{"array": []}]),
        ((5,), [{"mask": [True, False, True, True, False]}]),
        ((5,), [{"mask": [False] * 5}]),
        ((), ["ellipsis"]),
        ((), ["newaxis"]),
        ((3, 4), [1]),
        ((3, 4), [1, -2]),
        ((3, 4), [{"slice": [None]}, 1]),
        ((3, 4), [{"slice": [2, None, -1]}, {"slice": [None, None, 3]}]),
        ((3, 4), ["ellipsis", 0]),
        ((3, 4), ["newaxis", {"slice": [1, None]}, "newaxis"]),
        ((3, 4), [{"array": [0, 0, 2]}]),
        ((3, 4), [{"array": [0, 1, 0]}, {"array": [3, 1, 3]}]),
        ((3, 4), [{"array": [[0], [2]]}, {"array": [1, 1, 3]}]),
        ((3, 4), [{"slice": [None]}, {"array": [1, 1]}]),
        ((3, 4), [{"mask": [True, False, True]}]),
        ((2, 2), [{"mask": [[True, False], [True, True]]}]),
        ((3, 4), [{"mask": [True, False, True]}, {"slice": [None, None, 2]}]),
        ((2, 3, 4), [{"array": [1, 1]}, {"slice": [None]}, {"array": [0, 2]}]),
        ((2, 3, 4), [0, {"slice": [None]}, {"array": [3, 3, 0]}]),
        ((2, 3, 4), ["ellipsis", "newaxis", {"array": [0, 0]}]),
        ((0, 3), [{"slice": [None]}, 1]),
    ]
    for shape, index in rows:
        yield "getitem", r(*shape), {"index": index}

    yield "concatenate", r(2), r(3)
    yield "concatenate", r(2, 3), r(1, 3), r(2, 3), {"axis": 0}
    yield "concatenate", r(2, 1), r(2, 3), {"axis": -1}
    yield "concatenate", r(2, 2, 1), [r(2, 1, 1)], {"axis": 1}
    yield "concatenate", r(0, 3), r(2, 3)
    yield "concatenate", r(3)
    yield "stack", r(), r(), r()
    yield "stack", r(2, 3), r(2, 3)
    yield "stack", r(2, 3), r(2, 3), r(2, 3), {"axis": 1}
    yield "stack", r(2, 3), [r(2, 3)], {"axis": -1}

    # Products of matrices.
    yield "matmul", r(3), r(3)
    yield "matmul", r(2, 3), r(3)
    yield "matmul", r(3), r(3, 2)
    yield "matmul", r(2, 3), r(3, 4)
    yield "matmul", r(2, 3), [r(3, 4)]
    yield "matmul", r(2, 3, 4), r(2, 4, 2)
    yield "matmul", r(2, 3, 4), r(4, 2)
    yield "matmul", r(3, 4), r(2, 4, 2)
    yield "matmul", r(2, 1, 2, 3), r(4, 3, 2)
    yield "matmul", r(2, 3, 4), r(4)
    yield "matmul", r(4), r(2, 4, 3)
    yield "matmul", r(2, 0), r(0, 3)
    yield "matmul", r(0, 3), r(3, 2)
    yield "linear", r(4, 3), r(3, 2), r(2)
    yield "linear", [r(4, 3)], r(3, 2), r(2)
    yield "linear", r(1, 3), r(3, 1), r(1)
    yield "linear", r(0, 3), r(3, 2), r(2)

    # Losses.
    yield "softmax_cross_entropy", r(4, 3), [labels(4, 3)]
    yield "softmax_cross_entropy", r(1, 5), [labels(1, 5)]
    yield "softmax_cross_entropy", r(6, 1), [labels(6, 1)]
    yield "softmax_cross_entropy", 1e4 * f(1, -1, 0, -1, -1, 1).reshape(2, 3), [np.array([0, 1])]
    yield "softmax_cross_entropy", 1e4 * f(1, 1, -1, 1, 0, -1).reshape(2, 3), [np.array([1, 0])]
    yield "mse", r(), r()
    yield "mse", r(4), r(4)
    yield "mse", r(3, 2), r(3, 2)
    yield "mse", r(3, 2), [r(3, 2)]

    # The same in float32.
    for op in ("exp", "tanh", "sigmoid", "softplus"):
        yield op, np.float32(3 * r(2, 3))
    for op in ("add", "div", "pow", "maximum"):
        yield op, np.float32(p(2, 3)), np.float32(p(3))
    for op in ("sum", "mean", "var", "max", "logsumexp", "log_softmax"):
        yield op, np.float32(r(3, 4)), {"axis": -1}
    for op in ("sigmoid", "softplus"):
        yield op, np.float32(f(-1e4, -100, -20, 0, 20, 100, 1e4))
    yield "matmul", np.float32(r(2, 3, 4)), np.float32(r(4, 2))
    yield "linear", np.float32(r(4, 3)), np.float32(r(3, 2)), np.float32(r(2))
    yield "softmax_cross_entropy", np.float32(r(4, 3)), [labels(4, 3)]
    yield "softmax_cross_entropy", np.float32([[1e4, -1e4, 0]]), [np.array([2])]
    yield "mse", np.float32(r(3, 2)), np.float32(r(3, 2))
    yield "getitem", np.float32(r(5)), {"index": [{"array": [0, 2, 2, -1]}]}

    # Added later, at the end, so that the random numbers of the rows above stay the same.
    for op in ("std", "norm"):
        for shape, settings in every:
            if op == "norm" or shape not in ((), (2, 1, 3)):  # torch has NaN where x is constant
                yield op, r(*shape), settings
        yield op, np.float32(r(3, 4)), {"axis": -1}
    yield "std", r(2, 3, 4), {"axis": (0, -1), "keepdims": True, "ddof": 2}
    yield "std", 1e8 + f(-2, -1, 0, 1, 2)
    yield "norm", f(0, 0)
    yield "norm", f(0, 0, 3, 4).reshape(2, 2), {"axis": 1}

    for op in ("log1p", "expm1", "silu", "gelu", "elu", "leaky_relu"):
        yield op, p()
        yield op, p(2, 3)
        yield op, np.float32(p(2, 3))
    yield "log1p", f(-0.9, -1e-9, 0, 1e-9, 1e200)
    yield "expm1", f(-1e4, -1e-9, 0, 1e-9, 700)
    for op in ("silu", "gelu", "elu", "leaky_relu"):
        yield op, 3 * r(10)
        yield op, f(-1e3, -40, -5, -1e-9, 0, 1e-9, 5, 40, 1e3)
    yield "gelu", f(-1e30, 1e30)
    yield "elu", r(6), {"alpha": 0.5}
    yield "leaky_relu", r(6), {"slope": 0.2}
    yield "softmax", r(4)
    yield "softmax", r(3, 4), {"axis": 0}
    yield "softmax", r(2, 3, 4), {"axis": 1}
    yield "softmax", f(1e4, -1e4, 0, 1e4, -1e4, -1e4 - 1).reshape(2, 3)
    yield "softmax", f(-np.inf, 0.5, 2)
    yield "softmax", np.float32(r(3, 4))
    yield "prod", r()
    yield "prod", r(4)
    yield "prod", r(3, 4), {"axis": -1}
    yield "prod", r(3, 4), {"axis": 0, "keepdims": True}
    yield "prod", f(2, 0, 3, -4)
    yield "prod", f(2, 0, 3, 0, 5, 7, 0, 0, 4).reshape(3, 3), {"axis": 1}
    yield "prod", f(2, 0, 3, 0, 5, 7, 0, 0, 4).reshape(3, 3), {"axis": 0}
    yield "cumsum", r(4)
    yield "cumsum", r(3, 4), {"axis": 0}
    yield "cumsum", r(3, 4), {"axis": -1}
    yield "cumsum", r(3, 4)
    yield "flatten", r(2, 3, 4)
    yield "flatten", r(2, 3, 4), {"start": 1}
    yield "squeeze", r(1, 3, 1)
    yield "squeeze", r(1, 3, 1), {"axis": -1}
    yield "squeeze", r(1, 3, 1), {"axis": (0, 2)}
    yield "expand_dims", r(2, 3), {"axis": 1}
    yield "expand_dims", r(2, 3), {"axis": -1}
    yield "swapaxes", r(2, 3, 4), {"axis1": 0, "axis2": -1}
    yield "moveaxis", r(2, 3, 4), {"source": 0, "destination": -1}
    yield "moveaxis", r(2, 3, 4), {"source": (0, 1), "destination": (2, 0)}
    yield "astype", r(2, 3), {"dtype": "float32"}
    yield "astype", np.float32(r(2, 3)), {"dtype": "float64"}
    yield "pad", r(3), {"width": ((1, 2),), "value": 0.5}
    yield "pad", r(2, 3), {"width": ((1, 0), (0, 2))}
    for subscripts, x, y in [
        ("ij,jk->ik", (2, 3), (3, 4)),
        ("ij,jk", (2, 3), (3, 4)),
        ("bij,bkj->bik", (2, 3, 4), (2, 5, 4)),
        ("ij,ij->", (2, 3), (2, 3)),
        ("i,j->ji", (2,), (3,)),
        ("ij,k->k", (2, 3), (4,)),
        ("ba,ac", (2, 3), (3, 4)),
    ]:
        yield "einsum", r(*x), r(*y), {"subscripts": subscripts}
    yield "embedding", r(5, 3), [labels(4, 5)]
    yield "embedding", r(5, 3), [np.array([[0, 2], [2, 2]])]
    for op in ("layer_norm", "batch_norm"):
        yield op, r(4, 3), p(3), r(3)
        yield op, r(2, 3, 5), p(5), r(5), {"eps": 0.1}
        yield op, np.float32(r(4, 3)), np.float32(p(3)), np.float32(r(3))
    targets = [np.array([0, 2, 1, 2, 0])]
    for settings in (
        {"smoothing": 0.1},
        {"ignored": 2},
        {"weights": (2.0, 0.5, 1.0)},
        {"smoothing": 0.2, "ignored": 1},
        {"smoothing": 0.2, "ignored": 1, "weights": (2.0, 0.5, 1.0)},
        {"smoothing": 1.0},
    ):
        yield "softmax_cross_entropy", r(5, 3), targets, settings
        yield "softmax_cross_entropy", np.float32(r(5, 3)), targets, settings
    logits = f(1e4, -1e4, 0, -1e4, 1e4, 5).reshape(2, 3)
    yield "softmax_cross_entropy", logits, [np.array([1, 1])], {"weights": (2.0, 0.5, 1.0)}
    # Images
    for settings in geometries():
        image, kernel, channels, stride, padding = settings
        x, w = r(*image, channels[0]), r(*kernel, *channels)
        yield "conv2d", x, w, r(channels[1]), {"stride": stride, "padding": padding}
    yield "conv2d", r(2, 5, 6, 3), r(2, 3, 3, 4)
    yield "conv2d", [r(2, 5, 6, 3)], r(2, 3, 3, 4), r(4)
    for op in ("max_pool2d", "avg_pool2d"):
        yield op, r(2, 4, 6, 3)
        yield op, r(2, 5, 7, 1), {"size": 2}
        yield op, r(1, 5, 7, 2), {"size": 3, "stride": 2}
        yield op, r(2, 5, 8, 2), {"size": (2, 3), "stride": (1, 4)}
    for size in (1, 2, 3, 5, 9):
        yield "local_response_norm", r(2, 3, 2, 4), {"size": size, "alpha": 0.5}
    yield "local_response_norm", r(2, 3, 2, 7), {"size": 3, "alpha": 2.0, "beta": 0.6, "k": 1.5}
    yield "dropout", r(3, 4, 5), {"p": 0.5, "key": (2**32 - 1, 3)}
    yield "dropout", r(6), {"p": 0.1, "key": (0, 0)}
    yield "dropout", r(6), {"p": 0.0, "key": (1, 2)}
    yield "conv2d", np.float32(r(2, 8, 8, 3)), np.float32(r(3, 3, 3, 4)), np.float32(r(4))


def geometries():
    """Image (n, height, width), kernel, channels, stride and padding of 30 random convolutions."""
    draw = np.random.default_rng(17)
    for i in range(30):
        n, *kernel = draw.integers(1, [4, 6, 6]).tolist()
        image = [size + int(draw.integers(0, 5)) for size in kernel]
        stride = [1, 2, 3, (2, 1), (1, 3)][draw.integers(5)]
        padding = ["same", "valid", 1, 2, (2, 0), ((0, 3), (1, 2))][i % 6]
        yield (n, *image), kernel, draw.integers(1, 5, 2).tolist(), stride, padding


def record(op, inputs, settings):
    """Which inputs have a gradient, and the arrays of one case by name."""
    constant = [isinstance(x, list) for x in inputs]
    arrays = [np.asarray(x[0] if const else x) for x, const in zip(inputs, constant, strict=True)]
    tensors = [
        torch.tensor(x, requires_grad=not const) for x, const in zip(arrays, constant, strict=True)
    ]
    out = ORACLES[op](*tensors, **settings)
    seed = torch.tensor(rng.normal(size=out.shape), dtype=out.dtype)
    out.backward(seed)
    wanted = [k for k, const in enumerate(constant) if not const]
    named = {f"in{k}": x for k, x in enumerate(arrays)}
    named |= {"seed": seed.numpy(), "out": out.detach().numpy()}
    named |= {f"grad{k}": tensors[k].grad.numpy() for k in wanted}
    assert all(np.isfinite(named[f"grad{k}"]).all() for k in wanted), (op, settings, named)
    assert not np.isnan(named["out"]).any(), (op, settings, named)
    return wanted, named


def main():
    """Record every row of the table."""
    cases, arrays = [], {}
    for i, (op, *inputs) in enumerate(table()):
        settings = inputs.pop() if isinstance(inputs[-1], dict) else {}
        wanted, named = record(op, inputs, settings)
        cases.append(
            {"op": op, "kwargs": settings, "inputs": len(inputs), "differentiable": wanted}
        )
        # One record per case: an array of its own for each name would triple the size of the file.
        fields = np.zeros((), [(name, x.dtype, x.shape) for name, x in named.items()])
        for name, x in named.items():
            fields[name] = x
        arrays[str(i)] = fields
    np.savez_compressed(OUT, cases=np.array(json.dumps(cases)), **arrays)
    print(f"{len(cases)} cases, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
