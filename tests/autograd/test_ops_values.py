"""What ops compute: against values recorded from PyTorch, at kinks, in the tails, on bad input."""

import json
import re
from array import array
from collections import deque
from collections.abc import Callable
from math import exp, inf
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import BroadcastableShapes, mutually_broadcastable_shapes

from minigrad import Tensor, check_grads, ops, to_host, xp
from minigrad.backend import current
from minigrad.tape import OPS
from tests.autograd.ops import call

RECORD = Path(__file__).parents[1] / "oracles" / "ops.npz"
with np.load(RECORD) as _file:
    ARRAYS = dict(_file)
CASES = json.loads(ARRAYS["cases"].item())


def decode(option: Any) -> Any:
    """An option from its JSON form: lists stand for tuples, dictionaries for parts of an index."""
    match option:
        case list():
            return tuple(map(decode, option))
        case "ellipsis":
            return ...
        case "newaxis":
            return None
        case {"slice": bounds}:
            return slice(*bounds)
        case {"array": values}:
            return np.array(values, dtype=np.int64)
        case {"mask": values}:
            return np.array(values, dtype=bool)
    return option


def test_every_op_is_recorded() -> None:
    missing = set(OPS) - {case["op"] for case in CASES}
    assert not missing, f"add {missing} to tests/record/ops.py, at the end, and run it"


@pytest.mark.parametrize(
    "i", range(len(CASES)), ids=[f"{i}-{c['op']}" for i, c in enumerate(CASES)]
)
def test_values_and_gradients_are_those_of_torch(i: int) -> None:
    case, record = CASES[i], ARRAYS[str(i)]
    wanted = case["differentiable"]
    inputs = [
        Tensor(record[f"in{k}"], requires_grad=k in wanted, dtype=record[f"in{k}"].dtype)
        for k in range(case["inputs"])
    ]
    out = call(case["op"], inputs, {name: decode(v) for name, v in case["kwargs"].items()})
    out.backward(record["seed"])
    pairs = [(out.data, record["out"]), *((inputs[k].grad, record[f"grad{k}"]) for k in wanted)]
    for got, expected in pairs:
        tolerance = 100 * np.finfo(expected.dtype).eps
        np.testing.assert_allclose(to_host(got), expected, tolerance, tolerance, strict=True)


# Broadcasting is undone in one place, so that few ops stand for all.
deterministic = settings(derandomize=True, database=None, deadline=None, max_examples=60)


@deterministic
@given(mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=4))
def test_two_operands_of_any_shapes_that_broadcast(both: BroadcastableShapes) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=shape) for shape in both.input_shapes)
    check_grads(ops.mul, x, y)
    one, other = Tensor(x, requires_grad=True), Tensor(y, requires_grad=True)
    out = one + other
    assert out.shape == both.result_shape
    out.backward(np.ones(out.shape))
    for leaf in (one, other):  # each element was used equally often
        expected = np.full(leaf.shape, out.size / (leaf.size or 1))
        np.testing.assert_array_equal(to_host(leaf.grad), expected, strict=True)


@deterministic
@given(mutually_broadcastable_shapes(signature=np.matmul.signature, min_side=0, max_side=3))
def test_products_of_matrices_of_any_shapes_that_fit(both: BroadcastableShapes) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=shape) for shape in both.input_shapes)
    np.testing.assert_allclose(ops.matmul(Tensor(x), Tensor(y)).numpy(), x @ y, strict=True)
    check_grads(ops.matmul, x, y)


@pytest.mark.parametrize(
    ("f", "inputs", "gradients"),
    [
        (ops.abs, [[-0.0, 0]], [[0, 0]]),
        (ops.relu, [[-0.0, 0]], [[0, 0]]),
        (ops.maximum, [[1, 2, 3], [2, 2, 2]], [[0, 0.5, 1], [1, 0.5, 0]]),
        (ops.minimum, [[1, 2, 3], [2, 2, 2]], [[1, 0.5, 0], [0, 0.5, 1]]),
        (ops.max, [[3, 1, 3, 3]], [[1 / 3, 0, 1 / 3, 1 / 3]]),
        (ops.min, [[[1, 1], [3, 2]]], [[[0.5, 0.5], [0, 0]]]),
        (lambda x: ops.max(x, axis=1), [[[1, 1], [3, 2]]], [[[0.5, 0.5], [1, 0]]]),
        (lambda x: ops.min(x, 0, True), [[[1, 1], [1, 2]]], [[[0.5, 1], [0.5, 0]]]),
        (ops.clip, [[-2, -1, 0, 1, 2], -1, 1], [[0, 1, 1, 1, 0], 1, 1]),
        (ops.clip, [0, 2, 1], [0, 0, 1]),  # between bounds that have crossed it is hi
        (lambda x: ops.clip(x, None, 1), [[-9, 0, 2]], [[1, 1, 0]]),
        (lambda x: ops.clip(x, lo=-1, hi=None), [[-9, 0, 2]], [[0, 1, 1]]),
        (lambda x: ops.sum(x, axis=-1), [2], [1]),
        (ops.pow, [[0, 0, 0], [0, 1, 2]], [[0, 1, 0], [0, 0, 0]]),
        (ops.norm, [[0, 0]], [[0, 0]]),
        (lambda x: ops.norm(x, axis=1), [[[0, 0], [3, -4]]], [[[0, 0], [0.6, -0.8]]]),
        (ops.std, [[1, 1]], [[0, 0]]),
        (ops.std, [[0.1, 0.1, 0.1]], [[0, 0, 0]]),
        (lambda x: ops.std(x, axis=0, ddof=1), [[[7e8], [7e8], [7e8]]], [[[0], [0], [0]]]),
        (ops.std, [5], [0]),
        (ops.logsumexp, [[-inf, -inf]], [[0, 0]]),
        (ops.leaky_relu, [[-0.0, 0]], [[0.01, 0.01]]),
        (lambda x: ops.elu(x, 0.5), [[-0.0, 0]], [[0.5, 0.5]]),
        (ops.prod, [[0, 0, 3]], [[0, 0, 0]]),
        (ops.prod, [[2, 0, 3]], [[0, 6, 0]]),
        (lambda x: ops.logsumexp(x, 1), [[[-inf, -inf], [0, -inf]]], [[[0, 0], [1, 0]]]),
        (ops.logsumexp, [[inf, 2, -inf, 1e30]], [[1, 0, 0, 0]]),
        (ops.logsumexp, [[inf, inf, 2]], [[0.5, 0.5, 0]]),
        (lambda x: ops.where(x > 0, ops.sqrt(ops.where(x > 0, x, 1)), 0), [[0, 4]], [[0, 0.25]]),
    ],
)
def test_the_gradient_at_a_kink_is_the_stated_one(
    f: Callable[..., Tensor], inputs: list[Any], gradients: list[Any]
) -> None:
    leaves = [Tensor(x, requires_grad=True) for x in inputs]
    f(*leaves).sum().backward()
    for leaf, expected in zip(leaves, gradients, strict=True):
        np.testing.assert_array_equal(to_host(leaf.grad), np.float32(expected), strict=True)


@pytest.mark.parametrize(
    ("f", "x", "value", "gradient"),
    [
        (ops.sigmoid, -700, exp(-700), exp(-700)),
        (ops.sigmoid, 1e4, 1, 0),
        (ops.softplus, -700, exp(-700), exp(-700)),
        (ops.softplus, 1e4, 1e4, 1),
        (ops.logsumexp, [1e4, 1e4 - 800], 1e4, [1, 0]),
        (ops.logsumexp, [-np.inf, 2], 2, [0, 1]),
        (lambda x: ops.softmax_cross_entropy(x, np.array([1])), [[1e4, -1e4]], 2e4, [[1, -1]]),
        (lambda x: ops.softmax_cross_entropy(x, np.array([0])), [[1e4, -1e4]], 0, [[0, 0]]),
    ],
)
def test_the_tails_are_accurate(f: Any, x: Any, value: Any, gradient: Any) -> None:
    leaf = Tensor(np.array(x, float), requires_grad=True)
    out = f(leaf)
    out.backward()
    np.testing.assert_allclose(out.numpy(), value, 1e-14, 0)
    np.testing.assert_allclose(to_host(leaf.grad), gradient, 1e-14, 0)


def test_large_float32_logits_make_probabilities_that_sum_to_1() -> None:
    logits = Tensor(np.array([[1e4, 1e4, 1e4 - 1]]))
    probabilities = ops.exp(ops.log_softmax(Tensor(logits, dtype="float32"))).numpy()
    np.testing.assert_allclose(probabilities.sum(), 1, 1e-6)


def test_a_logsumexp_of_nothing_but_infinity_is_that_infinity() -> None:
    with np.errstate(all="raise"):
        for peak in (-inf, inf):
            assert ops.logsumexp(Tensor([peak, peak])).item() == peak


def test_a_power_of_0_has_the_limits_of_its_gradients() -> None:
    for y, value, slope in [(-1, inf, -inf), (0, 1, 0), (0.5, 0, 0), (2, 0, 0)]:
        exponent = Tensor(np.array([y], float), requires_grad=True)
        with np.errstate(divide="ignore"):
            power = 0**exponent
            power.backward()
        assert (power.item(), exponent.grad.item()) == (value, slope)


SMALL = [-1000.0, -740, -708, 0, 1e-320, 700]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: ops.sigmoid(x),
        lambda x: ops.softplus(x),
        lambda x: ops.log_softmax(x),
        lambda x: ops.logsumexp(x),
        lambda x: ops.softmax_cross_entropy(x.reshape(1, -1), [1]),
        lambda x: ops.std(x),
        lambda x: ops.var(x),
        lambda x: ops.norm(x),
        lambda x: ops.mse(x, np.zeros(6)),
        lambda x: ops.layer_norm(x.reshape(1, -1), np.ones(6), np.zeros(6)),
        lambda x: ops.batch_norm(x.reshape(-1, 1), np.ones(1), np.zeros(1)),
        lambda x: ops.softmax(x),
        lambda x: ops.silu(x),
        lambda x: ops.gelu(x),
        lambda x: ops.elu(x),
        lambda x: ops.softmax_cross_entropy(x.reshape(1, -1), [1], smoothing=0.1),
    ],
)
def test_what_is_too_small_to_matter_raises_nothing(f: Any) -> None:
    for dtype in ("float32", "float64"):
        x = Tensor(SMALL, requires_grad=True, dtype=dtype)
        with np.errstate(all="raise"):
            f(x).backward(np.full(f(x).shape, 1e-10))
        assert np.isfinite(to_host(x.grad)).all()


@pytest.mark.parametrize("name", ["max", "min"])
def test_ties_are_shared_in_the_dtype_of_the_gradient(name: str) -> None:
    pullback = OPS[name](Tensor([[1.0, 1], [2, 2]], requires_grad=True), axis=0)._inputs[0][2]
    assert pullback(xp.ones(2, "float32")).dtype == "float32"


@pytest.mark.parametrize("name", ["sum", "mean", "var", "max", "logsumexp", "norm"])
def test_a_bad_axis_is_an_index_error_and_a_list_asks_for_a_tuple(name: str) -> None:
    with pytest.raises(IndexError, match=rf"^{name} of shapes \(2, 3\): axis 2 is out of bounds"):
        OPS[name](X, axis=2)
    for reduced in (lambda: OPS[name](X, [0]), lambda: OPS[name](X, axis=[0])):
        with pytest.raises(TypeError, match=rf"{name}: axis=\[0\] is a list; give a tuple, \(0,\)"):
            reduced()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.clip(lo=np.float64(0), hi=1),
        lambda x: ops.mul(x, y=np.float64(2)),
        lambda x: ops.where(x.data > 0, 1.0, 0) * x,
        lambda x: ops.stack([x.sum(), 2.0]),
        lambda x: ops.linear(xp.ones((2, 2), "int64"), ops.stack([x, x]), x),
    ],
)
def test_float32_stays_float32(f: Callable[[Tensor], Tensor]) -> None:
    assert f(Tensor([1.0, 2.0], requires_grad=True)).dtype == "float32"


def test_a_float32_leaf_beside_a_float64_one_keeps_its_dtype() -> None:
    x = Tensor([1 / 3], requires_grad=True)
    y = Tensor(np.array([1 / 7]), requires_grad=True)
    out = x * y + x
    out.backward([1 / 9])
    assert (out.dtype, x.grad.dtype, y.grad.dtype) == ("float64", "float32", "float64")
    np.testing.assert_allclose(to_host(x.grad), [8 / 63], 1e-7)
    np.testing.assert_array_equal(to_host(y.grad), np.float64(1 / 9) * np.float32(1 / 3))


X, N = Tensor(np.zeros((2, 3))), xp.zeros(4)
LOGITS = Tensor(np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda: X + N, "add of shapes (2, 3), (4,): "),
        (lambda: N - X, "sub of shapes (4,), (2, 3): "),
        (lambda: X @ X, "matmul of shapes (2, 3), (2, 3): "),
        (lambda: X.reshape(4, 2), "reshape of shapes (2, 3): "),
        (lambda: X.sum(axis=2), "sum of shapes (2, 3): axis 2 "),
        (lambda: X.mean(axis=-3), "mean of shapes (2, 3): axis -3 "),
        (lambda: X.var(axis=(0, 5)), "var of shapes (2, 3): axis 5 "),
        (lambda: X.var(axis=0, ddof=2), "var of shapes (2, 3): ddof=2 leaves no degree of freedom"),
        (lambda: X.broadcast_to((3, 3)), "broadcast_to of shapes (2, 3): "),
        (lambda: ops.where(N > 0, X, 0), "where of shapes (4,), (2, 3): "),
        (lambda: ops.concatenate([X, X.T], 1), "concatenate of shapes (2, 3), (3, 2): "),
        (lambda: ops.stack([X, X.T]), "stack of shapes (2, 3), (3, 2): "),
        (lambda: ops.stack([]), "stack of shapes : "),
        (lambda: ops.concatenate([X, X], axis=5), "concatenate of shapes (2, 3), (2, 3): axis 5"),
        (lambda: ops.concatenate(tensors=[X, X], axis=None), "axis=None: give the axis"),
        (lambda: ops.concatenate([X.sum(), X.sum()]), "concatenate of shapes (), (): "),
        (lambda: X @ 2, "matmul of shapes (2, 3): a number is no matrix; multiply by it with *"),
        (lambda: X[:, :0].mean(axis=1), "mean of shapes (2, 0): there is no element"),
        (lambda: ops.mse(X[:0], X[:0]), "mse of shapes (0, 3), (0, 3): x and y are empty"),
        (lambda: ops.linear(X, X, N), "linear of shapes (2, 3), (2, 3), (4,): x, w and b must be"),
        (lambda: ops.linear(X[0], X.T, N[:2]), "linear of shapes (3,), (3, 2), (2,): x, w and b"),
        (lambda: ops.linear(X, X[0], N[0]), "linear of shapes (2, 3), (3,), (): x, w and b"),
        (lambda: ops.linear(X, X.T, X[:, :2]), "linear of shapes (2, 3), (3, 2), (2, 2): x, w"),
        (lambda: ops.linear(X, X.T, N[:1]), "linear of shapes (2, 3), (3, 2), (1,): x, w and b"),
        (lambda: ops.mse(X[:, :1], X[:, 0]), "x (2, 1) and y (2,) must have one shape: reshape"),
        (
            lambda: ops.softmax_cross_entropy(LOGITS, [0, 1.5]),
            "labels of dtype float64 are not int",
        ),
        (lambda: ops.softmax_cross_entropy(LOGITS, [True, False]), "labels of dtype bool are not"),
        (lambda: ops.softmax_cross_entropy(LOGITS, [0]), "logits (2, 3) and labels (1,) are not"),
        (lambda: ops.softmax_cross_entropy(LOGITS, [[0], [1]]), "and labels (2, 1) are not (n, cl"),
        (lambda: ops.softmax_cross_entropy(LOGITS[0], [0, 1]), "logits (3,) and labels (2,) are n"),
        (lambda: ops.softmax_cross_entropy(LOGITS[:0], []), "logits (0, 3) and labels (0,) are"),
    ],
)
def test_operands_that_do_not_fit_are_refused_by_name_and_shape(f: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        f()


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (
            lambda: ops.softmax_cross_entropy(LOGITS, [0, 1], smoothing=2),
            "smoothing=2 is no part of",
        ),
        (
            lambda: ops.softmax_cross_entropy(LOGITS, [0, 1], weights=[1, 2]),
            "one for each of the 3",
        ),
        (lambda: ops.embedding(X, [0.0]), "an index of dtype float64; give integers"),
        (lambda: ops.einsum("ij->i", X, X), "subscripts 'ij->i': give two operands"),
        (lambda: ops.einsum("ii,ij->j", X, X), "subscripts 'ii,ij->j': give two operands, with no"),
        (lambda: ops.einsum("...i,i", X, X), "give two operands"),
        (lambda: ops.einsum("ij,jk", X, X), "einsum of shapes (2, 3), (2, 3): "),
        (lambda: ops.batch_norm(X[:1], 1.0, 0.0), "one example has no variance"),
        (lambda: X.squeeze(0), "squeeze of shapes (2, 3): "),
        (lambda: X.pad((1, 2, 3)), "pad of shapes (2, 3): "),
    ],
)
def test_further_ops_refuse_what_does_not_fit(f: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        f()


@pytest.mark.skipif(not current().on_host, reason="a look at indices would stall a device")
def test_an_index_of_no_row_and_labels_that_all_are_ignored_are_refused() -> None:
    for index, said in ([-1, 0], "from -1 to 0"), ([0, 2], "from 0 to 2"):
        with pytest.raises(ValueError, match=rf"indices {said}; give some in 0\.\.1\."):
            ops.embedding(X, index)
    with pytest.raises(ValueError, match="no label counts"):
        ops.softmax_cross_entropy(LOGITS, [7, 7], ignored=7)
    with pytest.raises(ValueError, match=r"label 3 is not a class index in 0\.\.2\."):
        ops.softmax_cross_entropy(LOGITS, [3, 7], ignored=7)


def test_a_norm_does_not_see_a_shift_of_its_inputs() -> None:
    x = np.random.default_rng(0).integers(-999, 999, (6, 4)) / 1024
    for f in (ops.layer_norm, ops.batch_norm):
        one, other = (Tensor(x + shift, requires_grad=True) for shift in (0, 2.0**30))
        for t in (one, other):
            (f(t, 2.0, 1.0) ** 3).sum().backward()
        np.testing.assert_allclose(to_host(other.grad), to_host(one.grad), 1e-11, 1e-11)


def test_logits_of_minus_infinity_take_no_part() -> None:
    logits = Tensor(np.array([[0.0, -inf, 1.0]]), requires_grad=True)
    loss = ops.softmax_cross_entropy(logits, [2], weights=[1, 1, 2])
    loss.backward()
    p = exp(1) / (1 + exp(1))
    np.testing.assert_allclose(loss.item(), -np.log(p), 1e-14)
    np.testing.assert_allclose(to_host(logits.grad), [[1 - p, 0, p - 1]], 1e-14)


def test_a_cast_keeps_the_dtype_that_it_names() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x.astype("float64")
    (y * y).sum().backward()
    assert (y.dtype, x.grad.dtype) == ("float64", "float32") and to_host(x.grad).tolist() == [2, 4]
    assert x.astype("int64").dtype == "int64"


@pytest.mark.skipif(not current().on_host, reason="a look at labels would stall a device")
@pytest.mark.parametrize(("labels", "bad"), [([0, 3], 3), ([0, -1], -1), (np.uint8([255, 0]), 255)])
def test_labels_out_of_range_are_refused(labels: Any, bad: int) -> None:
    with pytest.raises(ValueError, match=rf"label {bad} is not a class index in 0\.\.2\."):
        ops.softmax_cross_entropy(LOGITS, labels)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda: X * [1, 2, 3], "mul: (.*; or )?make the operand .1, 2, 3. a Tensor"),
        (lambda: (1, 2, 3) - X, "sub: (.*; or )?make the operand .1, 2, 3. a Tensor"),
        (lambda: X @ [1, 2, 3], "matmul: (.*; or )?make the operand .1, 2, 3. a Tensor"),
        (lambda: ops.mse(X[0], [1, 2, 3]), "mse: (.*; or )?make the operand .1, 2, 3. a Tensor"),
        (
            lambda: ops.concatenate([[1], [2]]),
            "concatenate: (.*; or )?make the operand .1. a",
        ),
        (lambda: X.sum((0, 1.0)), "'float' object cannot be interpreted as an integer; or make"),
        (lambda: ops.clip(X, lo=X, hi=1), "clip: pass Tensors by position, not by keyword."),
        (lambda: ops.linear(X, X.T, b=X[0, :2]), "linear: pass Tensors by position"),
    ],
)
def test_operands_that_would_lose_their_gradient_are_refused(f: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        f()


def test_an_attribute_error_inside_an_op_is_not_hidden() -> None:
    with pytest.raises(AttributeError, match="'float' object has no attribute 'sum'"):
        ops.sum(1.0)


@pytest.mark.parametrize("join", [ops.stack, ops.concatenate])
def test_any_iterable_of_tensors_can_be_joined(join: Any) -> None:
    x = Tensor([[1.0], [2]], requires_grad=True)
    join(row * 3 for row in x).sum().backward()
    np.testing.assert_array_equal(to_host(x.grad), np.full((2, 1), 3, np.float32))


def test_the_pullbacks_of_many_joined_tensors_are_as_cheap_as_those_of_stacked_ones() -> None:
    def seconds(join: Any) -> float:
        out = join([Tensor([1.0], requires_grad=True) for _ in range(1000)]).sum()
        began = process_time()
        out.backward()
        return process_time() - began

    assert min(seconds(ops.concatenate) for _ in range(3)) < 20 * max(
        seconds(ops.stack) for _ in range(3)
    )


@pytest.mark.parametrize("sequence", [array("i", [0, 0, 2]), deque([0, 0, 2]), (0, 0, 2)])
def test_a_sequence_of_any_kind_that_repeats_an_index_adds_up(sequence: Any) -> None:
    x = Tensor([[1.0, 2, 3]], requires_grad=True)
    x[:, sequence].sum().backward()
    assert to_host(x.grad).tolist() == [[2, 0, 1]]


@pytest.mark.parametrize("value", [0.1, 1 / 3, 7e8 + 0.1])
def test_a_constant_whose_mean_is_rounded_has_no_deviation(value: float) -> None:
    for n in (3, 7, 1000):
        x = Tensor(np.full((2, n), value), requires_grad=True)
        y = x.std(axis=1) + x.var(axis=1)
        y.sum().backward()
        assert not to_host(y.data).any() and not to_host(x.grad).any()


@pytest.mark.parametrize("start", [2, -3, 5])
def test_flatten_refuses_an_axis_that_is_not_there(start: int) -> None:
    with pytest.raises(IndexError, match=f"axis {start} is out of bounds"):
        ops.flatten(Tensor(np.ones((2, 3))), start)


def test_a_squeeze_of_nothing_is_seen_as_a_view() -> None:
    buffer, leaf = np.ones((3, 2)), Tensor(np.ones((3, 2)), requires_grad=True)
    loss = (leaf * ops.squeeze(buffer)).sum()
    buffer[...] = 2
    with pytest.raises(RuntimeError, match="was written to after it was used"):
        loss.backward()
