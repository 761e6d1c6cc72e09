"""Every op has rows in the table, and every row passes the same checks."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, check_grads, ops, to_host
from minigrad.tape import OPS
from tests.autograd.ops import TABLE, call, device, differentiable, each_row, r


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
    for name in set(OPS) - {"where", "concatenate", "stack", "einsum"}:
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
        assert out.dtype == options.get("dtype", dtype) and type(to_host(out.data)) is np.ndarray
        assert (seed.numpy() == 1).all() and np.array_equal(out.numpy(), value)
        for k in where:
            assert leaves[k].grad.dtype == dtype and leaves[k].grad.shape == leaves[k].shape
            assert np.array_equal(leaves[k].numpy(), inputs[k].astype(dtype))


@pytest.mark.parametrize(
    "name", ["sum", "mean", "var", "std", "norm", "prod", "max", "min", "logsumexp"]
)
@pytest.mark.parametrize("axis", [None, 1, -1, (0, 1), ()])
def test_reductions_drop_the_axes_that_numpy_drops(name: str, axis: Any) -> None:
    x = r(1, 3, 1)
    for keepdims in (False, True):
        expected = np.sum(x, axis=axis, keepdims=keepdims).shape
        assert OPS[name](Tensor(x), axis=axis, keepdims=keepdims).shape == expected
