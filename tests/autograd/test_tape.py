"""The tape: what it records, `backward`, and what it refuses."""

import asyncio
import copy
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from minigrad import Parameters, Tensor, no_grad, tape, to_host, xp
from tests.driving import COPIES


def leaf(*values: Any) -> Tensor:
    return Tensor(values, requires_grad=True)


def grad(x: Tensor) -> Any:
    return None if x.grad is None else to_host(x.grad).tolist()


def test_a_leaf_used_twice_and_diamonds_add_up() -> None:
    x = leaf(2, 3)
    (x * x).sum().backward()
    assert grad(x) == [4, 6]
    y = leaf(2)
    z = y * 3
    left, right = z * z, z * 5
    (left * right + z + y).backward()  # 135 y^3 + 3 y + y
    assert grad(y) == [135 * 3 * 4 + 4]
    assert z.grad is None and left.grad is None
    a, b = leaf(1, 1), leaf(1, 1)
    for c, d in ((a, b), (a * 1, b * 1)):
        a.grad = b.grad = None
        ((c + d) + c).backward(np.ones(2, "float32"))
        assert (grad(a), grad(b)) == ([2, 2], [1, 1])


def test_the_paths_of_a_graph_are_not_walked_one_by_one() -> None:
    x = y = leaf(1)
    for _ in range(64):
        y = y + y
    y.backward()
    assert grad(x) == [2.0**64]


def test_gradients_accumulate_in_place_over_graphs() -> None:
    x = leaf(1, 2)
    (x * 3).sum().backward()
    first = x.grad
    (x * x).sum().backward()
    assert x.grad is first and grad(x) == [5, 7]
    x.grad = None
    assert x.grad is None


def test_leaves_do_not_share_their_gradients_with_each_other_or_with_the_seed() -> None:
    x, y, seed = leaf(1, 2), leaf(3, 4), np.ones(2, "float32")
    (x + y).backward(seed)
    for gradient in (x.grad, y.grad):
        gradient *= 5
    assert (grad(x), grad(y), seed.tolist()) == ([5, 5], [5, 5], [1, 1])
    z = leaf(7)
    z.backward()
    assert grad(z) == [1]


def test_a_chain_of_100_000_ops_goes_backward_or_is_dropped_without_recursion() -> None:
    def chain(x: Tensor) -> Tensor:
        for _ in range(100_000):
            x = x + 1
        return x

    x = leaf(0)
    chain(x).backward()
    assert grad(x) == [1]
    dropped = chain(x)
    del dropped


def test_backward_frees_the_graph_and_a_second_one_raises() -> None:
    x = leaf(1, 2)
    y = x * 2
    loss, other = y.sum(), y.sum()
    loss.backward()
    for used in (loss, other, (y * 3).sum()):
        with pytest.raises(RuntimeError, match="used already; compute the loss again"):
            used.backward()
    assert grad(x) == [2, 2]


@pytest.mark.parametrize("seed", [[1, 10], np.array([1.0, 10]), Tensor([1, 10])])
def test_a_seed_weighs_the_gradient(seed: Any) -> None:
    x = leaf(1, 2)
    (x * x).backward(seed)
    assert grad(x) == [2, 40] and x.grad.dtype == "float32"


def test_backward_needs_a_scalar_or_a_seed_that_fits_and_something_to_differentiate() -> None:
    y = leaf(1, 2) * 2
    with pytest.raises(
        RuntimeError, match=r"backward\(\) of shape \(2,\): .*\.sum\(\).* pass grad="
    ):
        y.backward()
    with pytest.raises(ValueError, match=r"grad of shape \(1,\) does not fit .* \(2,\)"):
        y.backward([1])
    y.backward([1, 1])  # the refusals have not used the graph up
    for constant in (Tensor(1), Tensor(1) * 2, leaf(1).detach()):
        with pytest.raises(RuntimeError, match="nothing it was computed from requires a gradient"):
            constant.backward()


def load(x: Tensor) -> None:
    Parameters({"x": x}).load_state_dict({"x": np.array([5], "float32")})


def subtract(x: Tensor) -> None:
    x.data -= 0


@pytest.mark.parametrize(
    ("change", "trainable"),
    [
        (lambda x: setattr(x, "data", [5]), True),
        (lambda x: setattr(x, "data", [5]), False),
        (subtract, True),
        (load, True),
        (lambda x: Parameters({"x": x}), True),
    ],
    ids=["assignment", "assignment to a constant", "in place", "loading", "adoption"],
)
def test_backward_after_a_leaf_has_changed_raises(
    change: Callable[[Tensor], None], trainable: bool
) -> None:
    x, w = Tensor([1], requires_grad=trainable), leaf(2)
    stale, fresh = (x * w) * 2, w * 3
    change(x)
    with pytest.raises(RuntimeError, match=r"leaf of shape \(1,\) was changed .* compute the loss"):
        stale.backward()
    assert w.grad is None  # refused before anything was added
    fresh.backward()
    (x * w).backward()
    assert grad(w) == [3 + x.item()]


def test_an_index_that_has_changed_is_noticed_or_was_copied() -> None:
    x, index = leaf(1, 2), Tensor([0], dtype="int64")
    stale, safe = x[index].sum(), x.reshape(1, 2)[:, index].sum()
    index.data = [1]
    with pytest.raises(RuntimeError, match="was changed"):
        stale.backward()
    safe.backward()
    assert grad(x) == [1, 0]


def test_only_a_leaf_is_assigned() -> None:
    y = leaf(1, 2) * 2
    with pytest.raises(TypeError, match="t is no leaf; compute a new tensor"):
        y.data = [3, 4]
    assert y.numpy().tolist() == [2, 4]


def test_what_was_computed_and_written_to_is_noticed() -> None:
    y = leaf(1, 2).exp()
    with pytest.raises(TypeError, match="t is no leaf"):
        y.data += 1
    with pytest.raises(RuntimeError, match="has been written to since"):
        y.sum().backward()


def test_assigned_data_are_copied_into_the_storage() -> None:
    x, value = leaf(1, 2), np.array([3.0, 4.0])
    storage = x.data
    x.data = value
    value[:] = 0
    assert x.data is storage and x.numpy().tolist() == [3, 4] and x.dtype == "float32"
    x.data = Tensor([5, 6])
    x.data -= 1
    assert x.data is storage and x.numpy().tolist() == [4, 5]
    for wrong in (0.5, [1], [[1, 2]]):
        with pytest.raises(ValueError, match=r"data of shape .* does not fit .* \(2,\)"):
            x.data = wrong
    assert x.numpy().tolist() == [4, 5]


def test_assigned_gradients_are_copied_and_must_fit() -> None:
    x, value = leaf(1, 2), np.array([3, 4], "float32")
    x.grad = value
    value[:] = 0
    assert grad(x) == [3, 4] and x.grad.dtype == "float32"
    held = x.grad
    x.grad *= 2
    assert grad(x) == [6, 8] and x.grad is held
    with pytest.raises(ValueError, match=r"grad of shape \(1,\) does not fit .* \(2,\)"):
        x.grad = [1]


# What is recorded


def test_no_grad_records_nothing_and_ends_with_its_block() -> None:
    x = leaf(1)

    @no_grad()
    def silent(depth: int = 0) -> Tensor:
        return silent(depth - 1) if depth else x * 2

    def records() -> bool:
        return (x * 2).requires_grad

    with no_grad():
        assert not records()
        with no_grad():
            assert not records()
        assert not records() and leaf(1).requires_grad
    assert records()
    assert not silent().requires_grad and records()
    assert not silent(depth=3).requires_grad and records()
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert records()


def recorded() -> bool:
    return (leaf(1) * 2).requires_grad


def test_a_generator_records_nothing_and_its_caller_does() -> None:
    @no_grad()
    def batches(n: int) -> Iterator[Any]:
        try:
            for i in range(n):
                try:
                    sent = yield i, recorded()
                    assert sent is None or sent == "sent"
                except KeyError:
                    yield "caught", recorded()
            return recorded()
        finally:
            closed.append(recorded())

    closed: list[bool] = []
    seen = []
    for i, inside in batches(2):
        seen.append((i, inside, recorded()))
    assert seen == [(0, False, True), (1, False, True)] and closed == [False]

    generator = batches(3)
    assert next(generator) == (0, False) and generator.send("sent") == (1, False)
    assert generator.throw(KeyError()) == ("caught", False) and recorded()
    with pytest.raises(ValueError):
        generator.throw(ValueError())
    assert closed == [False, False] and recorded()

    generator = batches(3)
    next(generator)
    generator.close()
    assert closed == [False] * 3 and recorded()

    def delegate() -> Iterator[Any]:
        results.append((yield from batches(1)))

    results: list[bool] = []
    assert [*delegate()] == [(0, False)] and results == [False]


def test_asynchronous_functions_record_nothing_and_other_tasks_do() -> None:
    @no_grad()
    async def silent() -> list[bool]:
        seen = [recorded()]
        await asyncio.sleep(0)
        return [*seen, recorded()]

    async def inside_a_block() -> list[bool]:
        with no_grad():
            return await plain()

    async def plain() -> list[bool]:
        seen = [recorded()]
        await asyncio.sleep(0)
        return [*seen, recorded()]

    @no_grad()
    async def batches() -> AsyncIterator[bool]:
        try:
            yield recorded()
            await asyncio.sleep(0)
            yield recorded()
        finally:
            closed.append(recorded())

    async def consumer() -> list[bool]:
        return [x async for inside in batches() for x in (inside, recorded())]

    async def leaving() -> bool:
        generator = batches()
        await anext(generator)
        await generator.aclose()
        return recorded()

    async def main() -> list[Any]:
        tasks = silent(), plain(), inside_a_block(), plain(), consumer(), leaving()
        return await asyncio.gather(*tasks)

    closed: list[bool] = []
    assert asyncio.run(main()) == [
        [False, False],
        [True, True],
        [False, False],
        [True, True],
        [False, True, False, True],
        True,
    ]
    assert closed == [False, False]


def test_a_decorated_method_is_one_and_one_no_grad_may_be_nested() -> None:
    class Model:
        @no_grad()
        def evaluate(self) -> bool:
            """Whether it records."""
            return recorded()

    assert not Model().evaluate() and Model.evaluate.__doc__ == "Whether it records."
    silent = no_grad()
    with silent:
        with silent:
            assert not recorded()
        assert not recorded()
    assert recorded()


def test_no_grad_ends_with_its_thread() -> None:
    x, inside, done = leaf(1), threading.Event(), threading.Event()

    @no_grad()
    def evaluate() -> None:
        inside.set()
        done.wait()

    other = threading.Thread(target=evaluate)
    other.start()
    inside.wait()
    assert (x * 2).requires_grad
    done.set()
    other.join()


def test_a_detached_tensor_is_a_constant_copy() -> None:
    x = leaf(2)
    detached = x.detach()
    assert not xp.shares_memory(detached.data, x.data) and not detached.requires_grad
    (x * detached).backward()
    assert grad(x) == [2] and detached.grad is None
    assert not (x * 2).detach().requires_grad


def test_only_what_requires_a_gradient_gets_one() -> None:
    constant, x = Tensor([3]), leaf(2)
    y = constant * 2 + x
    assert y.requires_grad and not (constant * 2).requires_grad
    y.backward()
    assert constant.grad is None and grad(x) == [1]


@pytest.mark.parametrize("copied", [copy.copy, *COPIES])
def test_a_copy_of_a_parameter_is_a_loose_leaf(copied: Callable[[Tensor], Tensor]) -> None:
    x = leaf(1, 2)
    params = Parameters({"x": x})
    (x * 3).sum().backward()
    twin = copied(x)
    assert (twin.requires_grad, twin.dtype, grad(twin)) == (True, "float32", [3, 3])
    theirs = Parameters({"x": twin})
    params.data.fill(7)
    params.zero_grad()
    assert to_host(theirs.data).tolist() == twin.numpy().tolist() == [1, 2]
    assert grad(twin) == [3, 3] and xp.shares_memory(theirs.data, twin.data)
    y = copied(x * 2)
    assert not (y.is_leaf or y.requires_grad) and y.numpy().tolist() == [14, 14]


# Ops of one's own


@pytest.fixture
def op(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """The decorator, whose ops are forgotten after the test."""
    monkeypatch.setattr(tape, "OPS", {})
    return tape.op


def test_pullbacks_of_operands_that_need_no_gradient_are_not_called(op: Any) -> None:
    def never(g: Any) -> Any:
        raise AssertionError("called")

    @op
    def product(x, y):
        return x * y, never, lambda g: g * x

    w = leaf(2)
    for x in (Tensor([3]), 3, Tensor([3]).data, leaf(3).detach()):
        product(x, w).backward()
    assert grad(w) == [12]
    with pytest.raises(AssertionError, match="called"):
        product(leaf(3), w).backward()


def test_a_pullback_with_a_keyword_of_its_own_is_not_given_out(op: Any) -> None:
    @op
    def twice(x: Any) -> Any:
        return 2 * x, lambda g, *, factor=2: factor * g

    params = Parameters({"x": leaf(1)})
    params.zero_grad()
    twice(params.tensors[0]).backward()
    assert grad(params.tensors[0]) == [2]


def test_an_op_needs_no_more_than_a_function(op: Any) -> None:
    @op
    def cube(x, scale=1):
        """x cubed."""
        return scale * x**3, lambda g: g * 3 * scale * x**2

    x = leaf(2)
    cube(x, scale=5).backward()
    assert grad(x) == [60]
    assert (cube.__name__, cube.__doc__, tape.OPS) == ("cube", "x cubed.", {"cube": cube})


@pytest.mark.parametrize(("shape", "wrong"), [((2, 3), (3,)), ((1, 3), (3,)), ((2,), (3,))])
def test_a_pullback_of_the_wrong_shape_is_refused(op: Any, shape: Any, wrong: Any) -> None:
    @op
    def broken(x):
        return x.sum(), lambda g: np.ones(wrong)

    message = rf"a pullback returned the shape {wrong} for an operand of shape {shape}"
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        broken(Tensor(np.ones(shape), requires_grad=True)).backward()


def test_an_op_without_pullbacks_is_refused(op: Any) -> None:
    @op
    def twice(x):
        return 2 * x

    with pytest.raises(TypeError, match=r"twice returns a \w+; return a tuple of the value"):
        twice(leaf(1, 2))


def test_no_grad_without_parentheses_names_the_cure() -> None:
    with pytest.raises(TypeError, match=r"write @no_grad\(\), with parentheses"):

        @no_grad
        def f() -> None: ...
