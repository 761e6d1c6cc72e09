"""The table of ops: inputs for every one, and how to call it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, xp
from minigrad.tape import OPS

Row = tuple[str, list[Any], dict[str, Any]]
rng = np.random.default_rng(0)


def r(*shape: int) -> Any:
    """Normal numbers."""
    return rng.normal(size=shape)


def p(*shape: int) -> Any:
    """Numbers between 0.5 and 2."""
    return rng.uniform(0.5, 2, shape)


def apart(*shape: int) -> Any:
    """... -1.7, -0.7, 0.3, 1.3, ... shuffled: far from each other, from 0 and from +-0.5."""
    n = int(np.prod(shape))
    return (rng.permutation(n) - n // 2 + 0.3).reshape(shape)


def table() -> Iterator[Row]:
    """Op, inputs and keyword arguments; an input that is no array of floats is a constant."""
    for op in ("neg", "exp", "sin", "cos", "tanh", "sigmoid", "softplus", "abs", "relu"):
        for shape in ((), (3,), (2, 3), (0, 2)):
            yield op, [apart(*shape)], {}
    for op in ("silu", "gelu", "elu", "leaky_relu", "expm1"):
        for shape in ((), (3,), (2, 3), (0, 2)):
            yield op, [apart(*shape) / 2], {}
    yield "elu", [apart(5)], {"alpha": 0.5}
    yield "leaky_relu", [apart(5)], {"slope": 0.2}
    for op in ("log", "sqrt", "log1p"):
        for shape in ((), (3,), (2, 3), (0, 2)):
            yield op, [p(*shape)], {}

    pairs: list[Any] = [((), ()), ((3,), (3,)), ((2, 3), (2, 3)), ((2, 3), (3,)), ((), (2, 3))]
    pairs += [((3, 1), (2, 1, 4)), ((1, 1), (1,)), ((0, 3), (3,)), ((0, 3), (1, 3))]
    for x, y in pairs:
        for op in ("add", "sub", "mul", "div", "pow"):
            yield op, [p(*x), p(*y)], {}
        for op in ("maximum", "minimum"):
            yield op, [apart(*x), apart(*y) + 0.4], {}
        yield "where", [np.asarray(rng.random(y) < 0.5), r(*x), r(*y)], {}
        yield "where", [np.array(y == ()), r(*x), r(*y)], {}
        yield "clip", [apart(*x), np.full(y, -0.5), np.array(1.5)], {}
    for number in (2, 2.5):
        for op in ("add", "sub", "mul", "div", "pow", "maximum", "minimum"):
            for shape in ((), (2, 3)):
                yield op, [p(*shape) + 0.1, number], {}
                yield op, [number, p(*shape) + 0.1], {}
        yield "where", [np.array([True, False]), r(2), number], {}
        yield "where", [True, r(2), number], {}
    for exponent in (0, 1, 3, -2):
        yield "pow", [apart(4), exponent], {}
    yield "clip", [apart(2, 3)], {"lo": -0.5, "hi": 0.5}

    axes: list[tuple[Any, Any]] = [((), None), ((4,), 0), ((3, 4), None), ((3, 4), -1)]
    axes += [((2, 3, 4), (0, -1)), ((2, 1, 3), 1), ((2, 3), ()), ((0, 3), 1)]
    axes += [((3, 4), np.int64(0))]
    for op in ("sum", "mean", "var", "std", "norm", "max", "min", "logsumexp"):
        for shape, axis in axes:
            constant = op == "std" and shape in ((), (2, 1, 3), (2, 3))
            if not constant:  # one element has no slope, where central differences have a kink
                for keepdims in (False, True):
                    yield op, [apart(*shape)], {"axis": axis, "keepdims": keepdims}
    yield "sum", [r(0)], {}
    yield "sum", [r(0, 3)], {"axis": 0}
    for op in ("var", "std"):
        yield op, [r(3, 4)], {"axis": 0, "ddof": 1}
    for shape, axis in axes:
        for keepdims in (False, True):
            yield "prod", [p(*shape)], {"axis": axis, "keepdims": keepdims}
    for zeros in ([2], [2, 5], [2, 3]):
        x = p(6)
        x[zeros] = 0
        yield "prod", [x], {}
        yield "prod", [x.reshape(2, 3)], {"axis": 1}
    for shape, axis in [((4,), 0), ((3, 4), -1), ((3, 4), 0), ((2, 3, 4), (0, 2)), ((0, 3), 1)]:
        for op in ("softmax", "log_softmax"):
            yield op, [r(*shape)], {"axis": axis}
    for shape, axis in [((), None), ((4,), 0), ((3, 4), None), ((3, 4), -1), ((2, 3, 4), 1)]:
        yield "cumsum", [r(*shape)], {"axis": axis}

    for shape, new in [((), (1, 1)), ((1,), ()), ((2, 6), (3, -1)), ((0, 3), (3, 0, 2))]:
        yield "reshape", [r(*shape)], {"shape": new}
    for shape in ((), (3,), (2, 3), (2, 3, 4), (0, 3)):
        yield "transpose", [r(*shape)], {}
    yield "transpose", [r(2, 3, 4)], {"axes": (1, 2, 0)}
    yield "transpose", [r(2, 3, 4)], {"axes": [0, -1, 1]}
    for shape, new in [((), (2, 3)), ((3,), (2, 3)), ((2, 1, 3), (2, 2, 4, 3)), ((1, 3), (0, 3))]:
        yield "broadcast_to", [r(*shape)], {"shape": new}

    for shape in ((), (3,), (2, 3), (2, 3, 4), (0, 3)):
        yield "flatten", [r(*shape)], {}
        yield "squeeze", [r(1, *shape)], {}
        yield "squeeze", [r(*shape, 1)], {"axis": -1}
        yield "expand_dims", [r(*shape)], {"axis": 0}
        yield "expand_dims", [r(*shape)], {"axis": (0, -1)}
        yield "astype", [r(*shape)], {"dtype": "float64"}
        if shape:
            yield "pad", [r(*shape)], {"width": 2, "value": 0.5}
    yield "flatten", [r(2, 3, 4)], {"start": 1}
    yield "flatten", [r(0, 3, 4)], {"start": 1}
    yield "squeeze", [r(1, 3, 1)], {"axis": (0, 2)}
    yield "swapaxes", [r(2, 3, 4)], {"axis1": 0, "axis2": -1}
    yield "moveaxis", [r(2, 3, 4)], {"source": 0, "destination": -1}
    yield "moveaxis", [r(2, 3, 4)], {"source": (0, 1), "destination": (2, 0)}
    for width in ((0, 2), ((1, 0), (0, 2))):
        yield "pad", [r(2, 3)], {"width": width}

    every, mask, picks = slice(None), np.array([True, False, True]), np.array([0, 2, 0])
    indices: list[Any] = [1, -1, np.int64(1), np.array(2), every, slice(None, None, -2), ..., None]
    indices += [slice(3, 3), mask, mask & False, picks, picks[:0], picks[None], [0, 2, 0], [1], []]
    indices += [[True, False, True], (1, 2), (every, 0), (..., picks), ((0, 0, 1),), ([0, 0], 1)]
    indices += [(picks, picks), (picks, every, None), (mask, slice(1, 3)), (picks[:, None], [1, 1])]
    for index in indices:
        yield "getitem", [r(3, 4)], {"index": index}
    for index in ((), ..., None, True):
        yield "getitem", [r()], {"index": index}
    yield "getitem", [r(3, 4)], {"index": r(3, 4) > 0}
    yield "getitem", [r(0, 3)], {"index": (every, 1)}

    for index in (picks, picks[:0], np.array(1), np.array([[0, 2], [2, 2]]), [1, 1]):
        yield "embedding", [r(3, 4)], {"index": index}

    joined: list[Any] = [(((2,), (3,)), 0), (((2, 1), (2, 3)), -1), (((0, 3), (2, 3)), 0)]
    joined += [(((2,),), 0), (((1, 2, 3), (1, 0, 3), (1, 1, 3), (1, 4, 3)), -2)]
    for shapes, axis in joined:
        yield "concatenate", [r(*shape) for shape in shapes], {"axis": axis}
    for n, shape, axis in [(3, (), 0), (2, (2, 3), 0), (3, (2, 3), 1), (2, (2, 3), -1)]:
        yield "stack", [r(*shape) for _ in range(n)], {"axis": axis}

    products: list[Any] = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4))]
    products += [((2, 3, 4), (2, 4, 2)), ((2, 3, 4), (4, 2)), ((3, 4), (2, 4, 2))]
    products += [((2, 1, 2, 3), (4, 3, 2)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3))]
    products += [((2, 0), (0, 3)), ((0, 3), (3, 2))]
    for x, y in products:
        yield "matmul", [r(*x), r(*y)], {}
    for subscripts, x, y in [
        ("ij,jk->ik", (2, 3), (3, 4)),
        ("ij,jk", (2, 3), (3, 4)),
        ("bij,bkj->bik", (2, 3, 4), (2, 5, 4)),
        ("ij,ij->", (2, 3), (2, 3)),
        ("i,j->ji", (2,), (3,)),
        ("ij,k->k", (2, 3), (4,)),  # i and j are summed over in x alone
        (",ij->ij", (), (2, 3)),
        ("ij,jk->ik", (2, 0), (0, 3)),
    ]:
        yield "einsum", [r(*x), r(*y)], {"subscripts": subscripts}
    for op in ("layer_norm", "batch_norm"):
        for shape in ((4, 3), (2, 3, 5), (2, 1, 1)):
            yield op, [r(*shape), p(shape[-1]), r(shape[-1])], {"eps": 0.1}
    for n in (0, 1, 4):
        yield "linear", [r(n, 3), r(3, 2), r(2)], {}
    yield "softmax_cross_entropy", [r(4, 3), np.array([0, 2, 1, 2])], {}
    yield "softmax_cross_entropy", [r(2, 1), np.array([0, 0], np.uint8)], {}
    three = np.array([2.0, 0.5, 1.0])
    for options in ({"smoothing": 0.1}, {"ignored": 2}, {"weights": three}, {"ignored": -100}):
        yield "softmax_cross_entropy", [r(4, 3), np.array([0, 2, 1, 2])], options
    every_option = {"smoothing": 0.2, "ignored": -1, "weights": three}
    yield "softmax_cross_entropy", [r(4, 3), np.array([0, -1, 1, 2])], every_option
    for shape in ((), (4,), (3, 2)):
        yield "mse", [r(*shape), r(*shape)], {}

    yield "conv2d", [r(2, 4, 5, 2), r(2, 3, 2, 3), r(3)], {}
    yield "conv2d", [r(2, 4, 5, 2), r(3, 2, 2, 3)], {"stride": 2, "padding": "same"}
    yield "conv2d", [r(1, 8, 8, 4), r(6, 6, 4, 4), r(4)], {"padding": "same"}  # by DFT
    yield "conv2d", [r(0, 4, 4, 1), r(2, 2, 1, 2), r(2)], {"padding": ((1, 0), (2, 1))}
    for op, x in (("max_pool2d", apart), ("avg_pool2d", r)):
        yield op, [x(2, 4, 5, 2)], {}
        yield op, [x(1, 5, 4, 2)], {"size": (3, 2), "stride": (2, 1)}
        yield op, [x(0, 4, 4, 1)], {}
    for size in (1, 2, 3):
        yield "local_response_norm", [r(2, 2, 3, 4)], {"size": size, "alpha": 0.5, "k": 2.0}
    yield "local_response_norm", [r(0, 2, 3, 4)], {"size": 3, "beta": 0.6}
    for shape in ((), (3, 4), (0, 2)):
        yield "dropout", [r(*shape)], {"p": 0.4, "key": (5, 7)}


TABLE = list(table())
each_row = pytest.mark.parametrize(
    ("name", "inputs", "options"), TABLE, ids=[f"{i}-{name}" for i, (name, *_) in enumerate(TABLE)]
)


def device(x: Any) -> Any:
    """x with its arrays where the backend wants them."""
    if isinstance(x, tuple):
        return tuple(map(device, x))
    return xp.asarray(x) if isinstance(x, np.ndarray) else x


def call(name: str, inputs: list[Any], options: dict[str, Any]) -> Tensor:
    inputs = [device(x) for x in inputs]
    options = {key: device(value) for key, value in options.items()}
    match name:
        case "concatenate" | "stack":
            return OPS[name](inputs, **options)
        case "einsum":
            return OPS[name](options["subscripts"], *inputs)
        case "reshape" | "transpose":
            return OPS[name](*inputs, *options.values())
    return OPS[name](*inputs, **options)


def differentiable(inputs: list[Any]) -> list[int]:
    return [k for k, x in enumerate(inputs) if getattr(x, "dtype", np.dtype("i")).kind == "f"]
