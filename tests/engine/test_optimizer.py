"""The driver: what kernels get, when it steps, what it says."""

import copy
import pickle
import re
from typing import Any, ClassVar

import numpy as np
import pytest

import optim
from minigrad import Parameters, Tensor, backend, to_host
from minigrad.backend import xp
from optim.engine import playback
from optim.engine.functions import numpy_function
from optim.engine.optimizer import Optimizer, inplace
from tests.driving import (
    SIZE,
    assert_identical,
    both_dtypes,
    cut_into,
    drive,
    end,
    feed,
    flat,
    gradients,
    host_only,
    start,
    tensors,
)
from tests.rules.table import every_rule

GRADS = gradients(4)
calls_numpy = pytest.mark.skipif(
    backend.current().compiles or not backend.current().on_host,
    reason="looks at the calls of NumPy that a pass makes",
)


class Spy(Optimizer):
    """Records what its kernel is given where that is called, and is traced where it is not."""

    lr: float = 1.0
    window: int = 3  # no name that the driver knows
    seen: ClassVar[list[tuple[Any, ...]]] = []

    def start(self, p):
        return {"copy": p.copy(), "count": 2.0}

    @inplace
    def kernel(p, g, copy, plain, count, *, lr, window):
        Spy.seen.append((p, g, copy, plain, count, lr, window))
        count += window
        plain += copy
        p -= lr * g


class Quotient(Optimizer):
    """Divides by its rate, for better or worse."""

    lr: float = 1.0

    @inplace
    def kernel(p, g, *, lr):
        p -= g / lr


del optim.RULES["spy"], optim.RULES["quotient"]  # they are nobody else's business


def spy(x, **settings):
    opt = Spy(x, eager=True, **settings)
    Spy.seen.clear()
    opt.step()
    return opt, list(Spy.seen)


def calls(monkeypatch):
    """What a traced pass calls NumPy with from now on: (function, arguments)."""
    seen = []

    def function(name, *namespace):
        def noted(*arguments):
            seen.append((name, arguments))
            return numpy_function(name, *namespace)(*arguments)

        return noted

    monkeypatch.setattr(playback, "numpy_function", function)
    return seen


@both_dtypes
@host_only
def test_blocks_cover_every_coordinate_once_and_fit_the_cache(dtype, monkeypatch):
    cut_into(monkeypatch, 64)
    x = tensors(start(dtype))
    Parameters.of(x)
    opt, seen = spy([x[0], x[2], x[3]])  # runs of 1 and of 44 coordinates
    length = 64 // np.dtype(dtype).itemsize
    assert {len(block[0]) for block in seen} == {1, length, 44 % length}
    assert len(seen) == 1 + -(-44 // length)
    p, g, copy, plain = (np.concatenate([to_host(block[i]) for block in seen]) for i in range(4))
    np.testing.assert_array_equal(p, flat(opt.params), strict=True)
    np.testing.assert_array_equal(copy, start(dtype)[[0, *range(4, SIZE)]], strict=True)
    assert g.shape == plain.shape == p.shape


@both_dtypes
@calls_numpy
def test_a_traced_pass_goes_over_the_same_blocks(dtype, monkeypatch):
    cut_into(monkeypatch, 64)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    seen = calls(monkeypatch)
    x = tensors(start(dtype))
    Parameters.of(x)
    opt = Spy([x[0], x[2], x[3]])
    before = flat(opt.params)
    opt.step()  # without a gradient
    length = 64 // np.dtype(dtype).itemsize
    blocks = [arguments for name, arguments in seen if name == "subtract"]
    assert {block[0].size for block in blocks} == {1, length, 44 % length}
    assert len(blocks) == 1 + -(-44 // length)
    p = np.concatenate([np.atleast_1d(block[0]) for block in blocks])
    np.testing.assert_array_equal(p, before, strict=True)
    for name, arguments in seen:
        assert {str(one.dtype) for one in arguments} == {dtype}, name
    addresses = {block[0].ctypes.data for block in blocks}  # each its own
    assert len(addresses) == len(blocks)


@both_dtypes
@host_only
def test_kernels_get_numbers_in_float64_and_round_them_beside_arrays(dtype):
    _, [(p, g, _, plain, count, lr, window)] = spy(tensors(start(dtype)), lr=0.1)
    assert float(lr) == 0.1 and float(window) == 3 and float(count) == 5
    assert float(lr * window) == 0.1 * 3 and float(1 - lr) == 1 - 0.1
    assert {str(x.dtype) for x in (p, g, plain, lr * p, p - lr, plain + window)} == {dtype}
    ones = np.ones_like(p)
    np.testing.assert_array_equal(lr * ones, np.full(SIZE, 0.1, dtype))
    third, rounded = float(lr) / 3, np.dtype(dtype).type
    assert (lr / 3 * ones)[0] == rounded(third)  # once, not each of the two


@both_dtypes
@calls_numpy
def test_a_traced_pass_gets_numbers_in_the_dtype_of_the_parameters(dtype, monkeypatch):
    seen = calls(monkeypatch)
    opt = Spy(tensors(start(dtype)), lr=0.1)
    opt.step()
    [(lr, g, _)] = [arguments for name, arguments in seen if name == "multiply"]
    assert (str(lr.dtype), lr.ndim, g.size) == (dtype, 0, SIZE)
    assert lr == np.dtype(dtype).type(0.1)
    count = opt.state["count"]
    assert (str(count.dtype), count.shape, float(count)) == ("float64", (), 5)


def test_state_starts_at_zero_or_where_the_rule_says():
    opt = Spy(tensors(start("float32")))
    assert list(opt.state) == ["copy", "plain", "count"]
    np.testing.assert_array_equal(to_host(opt.state["copy"]), start("float32"), strict=True)
    np.testing.assert_array_equal(to_host(opt.state["plain"]), np.zeros(SIZE, "float32"))
    np.testing.assert_array_equal(to_host(opt.state["count"]), np.array(2.0), strict=True)


@host_only
@pytest.mark.parametrize("eager", (False, True))
def test_any_hyperparameter_of_a_rule_may_be_set_between_steps(eager):
    opt = Spy(tensors(start()), eager=eager)
    opt.step()
    assert opt.state["count"] == 5 and opt.used == {"lr": 1, "window": 3}
    opt.window = 5
    assert opt.used["window"] == 3
    opt.step()
    assert opt.state["count"] == 10 and opt.used == {"lr": 1, "window": 5}


def test_gradients_from_before_the_optimizer_count():
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    (x * x).sum().backward()
    opt = optim.SGD([x], lr=0.25)
    opt.step()
    np.testing.assert_array_equal(x.numpy(), [0.5, 1.0])
    opt.step()  # they stay until zero_grad
    np.testing.assert_array_equal(x.numpy(), [0.0, 0.0])
    opt.zero_grad()
    opt.step()
    np.testing.assert_array_equal(x.numpy(), [0.0, 0.0])


def test_step_with_a_closure_evaluates_it_once_and_first():
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    opt, calls = optim.SGD([x], lr=0.25), []

    def closure():
        calls.append(opt.t)
        opt.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    assert opt.step(closure).item() == 5.0
    np.testing.assert_array_equal(x.numpy(), [0.5, 1.0])
    assert opt.step(closure).item() == 1.25 and calls == [0, 1]
    assert opt.step() is None and opt.t == 3


@host_only
@pytest.mark.parametrize(
    "g, lr, said",
    [
        (1, 0, "divide by zero"),
        (0, 0, "invalid value"),
        (1e30, 1e-30, "overflow"),
        (1e-30, 1e30, ""),
    ],
)
def test_a_step_raises_on_all_but_underflow(g, lr, said):
    opt = Quotient([Tensor(np.ones(3, "float32"), requires_grad=True)], lr=lr)
    opt.params.grad.fill(g)
    if said:
        with pytest.raises(FloatingPointError, match=rf"Quotient\(lr=.*step 1: {said}"):
            opt.step()
    else:
        opt.step()
        np.testing.assert_array_equal(flat(opt.params), np.ones(3))


@host_only
def test_overflow_names_the_rule_the_step_and_the_largest_gradient():
    x = tensors(start("float32"))
    opt = optim.Adam(Parameters({"a": x[0], "b.weight": x[1], "b.bias": x[2], "empty": x[3]}))
    drive(opt, GRADS)
    loss = (x[1] * x[1]).sum()
    g = np.ones(SIZE)
    g[[0, 2, 9]] = 1e25, -3e30, 1e20
    feed(opt.params, g)
    said = (
        "Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08) at step 5: overflow encountered in "
        f"{'a compiled loop' if backend.current().compiles else 'multiply'} in float32; the "
        "largest gradient is 3e+30, of b.weight; lower lr, or clip the gradients."
    )
    with pytest.raises(FloatingPointError, match=re.escape(said)):
        opt.step()
    with pytest.raises(RuntimeError, match="changed after it was used"):  # perhaps half-way
        loss.backward()
    g[12] = np.nan
    g[9] = np.inf
    feed(opt.params, g)
    with pytest.raises(FloatingPointError, match=r"gradient is (nan|inf), of b.bias"):
        opt.step()


def test_metric_is_that_of_the_last_step():
    opt = optim.Momentum(tensors(start()), lr=0.5)
    with pytest.raises(RuntimeError, match="last step; call step"):
        opt.metric()
    drive(opt, GRADS)
    opt.lr = 0.25
    np.testing.assert_array_equal(to_host(opt.metric()), np.full(SIZE, 2.0))
    drive(opt, GRADS)
    np.testing.assert_array_equal(to_host(opt.metric()), np.full(SIZE, 4.0))


@every_rule
def test_make_and_repr(rule):
    opt = optim.make(rule.__name__.upper(), tensors(start()), lr=0.5)
    assert type(opt) is rule and opt.lr == 0.5
    shown = ", ".join(f"{n}={v!r}" for n, v in (rule.hyperparameters() | {"lr": 0.5}).items())
    assert repr(opt) == f"{rule.__name__}({shown})"


@pytest.mark.parametrize(
    "name, said",
    [
        ("amsgard", "optimizer 'amsgard' is unknown; did you mean 'amsgrad'"),
        ("AdaGard", "optimizer 'AdaGard' is unknown; did you mean 'adagrad'"),
        ("rms", "did you mean|known are .*rmsprop"),
        ("xyz", "known are .*sgd.*leakyamsgrad"),
        ("optimizer", "unknown"),
    ],
)
def test_make_of_an_unknown_name_says_the_nearest(name, said):
    with pytest.raises(ValueError, match=said):
        optim.make(name, tensors(start()))


def test_state_is_live_and_flat():
    opt = optim.AMSGrad(tensors(start()), lr=0.1, betas=(0.0, 0.75))
    v_max = opt.state["v_max"]
    drive(opt, [np.full(SIZE, 2.0)])
    np.testing.assert_array_equal(to_host(v_max), np.ones(SIZE))
    opt.state["v_max"][...] = xp.asarray(np.full(SIZE, 4.0))
    before = end(opt)["p"]
    np.testing.assert_allclose(drive(opt, [np.full(SIZE, 2.0)])[0], before - 0.1, rtol=1e-15)


@pytest.mark.parametrize(
    "rule, name",
    [
        (optim.SGD, "params"),
        (optim.SGD, "projection"),
        (optim.AdaShift, "delay"),
        (optim.Rprop, "lr"),
        (optim.DoG, "r_eps"),
        (optim.DoWG, "r_eps"),
        (optim.Prodigy, "d0"),
    ],
)
def test_what_only_the_start_reads_cannot_be_set_later(rule, name):
    opt = rule([Tensor([1.0], requires_grad=True)])
    with pytest.raises(AttributeError, match=f"{name} is fixed"):
        setattr(opt, name, getattr(opt, name))


def test_a_parameter_that_was_frozen_is_not_moved() -> None:
    params = tensors(start())
    opt = optim.AdamW(params)
    drive(opt, gradients(3))
    params[1].requires_grad = False
    before = flat(params)
    with pytest.raises(RuntimeError, match=r"params\[1\] was frozen, .* optim.Frozen"):
        opt.step()
    np.testing.assert_array_equal(flat(params), before)
    assert opt.t == 3


def test_a_schedule_that_turns_nan_is_refused_before_anything_moves() -> None:
    x = Tensor([1.0], requires_grad=True)
    opt = optim.SGD([x], lr=lambda t: 0.5 if t == 1 else float("nan"))
    opt.params.grad[...] = 1
    opt.step()
    with pytest.raises(ValueError, match="lr is NaN at step 2"):
        opt.step()
    assert x.item() == 0.5


@pytest.mark.parametrize("rule", (optim.AdamW, optim.NosAdam, optim.ScheduleFreeSGD))
def test_a_step_that_was_refused_does_not_count(rule) -> None:
    opt, twin = (rule(tensors(start()), lr=0.1) for _ in range(2))
    drive(opt, GRADS[:2])
    drive(twin, GRADS[:2])
    for setting in (lambda t: float("nan") if t > 1 else 0.1, lambda t: 0.1 if t == 1 else 1 / 0):
        opt.lr = setting
        with pytest.raises((ValueError, ZeroDivisionError)):
            opt.step()
        assert opt.t == twin.t == 2 and opt.used == twin.used
        assert_identical(end(opt), end(twin))
    opt.lr = 0.1
    np.testing.assert_array_equal(drive(opt, GRADS[2:]), drive(twin, GRADS[2:]))
    assert opt.t == twin.t and opt.used == twin.used
    assert_identical(end(opt), end(twin))


@pytest.mark.parametrize(
    "copied", (copy.copy, copy.deepcopy, pickle.dumps), ids=lambda f: f.__name__
)
def test_a_copy_is_refused(copied) -> None:
    opt = optim.Adam(tensors(start()))
    for one in (opt, {"opt": optim.ClipNorm(optim.SGD(tensors(start())), 1.0)}):
        if copied is not copy.copy or one is opt:
            with pytest.raises(TypeError, match=r"would update the same parameters; .* state_dict"):
                copied(one)


def test_a_state_is_of_these_parameters_in_this_order() -> None:
    x = tensors(start())
    saved = optim.Adam(x[:2]).state_dict()
    for params, said in (
        ([x[1], x[0]], r"\('params\[0\]', \(3,\)\) comes where .* \('params\[0\]', \(\)\)"),
        ([Tensor(np.ones(4), requires_grad=True)], r"\(4,\)\) comes where"),
        (Parameters({"b": x[0], "a": x[1]}), r"\('b', \(\)\) comes where"),
    ):
        opt = optim.Adam(params)
        before = end(opt)
        with pytest.raises(ValueError, match=said):
            opt.load_state_dict(saved)
        assert_identical(end(opt), before)
        del opt
    optim.Adam(x[:2]).load_state_dict(saved)


def test_a_name_belongs_to_one_rule() -> None:
    with pytest.raises(TypeError, match=r"ADAM is a rule of optim\.rules\.adam .*another name"):

        class ADAM(optim.Adam):
            pass

    assert optim.RULES["adam"] is optim.Adam
    for _ in range(2):  # as a cell of a notebook that runs again

        class Mine(optim.Adam):
            pass

    assert optim.RULES.pop("mine") is Mine


def test_a_state_that_lacks_a_part_changes_nothing() -> None:
    opt = optim.Adam([Tensor([1.0], requires_grad=True)])
    for part in opt.state_dict():
        broken = {key: value for key, value in opt.state_dict().items() if key != part}
        with pytest.raises(ValueError, match=part):
            opt.load_state_dict({**broken, **({} if part == "t" else {"t": 7})})
        assert opt.t == 0
