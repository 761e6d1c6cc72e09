import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, to_host, xp
from models import MLP


def leaf(*values: Any) -> Tensor:
    return Tensor(values, requires_grad=True)


def grad(x: Tensor) -> Any:
    return None if x.grad is None else to_host(x.grad).tolist()


# Construction


@pytest.mark.parametrize(
    ("data", "dtype", "expected"),
    [
        (1, None, "float32"),
        ([1, 2.5], None, "float32"),
        (np.arange(3), None, "float32"),
        (np.ones(3, "float16"), None, "float32"),
        (np.ones(3), None, "float64"),
        (np.ones(3, ">f8"), None, "float64"),
        (np.ones(3, ">f4"), None, "float32"),
        (np.float64(1), None, "float64"),
        (np.ones(3), "float32", "float32"),
        ([1.5], np.float64, "float64"),
        ([1, 2], int, "int64"),
        (Tensor(np.ones(3)), None, "float64"),
    ],
)
def test_float32_unless_told_otherwise_and_always_a_copy(
    data: Any, dtype: Any, expected: str
) -> None:
    t = Tensor(data, dtype=dtype)
    assert t.dtype == expected and not t.requires_grad and t.grad is None
    np.testing.assert_array_equal(t.numpy(), data.numpy() if isinstance(data, Tensor) else data)
    if isinstance(data, Tensor):
        data = data.data
    assert not isinstance(data, np.ndarray) or not np.shares_memory(to_host(t.data), data)


@pytest.mark.parametrize(
    ("data", "dtype", "message"),
    [
        (np.arange(3), None, "data of dtype int64, requires_grad=True): only floats"),
        (np.array([True]), None, "data of dtype bool"),
        ([1.0], int, "tensors that require gradients are float32 or float64"),
        ([1.0], "float16", "dtype float16: tensors that require"),
    ],
)
def test_only_float32_and_float64_require_gradients(data: Any, dtype: Any, message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        Tensor(data, requires_grad=True, dtype=dtype)


@pytest.mark.parametrize("data", [None, [None, 1], [1j], np.array([1j]), "a", [{}], 1j])
def test_only_real_numbers_make_a_tensor(data: Any) -> None:
    with pytest.raises(TypeError, match=r"^Tensor\(.*\): .*; give real numbers"):
        Tensor(data)
    for dtype in (complex, object, "U3", "longdouble"):
        for cast in (
            lambda dtype=dtype: Tensor([1.0], dtype=dtype),
            lambda dtype=dtype: leaf(1).astype(dtype),
        ):
            with pytest.raises(TypeError, match="real"):
                cast()


def test_attributes() -> None:
    t = Tensor(np.arange(6.0).reshape(2, 3))
    assert (t.shape, t.ndim, t.size, len(t), t.T.shape) == ((2, 3), 2, 6, 2, (3, 2))
    assert t[1, 2].item() == float(t[1, 2]) == 5.0 and isinstance(t[1, 2].item(), float)
    assert type((Tensor(1) * 2).numpy()) is np.ndarray  # NumPy itself makes scalars of 0-d arrays
    assert repr(Tensor([1])) == "Tensor(array([1.], dtype=float32))"
    assert repr(leaf(1)) == "Tensor(array([1.], dtype=float32), requires_grad=True)"
    assert bool(Tensor(1)) and not bool(Tensor([0]))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(t)


def test_iteration_gives_rows_that_carry_gradients() -> None:
    x = Tensor([[1, 2], [3, 4]], requires_grad=True)
    first, second = x
    (first * 10 + second).sum().backward()
    assert grad(x) == [[10, 10], [1, 1]]
    for nonsense in (iter, len):
        with pytest.raises(TypeError):
            nonsense(Tensor(1))


# Operators


BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.parametrize("other", [2, 2.5, np.float32(3), np.arange(1, 4, dtype="float32")])
@pytest.mark.parametrize("operation", BINARY)
def test_operators_take_numbers_and_arrays_on_both_sides(
    operation: Callable[[Any, Any], Any], other: Any
) -> None:
    data = np.array([3, 4, 5], "float32")
    t, raw = Tensor(data), xp.asarray(other) if np.ndim(other) else other
    for got, expected in [
        (operation(t, raw), operation(data, other)),
        (operation(raw, t), operation(other, data)),
        (operation(t, t), operation(data, data)),
    ]:
        assert isinstance(got, Tensor)
        np.testing.assert_array_equal(got.numpy(), expected, strict=True)


def test_matmul_with_an_array_on_either_side_and_unary_operators() -> None:
    data = np.arange(4, dtype="float32").reshape(2, 2)
    t, raw = Tensor(data), xp.asarray(data + 1)
    for got, expected in [
        (t @ raw, data @ (data + 1)),
        (raw @ t, (data + 1) @ data),
        (-t, -data),
        (abs(-t), data),
        (t[1], data[1]),
        (t[Tensor([1, 0], dtype=int)], data[[1, 0]]),
    ]:
        assert isinstance(got, Tensor)
        np.testing.assert_array_equal(got.numpy(), expected, strict=True)


@pytest.mark.parametrize("compare", COMPARISONS)
def test_comparisons_compare_data_and_give_arrays(compare: Callable[[Any, Any], Any]) -> None:
    data, other = np.array([1, 2, 3]), np.array([2, 2, 2])
    t, raw = Tensor(data), xp.asarray(other)
    for got, expected in [
        (compare(t, Tensor(other)), compare(data, other)),
        (compare(t, raw), compare(data, other)),
        (compare(raw, t), compare(other, data)),
        (compare(t, 2), compare(data, 2)),
        (compare(2, t), compare(2, data)),
    ]:
        assert not isinstance(got, Tensor)
        np.testing.assert_array_equal(to_host(got), expected, strict=True)


def test_tensors_are_hashed_by_identity() -> None:
    same = [leaf(1), leaf(1), leaf(1)]
    assert len(set(same)) == 3
    table = {t: i for i, t in enumerate(same)}
    assert [table[t] for t in same] == [0, 1, 2] and leaf(1) not in table


def test_numpy_does_not_convert_tensors_and_the_cure_keeps_the_gradient() -> None:
    for convert in (np.asarray, np.array):
        with pytest.raises(TypeError, match=r"use \.numpy\(\) or \.data"):
            convert(leaf(1))
    for convert in (np.array, Tensor, MLP([1, 1])):
        with pytest.raises(TypeError, match=r"ops\.stack for a list of Tensors"):
            convert([leaf(1), leaf(2)])


@pytest.mark.parametrize(
    ("call", "name", "op"),
    [
        (np.exp, "exp", "exp"),
        (np.sum, "sum", "sum"),
        (lambda t: np.dot(t, t), "dot", "matmul"),
        (np.linalg.norm, "linalg.norm", "norm"),
        (np.negative, "negative", "neg"),
        (np.add.reduce, "add", "add"),
        (lambda t: np.multiply(t, 2), "multiply", "mul"),
        (lambda t: np.maximum(0, t), "maximum", "maximum"),
        (lambda t: np.concatenate([t, t]), "concatenate", "concatenate"),
        (lambda t: np.vstack([np.ones(1), t]), "vstack", "concatenate"),
        (lambda t: np.stack([t, t]), "stack", "stack"),
        (lambda t: np.where([True], t, 0), "where", "where"),
        (lambda t: np.add(np.ones(1), t, out=np.ones(1)), "add", "add"),
    ],
)
def test_a_function_of_numpy_names_the_op(call: Any, name: str, op: str) -> None:
    message = (
        rf"np\.{re.escape(name)} would lose the gradient of a Tensor; use minigrad\.ops\.{op},"
    )
    with pytest.raises(TypeError, match=message):
        call(leaf(1))


def test_a_function_of_numpy_that_is_no_op_says_so() -> None:
    for call in (np.sinc, np.floor, lambda t: np.ones(1) // t):
        with pytest.raises(TypeError, match=r"use \.numpy\(\) .*: minigrad\.ops has no op of that"):
            call(leaf(1))
    assert (np.shape(leaf(1)), np.ndim(leaf(1)), np.size(leaf(1))) == ((1,), 1, 1)


def test_an_array_is_not_changed_by_a_tensor_in_place() -> None:
    array = np.ones(2)
    with pytest.raises(TypeError, match=r"np\.add would lose the gradient"):
        array += leaf(1, 2)
    assert array.tolist() == [1, 1]


def test_in_place_operators_and_item_assignment_name_the_cure() -> None:
    for name in ("iadd", "isub", "imul", "itruediv", "ipow", "imatmul"):
        t = before = leaf(1)
        with pytest.raises(TypeError, match=r"write t = t \+ value, or t\.data \+= value"):
            t = getattr(operator, name)(t, 2)
        assert t is before
    with pytest.raises(TypeError, match=r"use ops\.where, or t\.data = value"):
        t[0] = 1


def test_a_tensor_of_one_number_is_formatted_as_that_number():
    loss = Tensor([0.125]).sum()
    assert f"{loss:.2f} {loss}" == f"0.12 {loss!r}"
    with pytest.raises(ValueError):
        f"{Tensor([1.0, 2.0]):.2f}"
