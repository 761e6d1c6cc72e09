"""Every op has rows in TABLE, and every row passes the same checks."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, check_grads, ops, to_host, xp
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
    for op in ("log", "sqrt"):
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
    for op in ("sum", "mean", "var", "max", "min", "logsumexp"):
        for shape, axis in axes:
            for keepdims in (False, True):
                yield op, [apart(*shape)], {"axis": axis, "keepdims": keepdims}
    yield "sum", [r(0)], {}
    yield "sum", [r(0, 3)], {"axis": 0}
    yield "var", [r(3, 4)], {"axis": 0, "ddof": 1}
    for shape, axis in [((4,), 0), ((3, 4), -1), ((3, 4), 0), ((2, 3, 4), (0, 2)), ((0, 3), 1)]:
        yield "log_softmax", [r(*shape)], {"axis": axis}

    for shape, new in [((), (1, 1)), ((1,), ()), ((2, 6), (3, -1)), ((0, 3), (3, 0, 2))]:
        yield "reshape", [r(*shape)], {"shape": new}
    for shape in ((), (3,), (2, 3), (2, 3, 4), (0, 3)):
        yield "transpose", [r(*shape)], {}
    yield "transpose", [r(2, 3, 4)], {"axes": (1, 2, 0)}
    yield "transpose", [r(2, 3, 4)], {"axes": [0, -1, 1]}
    for shape, new in [((), (2, 3)), ((3,), (2, 3)), ((2, 1, 3), (2, 2, 4, 3)), ((1, 3), (0, 3))]:
        yield "broadcast_to", [r(*shape)], {"shape": new}

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
    for n in (0, 1, 4):
        yield "linear", [r(n, 3), r(3, 2), r(2)], {}
    yield "softmax_cross_entropy", [r(4, 3), np.array([0, 2, 1, 2])], {}
    yield "softmax_cross_entropy", [r(2, 1), np.array([0, 0], np.uint8)], {}
    for shape in ((), (4,), (3, 2)):
        yield "mse", [r(*shape), r(*shape)], {}


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
        case "reshape" | "transpose":
            return OPS[name](*inputs, *options.values())
    return OPS[name](*inputs, **options)


def differentiable(inputs: list[Any]) -> list[int]:
    return [k for k, x in enumerate(inputs) if getattr(x, "dtype", np.dtype("i")).kind == "f"]


def spread(x: Any) -> Any:
    """An array of which x is every second element along every axis."""
    for axis in range(x.ndim):
        x = np.repeat(x, 2, axis)
    return x


def thin(x: Any) -> Any:
    return x[(slice(None, None, 2),) * x.ndim]


# How to store an array, and the view of the stored one, array or Tensor, that is equal to it.
LAYOUTS: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
    (lambda x: x, lambda x: x),
    (np.transpose, lambda x: x.T),
    (spread, thin),
]


def test_the_table_has_every_op_and_tensors_have_every_op_as_a_method() -> None:
    assert {name for name, *_ in TABLE} == set(OPS)
    for name in set(OPS) - {"where", "concatenate", "stack"}:
        assert getattr(Tensor, name) is OPS[name] is getattr(ops, name)


@each_row
def test_gradients_agree_with_central_differences(
    name: str, inputs: list[Any], options: dict[str, Any]
) -> None:
    where = differentiable(inputs)
    for store, view in LAYOUTS:

        def f(*leaves: Tensor, view: Any = view) -> Tensor:
            mixed = list(inputs)
            for k, leaf in zip(where, leaves, strict=True):
                mixed[k] = view(leaf)
            return call(name, mixed, options)

        check_grads(f, *(store(inputs[k]) for k in where), tolerance=1e-7)


@each_row
def test_raw_operands_and_any_layout_give_the_same(
    name: str, inputs: list[Any], options: dict[str, Any]
) -> None:
    where = differentiable(inputs)
    leaves = list(inputs)
    for k in where:
        leaves[k] = Tensor(inputs[k], requires_grad=True)
    out = call(name, leaves, options)
    seed = np.random.default_rng(1).normal(size=out.shape)
    out.backward(seed)

    for store, view in LAYOUTS:
        raw = [view(device(store(x))) if isinstance(x, np.ndarray) else x for x in inputs]
        for k in where:
            alone = [*raw[:k], Tensor(raw[k], requires_grad=True), *raw[k + 1 :]]
            again = call(name, alone, options)
            again.backward(seed)
            for got, expected in ((again.data, out.data), (alone[k].grad, leaves[k].grad)):
                np.testing.assert_allclose(
                    to_host(got), to_host(expected), 1e-12, 1e-14, strict=True
                )


@each_row
def test_values_and_gradients_have_the_dtype_of_the_leaves_and_change_nothing(
    name: str, inputs: list[Any], options: dict[str, Any]
) -> None:
    where = differentiable(inputs)
    for dtype in ("float32", "float64"):
        leaves = list(inputs)
        for k in where:
            leaves[k] = Tensor(inputs[k], requires_grad=True, dtype=dtype)
        out = call(name, leaves, options)
        value = out.numpy().copy()
        seed = Tensor(np.ones(out.shape), dtype=dtype)
        out.backward(seed)
        assert out.dtype == dtype and type(to_host(out.data)) is np.ndarray
        assert (seed.numpy() == 1).all() and np.array_equal(out.numpy(), value)
        for k in where:
            assert leaves[k].grad.dtype == dtype and leaves[k].grad.shape == leaves[k].shape
            assert np.array_equal(leaves[k].numpy(), inputs[k].astype(dtype))


@pytest.mark.parametrize("name", ["sum", "mean", "var", "max", "min", "logsumexp"])
@pytest.mark.parametrize("axis", [None, 1, -1, (0, 1), ()])
def test_reductions_drop_the_axes_that_numpy_drops(name: str, axis: Any) -> None:
    x = r(1, 3, 1)
    for keepdims in (False, True):
        expected = np.sum(x, axis=axis, keepdims=keepdims).shape
        assert OPS[name](Tensor(x), axis=axis, keepdims=keepdims).shape == expected
