"""check_grads itself: right pullbacks pass, each kind of wrong one fails."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, check_grads, tape

X = np.random.default_rng(0).normal(size=(3, 4))


@pytest.fixture
def product(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes x * y + x of the pullback in x."""
    monkeypatch.setattr(tape, "OPS", {})

    def make(pullback: Callable[[Any, Any], Any]) -> Any:
        def f(x, y):
            return x * y + x, lambda g: pullback(g, y), lambda g: g * x

        return tape.op(f)

    return make


@pytest.mark.parametrize("x", [X, X[0], X[0, 0], X[:0], X[:, ::2].T, X * 1e6])
def test_a_right_pullback_passes(product: Any, x: Any) -> None:
    check_grads(product(lambda g, y: g * (y + 1)), x, np.cos(x))
    check_grads(product(lambda g, y: g * (y + 1)), x, 2.0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda g, y: g * (y + 1) * 1.001,
        lambda g, y: -g * (y + 1),
        lambda g, y: g * y,
        lambda g, y: g + 0 * y,
        lambda g, y: y + 1,
        lambda g, y: g[::-1] * (y + 1),
        lambda g, y: g * (y + 1).mean(),
        lambda g, y: g * np.nan,
        lambda g, y: g * 0,
    ],
    ids="scaled sign term factor seed order mean nan zero".split(),
)
@pytest.mark.parametrize("x", [X, X[0], X * 10])
def test_a_wrong_pullback_is_caught(product: Any, wrong: Any, x: Any) -> None:
    with pytest.raises(AssertionError, match="the central difference"):
        check_grads(product(wrong), x, np.cos(x))


def test_a_missing_gradient_is_caught() -> None:
    with pytest.raises(AssertionError, match="the central difference"):
        check_grads(lambda x, y: x * y.detach(), X, X)
    check_grads(lambda x, y: x * 2, X, X)  # y does not matter, nor does it get a gradient


def test_the_tolerance_is_relative_and_at_the_callers_choice(product: Any) -> None:
    slightly_wrong = product(lambda g, y: g * (y + 1) * (1 + 1e-5))
    with pytest.raises(AssertionError):
        check_grads(slightly_wrong, X, X)
    check_grads(slightly_wrong, X, X, tolerance=1e-3)


def test_the_check_is_deterministic_in_float64_and_leaves_its_inputs_alone() -> None:
    seen = []

    def f(x: Tensor) -> Tensor:
        seen.append(x.numpy().copy())
        return x * x

    x = X.astype("float32")
    for rng in (0, 0, 1):
        check_grads(f, x, rng=rng)
    assert {array.dtype.name for array in seen} == {"float64"}
    np.testing.assert_array_equal(seen[:3], seen[3:6])
    assert (seen[1] != seen[7]).any()
    np.testing.assert_array_equal(x, X.astype("float32"))
