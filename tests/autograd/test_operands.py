"""What may stand beside a Tensor: whose arrays, which dtypes, and who may write to them."""

import re
from array import array
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, no_grad, ops, to_host, xp
from minigrad.convert import plain
from minigrad.walk import Borrowed
from models import MLP
from tests.driving import host_only

VALUES = [[1.0, 2.0], [3.0, 4.0]]
OPERATORS: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x / y,
    lambda x, y: x**y,
    lambda x, y: x @ y,
]


def leaf(values: Any = VALUES, dtype: Any = "float64") -> Tensor:
    return Tensor(values, requires_grad=True, dtype=dtype)


# Arrays that are no plain ones. Stand-ins for what libraries offer, which some machines lack.


class Converts:
    """What converts itself, and has labels that arithmetic would follow."""

    def __init__(self, array: Any):
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.array, dtype)

    def __mul__(self, other: Any) -> Any:
        raise AssertionError("a Tensor stands on the right: its turn")

    __pandas_priority__ = 3000


class Series(Converts):
    def isna(self) -> Any:
        return [x is None or x != x for x in self.array]


class ArrowArray(Converts):
    @property
    def null_count(self) -> int:
        return sum(x is None for x in self.array)


class Sparse:
    def toarray(self) -> Any:
        raise AssertionError("not made dense without being asked to")

    def __len__(self) -> int:
        raise TypeError("sparse")


class OnAnotherDevice(Converts):
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("call detach() first")


@host_only
@pytest.mark.parametrize("operation", OPERATORS)
@pytest.mark.parametrize(
    "make",
    [
        Converts,
        lambda v: np.array(v, object),
        lambda v: np.array(v).view(np.matrix),
        lambda v: np.array(v).view(np.memmap),
        np.asfortranarray,
    ],
    ids=["converts itself", "objects", "matrix", "memmap", "columns"],
)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_an_array_of_another_kind_is_taken_by_position(make: Any, operation: Any) -> None:
    x, y = leaf(), np.array(VALUES) + 1
    got, expected = operation(x, make(y)), operation(np.array(VALUES), y)
    assert type(got.data) is np.ndarray
    np.testing.assert_array_equal(got.data, expected, strict=True)
    got.backward(make(np.ones((2, 2))))
    same = leaf()
    operation(same, Tensor(y)).backward(np.ones((2, 2)))
    np.testing.assert_array_equal(x.grad, same.grad, strict=True)


@host_only
def test_an_object_that_converts_itself_is_taken_everywhere() -> None:
    ones, picks = Converts(np.ones(2)), Converts([1, 0])
    t = Tensor(ones, requires_grad=True)
    assert t.dtype == "float64" and Tensor(Converts(np.ones(2, "float32"))).dtype == "float32"
    t.data = Converts([1.0, 2.0])
    t.grad = Converts([3.0, 4.0])
    assert (t.data.tolist(), t.grad.tolist()) == ([1, 2], [3, 4])
    assert t[picks].data.tolist() == t[(picks,)].data.tolist() == [2, 1]
    assert (t < Converts([2.0, 2.0])).tolist() == [True, False]
    assert ops.where(Converts([True, False]), t, 0).data.tolist() == [1, 0]
    assert ops.stack([t, ones]).data.tolist() == [[1, 2], [1, 1]]
    assert ops.maximum(t, y=Converts([1.5, 0])).data.tolist() == [1.5, 2]
    model = MLP([2, 3], rng=0)
    loss = model.loss(Converts(np.ones((1, 2), "float32")), Converts([2]))
    assert loss.item() == model.loss(np.ones((1, 2), "float32"), [2]).item()
    state = {name: Converts(values) for name, values in model.state_dict().items()}
    model.load_state_dict(state)


UNFIT = [
    (Sparse(), "a tests.Sparse is sparse; make it dense"),
    (np.ma.masked_array(VALUES, mask=[[0, 1], [0, 0]]), "numpy.*MaskedArray has a mask, which"),
    (np.array(VALUES, complex), "the dtype is complex128; give real numbers"),
    (1j, "1j is complex; give real numbers"),
    (np.complex64(1j), "the dtype is complex64; give real numbers"),
    (np.longdouble(1), "give real numbers, of float64 at most"),
    (np.array(["1", "2"]), "the dtype is <U1; give real numbers"),
    (np.array([1, None]), "the dtype is object; give real numbers"),
    (np.array(["2026-01-01"], "datetime64[D]"), r"the dtype is datetime64\[D\]; give real numbers"),
    (Series([1.0, float("nan")]), "a tests.Series has missing values; fill them"),
    (ArrowArray([1, None]), "a tests.ArrowArray has missing values; fill them"),
    (OnAnotherDevice([1]), r"OnAnotherDevice does not convert to NumPy: call detach\(\) first"),
]


@pytest.mark.parametrize(("unfit", "message"), UNFIT)
def test_what_would_be_taken_wrongly_is_refused_by_name(unfit: Any, message: str) -> None:
    t, model = leaf(), MLP([2, 3], rng=0)
    for use, prefix in [
        (lambda: Tensor(unfit), r"^Tensor\("),
        (lambda: t * unfit, "^mul: "),
        (lambda: t.__rsub__(unfit), "^sub: "),
        (lambda: ops.maximum(t, y=unfit), "^maximum: "),
        (lambda: t[unfit], "^getitem: "),
        (lambda: t[0, unfit], "^getitem: "),
        (lambda: ops.stack([t, unfit]), "^stack: "),
        (lambda: t < unfit, "^"),
        (lambda: setattr(t, "data", unfit), "^"),
        (lambda: setattr(t, "grad", unfit), "^"),
        (lambda: (t * 1).backward(unfit), "^"),
        (lambda: model(unfit), "^"),
    ]:
        with pytest.raises(TypeError, match="(?s)" + prefix + ".*" + message):
            use()
    assert to_host(t.data).tolist() == VALUES and t.grad is None
    state = model.state_dict() | {"output.bias": unfit}
    with pytest.raises((TypeError, ValueError)):
        model.load_state_dict(state)


@host_only
def test_numbers_that_no_array_computes_with_are_refused() -> None:
    for number in (Fraction(1, 2), np.array([Fraction(1, 2)])):
        with pytest.raises(TypeError, match=r"mul.*real numbers"):
            leaf() * number
    for operand in (range(2), memoryview(np.ones(2)), array("d", [1, 2]), (1, 2)):
        with pytest.raises(TypeError, match=r"mul.*make the operand .* a Tensor"):
            leaf() * operand


def test_what_is_no_array_passes() -> None:
    for value in (None, 1.5, 2, True, slice(1), ..., [1], (1, 2), "text", np.float32, object()):
        assert plain(value) is value


# The same with the libraries themselves, where they are installed


@host_only
def test_pandas() -> None:
    pd = pytest.importorskip("pandas")
    labels = [3, 4]
    for made in (
        pd.Series([1.0, 2.0], labels),
        pd.Series([1, 2], labels, dtype="Int64"),
        pd.Series([1.0, 2.0], labels, dtype="Float64"),
        pd.Index([1.0, 2.0]),
        pd.array([1, 2], dtype="Int8"),
        pd.arrays.SparseArray([1.0, 2.0]),
        pd.DataFrame({"a": [1.0, 1.0], "b": [2, 2]}, labels),
        pd.DataFrame({"a": [1, 1], "b": [2.0, 2.0]}, labels).convert_dtypes(),
    ):
        for multiply in (lambda x, y: x * y, lambda x, y: y * x):
            x = Tensor([3.0, 5.0], requires_grad=True)
            product = multiply(x, made)
            product.sum().backward()
            assert isinstance(product, Tensor) and product.numpy().ravel()[:2].tolist() == [3, 10]
            assert x.grad.tolist() == ([1, 2] if made.ndim == 1 else [2, 4])
        assert Tensor(made).numpy().ravel().tolist()[:2] == [1, 2]
    assert leaf()[pd.Series([True, False], labels)].data.tolist() == VALUES[:1]
    for missing in ([1, None], [1.0, float("nan")]):
        for dtype in ("Int64", "Float64", "float64"):
            with pytest.raises(TypeError, match=r"a pandas.Series has missing values"):
                Tensor(pd.Series(missing, dtype=dtype))
    with pytest.raises(TypeError, match=r"a pandas.DataFrame has missing values"):
        leaf() - pd.DataFrame({"a": [1, None], "b": [1, 2]})
    for text in (pd.Series(["1", "2"]), pd.Series(["1", "2"], dtype="category")):
        with pytest.raises(TypeError, match="give real numbers"):
            Tensor(text)


@host_only
def test_scipy() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    for make in (sparse.csr_matrix, sparse.coo_array):
        for use in (lambda s: leaf() * s, lambda s: Tensor(s), lambda s: MLP([2, 2])(s)):
            with pytest.raises(TypeError, match=r"a scipy\.\w+ is sparse; make it dense"):
                use(make(VALUES))
        with pytest.raises(TypeError):
            make(VALUES) * leaf()


@host_only
def test_torch() -> None:
    torch = pytest.importorskip("torch")
    made = torch.tensor(VALUES)
    assert Tensor(made).dtype == "float32" and Tensor(made.double()).dtype == "float64"
    for product in (leaf() * made, made * leaf()):
        assert isinstance(product, Tensor) and product.data.tolist() == [[1, 4], [9, 16]]
    for unfit in (made.requires_grad_(), made.detach().bfloat16(), made.detach().to_sparse()):
        with pytest.raises(TypeError, match=r"^Tensor\(.*\): a torch.Tensor "):
            Tensor(unfit)


@host_only
def test_xarray() -> None:
    xarray = pytest.importorskip("xarray")
    made = xarray.DataArray(VALUES, dims=("y", "x"))
    assert (leaf() * made).data.tolist() == [[1, 4], [9, 16]]
    assert Tensor(made).data.tolist() == VALUES
    with pytest.raises(TypeError, match=r"not converted implicitly.* use \.numpy\(\)"):
        made * leaf()  # which would be an array of xarray's around a Tensor


@host_only
def test_an_array_at_the_left_leaves_the_operator_to_the_tensor() -> None:
    assert not hasattr(leaf(), "__array_ufunc__") and not hasattr(leaf(), "__array_function__")
    masked = np.ma.masked_array(VALUES, mask=[[0, 1], [0, 0]])
    for use in (lambda t: masked * t, lambda t: np.add(masked, t), lambda t: Tensor([masked])):
        with pytest.raises(TypeError, match="has a mask"):
            use(leaf())


@host_only
def test_jax() -> None:
    jnp = pytest.importorskip("jax.numpy")
    made = jnp.array(VALUES)
    for product in (leaf() * made, made * leaf()):
        assert isinstance(product, Tensor) and product.data.tolist() == [[1, 4], [9, 16]]
    with pytest.raises(TypeError, match="the dtype is bfloat16; give real numbers"):
        Tensor(made.astype("bfloat16"))


# Dtypes


@pytest.mark.parametrize(
    "other",
    [
        2,
        2.5,
        True,
        np.float64(2),
        np.int64(2),
        np.array(2.0),
        np.array(2),
        np.array([1, 2]),
        np.array([1, 2], "uint8"),
        np.array([True, False]),
        np.array([1, 2], "float16"),
        Tensor([1, 2], dtype="int64"),
        Tensor([1, 0], dtype=bool),
    ],
    ids=repr,
)
def test_only_float64_promotes_float32(other: Any) -> None:
    if isinstance(other, np.ndarray) and other.ndim:
        other = xp.asarray(other)
    for operation in OPERATORS[:-1]:
        for swapped in (False, True):
            for dtype in ("float32", "float64"):
                x = Tensor([1.0, 2.0], requires_grad=True, dtype=dtype)
                with np.errstate(divide="ignore", invalid="ignore"):
                    y = operation(other, x) if swapped else operation(x, other)
                    y.sum().backward()
                assert y.dtype == x.grad.dtype == dtype


@pytest.mark.parametrize(
    "other", [xp.ones(1), xp.ones((2, 1)), Tensor(np.ones(2)), Tensor(np.float64(1))]
)
def test_float64_promotes(other: Any) -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    for y in (
        x * other,
        other * x,
        ops.maximum(x, other),
        ops.stack([x.sum(), Tensor(xp.ones(1)).sum()]),
    ):
        assert y.dtype == "float64"


def test_integers_alone_stay_integers_until_they_are_divided() -> None:
    n = Tensor([1, 2], dtype="int64")
    assert (n + 1).dtype == n.sum().dtype == n[0].dtype == "int64"
    assert (n / 2).dtype == n.mean().dtype == n.exp().dtype == "float32"


def test_a_model_takes_a_list_for_float32() -> None:
    model = MLP([2, 3, 2], rng=0)
    for batch in (VALUES, [[1, 2]], [np.array([1.0, 2.0])]):
        assert model(batch).dtype == "float32"
    assert model(np.array(VALUES)).dtype == "float64"


# Who may write to an operand


def refilled(loss: Callable[[Tensor, Any], Tensor], array: Any, new: Any) -> Any:
    """The gradient of a loss of an array that has been written to since."""
    x = leaf(np.arange(array.size, dtype="float64").reshape(array.shape))
    out = loss(x, array)
    array[...] = new
    out.backward()
    return x.grad


USES: list[Callable[[Tensor, Any], Tensor]] = [
    lambda x, a: (x * a).sum(),
    lambda x, a: (a * x).sum(),
    lambda x, a: (x * a.T.T).sum(),
    lambda x, a: (x.T * a.T).sum(),
    lambda x, a: (x[::2] * a[::2]).sum(),
    lambda x, a: (x * ops.reshape(a, a.shape)).sum(),
    lambda x, a: (x * ops.transpose(ops.transpose(a))).sum(),
    lambda x, a: ops.stack([x, a]).sum(),
    lambda x, a: ops.mse(x, a),
]


@host_only
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "shape", [(), (3,), (1500,), (128, 784), (5000, 7), (1, 40_000), (9, 8, 7)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_buffer_that_was_refilled_is_noticed(use: Any, shape: Any, dtype: str) -> None:
    rng = np.random.default_rng(0)
    buffer = rng.normal(size=shape).astype(dtype)
    if not shape:
        assert refilled(lambda x, a: x * a, buffer, 7).item() != 7
        return
    if len(shape) == 3 or shape[0] < 2:
        use = USES[0]
    with pytest.raises(RuntimeError, match=r"an array of shape .* was written to .* pass a copy"):
        refilled(use, buffer, rng.normal(size=shape))


@host_only
@pytest.mark.parametrize("shape", [(3, 1000), (1000, 3), (128, 784), (1024, 1024)])
def test_the_refill_of_one_row_is_noticed(shape: Any) -> None:
    rng = np.random.default_rng(0)
    for row in (0, 1, shape[0] // 2, shape[0] - 1):
        buffer = rng.normal(size=shape)
        new = buffer.copy()
        new[row] += 1
        with pytest.raises(RuntimeError, match="was written to"):
            refilled(USES[0], buffer, new)


@host_only
def test_what_is_looked_at_is_in_every_column() -> None:
    for shape in ((300, 784), (5000, 784), (2000, 16), (900, 3072)):
        seen = np.zeros(shape, bool)
        at = np.arange(seen.size, dtype="float64").reshape(shape)
        places = np.frombuffer(Borrowed(at)._version).astype(int)
        seen.ravel()[places] = True
        assert len(places) <= 1100 and seen.any(0).mean() > 0.25


@host_only
def test_integers_and_masks_are_copied() -> None:
    for operand, new in [
        (np.array([[1, 2], [3, 4]]), 7),
        (np.array([[1, 2], [3, 4]], "uint8"), 7),
        (np.array([[True, False], [False, True]]), True),
    ]:
        before = operand.astype("float64")
        assert refilled(USES[0], operand.copy(), new).tolist() == before.tolist()
        flat = refilled(lambda x, a: (x * ops.mul(2.0, y=a)).sum(), operand.copy(), new)
        assert flat.tolist() == (2 * before).tolist()
    mask = np.array([True, False])
    assert refilled(lambda x, m: ops.where(m, x, 0).sum(), mask, True).tolist() == [1, 0]
    bounds = np.array([1.0, -1.0])
    assert refilled(lambda x, b: ops.clip(x, lo=b, hi=9).sum(), bounds, -5).tolist() == [0, 1]


def test_indices_and_labels_are_copied() -> None:
    for index in (lambda i: i, lambda i: (i,), lambda i: (..., i)):
        picks, x = xp.asarray(np.array([0, 0])), leaf([1.0, 2.0])
        y = x[index(picks)].sum()
        picks[...] = 1
        y.backward()
        assert to_host(x.grad).tolist() == [2, 0]
    labels, x = xp.asarray(np.array([0, 1])), leaf()
    loss = ops.softmax_cross_entropy(x, labels)
    labels[...] = 1
    loss.backward()
    assert (to_host(x.grad)[0] < 0).tolist() == [True, False]


@host_only
def test_what_no_gradient_needs_may_be_refilled() -> None:
    buffer, x = np.ones((2, 2)), leaf()
    with no_grad():
        x * buffer
    constant = Tensor(VALUES) * buffer
    copied = x * Tensor(buffer)
    buffer[...] = 5
    assert constant.is_leaf
    copied.sum().backward()
    assert x.grad.tolist() == [[1, 1], [1, 1]]


@host_only
def test_a_loader_that_fills_one_buffer_trains() -> None:
    model, buffer, labels = MLP([2, 3], rng=0), np.empty((4, 2), "float32"), np.empty(4, int)
    rng = np.random.default_rng(0)
    params = model.parameters()
    for _ in range(3):
        buffer[...], labels[...] = rng.normal(size=(4, 2)), rng.integers(3, size=4)
        params.zero_grad()
        model.loss(buffer, labels).backward()
    expected = params.grad.copy()
    params.zero_grad()
    model.loss(buffer.copy(), labels.copy()).backward()
    np.testing.assert_array_equal(params.grad, expected)


def test_messages_are_one_sentence_each() -> None:
    for unfit, _ in UNFIT:
        with pytest.raises(TypeError) as caught:
            plain(unfit)
        assert re.fullmatch(r"[^.].*\.|.*: .*", str(caught.value))


@pytest.mark.parametrize("operand", [None, {}, set(), iter([1.0])])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: Tensor([1.0]) + x,
        lambda x: x * Tensor([1.0]),
        lambda x: Tensor([1.0]) @ x,
        lambda x: ops.sum(x),
        lambda x: ops.linear(Tensor([[1.0]]), Tensor([[1.0]]), x),
    ],
)
def test_what_is_no_operand_is_named(f, operand):
    with pytest.raises(TypeError, match="is no operand; give a Tensor, an array or a number"):
        f(operand)


def test_what_is_refused_is_refused_in_lists_of_lists_too() -> None:
    masked = np.ma.masked_array([1.0, 2.0], mask=[True, False])
    for nested in ([masked], [[masked]], ([(masked, masked)],)):
        with pytest.raises(TypeError, match="has a mask"):
            Tensor(nested)
    assert Tensor([[np.float32(1), 2], (3, np.array(4))]).numpy().tolist() == [[1, 2], [3, 4]]
