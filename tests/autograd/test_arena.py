"""Parameters live in one arena: shaped views of flat buffers."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optim
from minigrad import Linear, Module, Parameters, ReLU, Sequential, Tensor, ops, to_host, xp
from models import MLP


def leaf(*shape: int, dtype: str = "float32", start: int = 0) -> Tensor:
    """start, start + 1, ... in the given shape."""
    values = np.arange(start, start + np.prod(shape)).reshape(shape)
    return Tensor(values.astype(dtype), requires_grad=True, dtype=dtype)


def shared(a: Any, b: Any) -> bool:
    return bool(xp.shares_memory(a, b))


def runs(params: Parameters) -> list[tuple[int, int]]:
    return [(span.start, span.stop) for span in params.spans]


def test_names_and_order_are_those_of_the_declaration() -> None:
    params = MLP([4, 3, 2, 5], rng=0).parameters()
    assert params.names == (
        "hidden.0.weight",
        "hidden.0.bias",
        "hidden.2.weight",
        "hidden.2.bias",
        "output.weight",
        "output.bias",
    )
    assert [t.shape for t in params] == [(4, 3), (3,), (3, 2), (2,), (2, 5), (5,)]
    assert [(n, t) for n, t in params.items()] == list(zip(params.names, params, strict=True))
    assert (len(params), params.size, params.dtype) == (6, 15 + 8 + 15, "float32")


def test_tensors_are_views_of_the_flat_arrays_and_keep_their_values() -> None:
    a, b, empty = leaf(2, 3), leaf(start=6), leaf(0, 2)
    params = Parameters({"a": a, "empty": empty, "b": b})
    np.testing.assert_array_equal(to_host(params.data), np.arange(7), strict=False)
    assert params.data.shape == params.grad.shape == (7,)
    for t in (a, b):
        assert shared(t.data, params.data) and shared(t.grad, params.grad)
    assert (a.shape, b.shape, empty.shape) == ((2, 3), (), (0, 2))
    params.data.fill(5)
    assert (a.numpy() == 5).all() and b.item() == 5
    (a.sum() * b).backward()
    assert to_host(params.grad).tolist() == [5] * 6 + [30]
    params.zero_grad()
    assert to_host(params.grad).tolist() == [0] * 7


ACTIONS = ["zero", "backward", "part", "assign", "look", "write", "flat", "copy", "step"]


@given(st.lists(st.sampled_from(ACTIONS), min_size=8))
def test_gradients_are_those_of_memory_that_is_filled_at_once(actions: list[str]) -> None:
    """zero_grad leaves memory as it is where nobody can look; nobody may notice."""
    x = xp.asarray(np.arange(6.0).reshape(2, 3))
    w, b, unused = (leaf(*s, dtype="float64") for s in ((3, 2), (2,), (4,)))
    opt = optim.SGD([w, b, unused], lr=1.0)
    held: list[Any] = []
    values, slopes = np.concatenate([to_host(t.data).ravel() for t in (w, b, unused)]), np.zeros(12)
    dw = np.repeat(to_host(x).sum(axis=0), 2)
    for action in actions:
        if action == "zero":
            opt.zero_grad()
            slopes[:] = 0
        elif action == "backward":
            ops.linear(x, w, b).sum().backward()
            slopes += np.concatenate([dw, [2, 2], np.zeros(4)])
        elif action == "part":
            (b * 3).sum().backward()
            slopes[6:8] += 3
        elif action == "assign":
            b.grad = [1, 2]
            slopes[6:8] = 1, 2
        elif action == "look":
            held.append(w.grad)
        elif action == "flat":
            held.append(Parameters.of([w, b]).grad)
        elif action == "write" and held:
            held[-1].ravel()[0] = 5  # the first coordinate of w either way
            slopes[0] = 5
        elif action == "copy":
            np.testing.assert_array_equal(to_host(copy.copy(w).grad).ravel(), slopes[:6])
        elif action == "step":
            opt.step()
            values -= slopes
        for array in held:
            np.testing.assert_array_equal(to_host(array).ravel(), slopes[: array.size])
    opt.step()
    for t, expected in zip((w, b, unused), np.split(values - slopes, [6, 8]), strict=True):
        np.testing.assert_array_equal(to_host(t.data).ravel(), expected)


def test_a_tensor_of_any_layout_is_adopted_in_row_major_order() -> None:
    x = Tensor(np.arange(6.0).reshape(2, 3).T, requires_grad=True)
    assert to_host(Parameters({"x": x}).data).tolist() == [0, 3, 1, 4, 2, 5]


def test_a_tensor_is_adopted_once_and_never_moves() -> None:
    model = MLP([4, 3, 2], rng=0)
    first = model.parameters()
    before = [t.data for t in first]
    again = model.parameters()
    assert [t.data is array for t, array in zip(again, before, strict=True)] == [True] * 4
    assert shared(first.data, again.data) and first.data.size == again.data.size
    assert shared(Parameters.of(list(first)).grad, first.grad)


def test_whole_then_part_is_one_run_each() -> None:
    model = MLP([4, 3, 2], rng=0)
    whole, part = model.parameters(), model.output.parameters()
    assert runs(whole) == [(0, 23)] and runs(part) == [(15, 23)]
    assert shared(part.data, whole.data) and part.data.size == 8
    part.grad.fill(1)
    assert to_host(whole.grad).tolist() == [0] * 15 + [1] * 8
    whole.grad.fill(1)
    part.zero_grad()
    assert to_host(whole.grad).tolist() == [1] * 15 + [0] * 8


def test_part_then_whole_is_several_runs_without_a_flat_array() -> None:
    model = MLP([4, 3, 2], rng=0)
    part, whole = model.output.parameters(), model.parameters()
    assert runs(part) == [(0, 8)] and runs(whole) == [(0, 15), (0, 8)]
    for name in ("data", "grad"):
        with pytest.raises(
            RuntimeError, match=r"2 pieces.*call model\.parameters\(\) of the whole"
        ):
            getattr(whole, name)
    part.grad.fill(1)
    whole.zero_grad()
    assert not to_host(part.grad).any()


def test_only_neighbours_in_order_are_merged() -> None:
    a, b, c = leaf(2), leaf(3), leaf(4)
    Parameters({"a": a, "b": b, "c": c})
    for tensors, expected in [
        ([a, b], [(0, 5)]),
        ([b, c], [(2, 9)]),
        ([a, c], [(0, 2), (5, 9)]),
        ([b, a], [(2, 5), (0, 2)]),
        ([leaf(2), b], [(0, 2), (2, 5)]),  # next to each other, but in two arenas
    ]:
        assert runs(Parameters.of(tensors)) == expected


def test_gradients_are_carried_over() -> None:
    a, b = leaf(2), leaf(2)
    (a * 3).sum().backward()
    params = Parameters.of([a, b])
    assert to_host(params.grad).tolist() == [3, 3, 0, 0]
    (a * b).sum().backward()
    assert to_host(params.grad).tolist() == [3, 4, 0, 1]


def test_the_gradient_of_an_adopted_leaf_is_always_a_view() -> None:
    a = leaf(2)
    params = Parameters.of([a])
    assert to_host(a.grad).tolist() == [0, 0]
    a.grad = [1, 2]
    a.grad *= 2
    assert to_host(params.grad).tolist() == [2, 4] and shared(a.grad, params.grad)
    a.grad = None
    assert to_host(params.grad).tolist() == [0, 0] and shared(a.grad, params.grad)
    a.data = [7, 8]
    assert to_host(params.data).tolist() == [7, 8] and shared(a.data, params.data)


class Tied(Module):
    def __init__(self) -> None:
        self.encoder = Linear(2, 2, rng=0)
        self.decoder = Linear(2, 2, rng=1)
        self.decoder.weight = self.encoder.weight
        self.scale = Tensor([1.0])  # a constant, no parameter
        self.size = 2

    def forward(self, x: Any) -> Tensor:
        return self.decoder(self.encoder(x)) * self.scale


def test_tied_weights_count_once_under_their_first_name() -> None:
    model = Tied()
    params = model.parameters()
    assert params.names == ("encoder.weight", "encoder.bias", "decoder.bias")
    assert params.size == 8 and set(model.state_dict()) == {*params.names, "scale"}
    model(Tensor([[1, 1]])).sum().backward()
    assert to_host(params.grad).any() and model.scale.grad is None


def integers_that_require_gradients() -> Tensor:
    t = Tensor([1], dtype=int)
    t.requires_grad = True
    return t


def used_up() -> Tensor:
    y = leaf(1) * 2
    y.backward()
    return y


a = leaf(2)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (lambda: {leaf(1)}, TypeError, "params is a set, which has no order; pass a list"),
        (lambda: frozenset([leaf(1)]), TypeError, "params is a set"),
        (lambda: leaf(2), TypeError, r"params is a single Tensor; pass \[tensor\]"),
        (lambda: [], ValueError, "there are no parameters; pass at least one"),
        (lambda: [a, leaf(2), a], ValueError, r"params\[2\] is the same tensor as params\[0\]"),
        (
            lambda: [a, leaf(1, dtype="float64")],
            ValueError,
            r"params\[1\] is float64, params\[0\] is float32; an optimizer updates one",
        ),
        (lambda: [a, np.ones(2)], TypeError, r"params\[1\] is a ndarray, not a Tensor"),
        (lambda: MLP([1, 1]), TypeError, r"params is a MLP; pass .* the parameters\(\) of a model"),
        (lambda: {"w": a}, TypeError, r"params\[0\] is a str, not a Tensor; pass"),
        (lambda: [a, integers_that_require_gradients()], TypeError, r"params\[1\] has dtype int64"),
        (lambda: [Tensor([1.0])], TypeError, r"params\[0\] is not a leaf with requires_grad=True"),
        (lambda: [a, a * 2], TypeError, r"params\[1\] is not a leaf .*; pass .*or detach\(\) what"),
        (lambda: [used_up()], TypeError, r"params\[0\] is not a leaf"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(
    params: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Parameters.of(params())
    assert a.grad is None  # and nothing was adopted


def test_parameters_and_generators_are_taken() -> None:
    params = Parameters.of(leaf(n) for n in (1, 2))
    assert params.names == ("params[0]", "params[1]") and Parameters.of(params) is params
    with pytest.raises(ValueError, match="there are no parameters"):
        Sequential(ReLU()).parameters()


def test_a_state_is_a_copy_on_the_host_that_loads_back() -> None:
    one, other = MLP([4, 3, 2], rng=0), MLP([4, 3, 2], rng=1)
    params = one.parameters()
    state = one.state_dict()
    assert list(state) == list(params.names)
    expected = {name: array.copy() for name, array in state.items()}
    params.data.fill(0)
    other.load_state_dict(state)
    for name, t in other.parameters().items():
        np.testing.assert_array_equal(t.numpy(), expected[name], strict=True)
        assert not np.shares_memory(t.numpy(), state[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output.bias": None}, r"missing \['output\.bias'\], unexpected \[\]; build the model"),
        ({"extra": np.zeros(1)}, r"missing \[\], unexpected \['extra'\]"),
        (
            {"output.bias": np.zeros(3, "float32")},
            r"'output\.bias' is float32 of shape \(2,\), .*3",
        ),
        ({"output.bias": np.zeros(2)}, r"'output\.bias' is float32 of .*the saved one float64"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change: dict[str, Any], message: str) -> None:
    model = MLP([4, 3, 2], rng=0)
    params = model.parameters()
    before = params.data.copy()
    state = {name: array + 1 for name, array in model.state_dict().items()} | change
    with pytest.raises(ValueError, match=message):
        model.load_state_dict({name: array for name, array in state.items() if array is not None})
    np.testing.assert_array_equal(to_host(params.data), to_host(before))


def test_flat_values_and_gradients_are_assigned_as_those_of_a_tensor_are() -> None:
    params = MLP([4, 3, 2], rng=0).parameters()
    weight = params.tensors[0]
    loss = (weight * weight).sum()
    params.grad += 1
    params.grad *= 2
    params.data -= 0.5 * params.grad
    expected = MLP([4, 3, 2], rng=0).parameters().data - np.float32(1)
    np.testing.assert_array_equal(to_host(params.data), to_host(expected))
    np.testing.assert_array_equal(weight.numpy(), to_host(params.data)[:12].reshape(4, 3))
    with pytest.raises(RuntimeError, match="was changed after it was used"):
        loss.backward()
    for name in ("data", "grad"):
        before = to_host(getattr(params, name)).copy()
        with pytest.raises(ValueError, match=rf"{name} of shape \(3,\)"):
            setattr(params, name, np.zeros(3, "float32"))
        np.testing.assert_array_equal(to_host(getattr(params, name)), before)


@pytest.mark.parametrize("more", [-1, 1])
def test_scattering_takes_one_value_per_coordinate(more: int) -> None:
    params = MLP([4, 3, 2], rng=0).parameters()
    before = to_host(params.data).copy()
    with pytest.raises(ValueError, match=f"give one for each of the {params.size} coordinates"):
        params.scatter(xp.zeros(params.size + more, "float32"))
    np.testing.assert_array_equal(to_host(params.data), before)
