"""Gradients that are not finite are refused before anything is changed, on the host."""

import warnings
from contextlib import nullcontext
from itertools import product

import numpy as np
import pytest

import optim
from minigrad import Tensor, to_host
from tests.driving import (
    SIZE,
    assert_identical,
    both_dtypes,
    drive,
    end,
    feed,
    flat,
    gradients,
    host_only,
    start,
    tensors,
)
from tests.rules.closure import NAMED, Run, log_cosh
from tests.rules.table import TABLE, every_rule
from tests.wrappers.cases import NESTED, adam, assert_same, every_nesting, two_rules

pytestmark = host_only
BAD = (np.nan, np.inf, -np.inf)
GRADS = gradients(6)
NAMES = np.repeat([f"params[{i}]" for i in range(4)], [1, 3, 20, 24])


def bad_gradient(place, value):
    g = GRADS[0].copy()
    g[place] = value
    return g


def assert_refused(opt, g, said, steps=None):
    before, p = opt.state_dict(), flat(opt.params)
    feed(opt.params, g)
    for closure in (None, lambda: Tensor(0.0)):
        with pytest.raises(FloatingPointError, match=said):
            opt.step(closure)
        assert_same(opt.state_dict(), before)
        np.testing.assert_array_equal(flat(opt.params), p, strict=True)


@every_rule
def test_a_rule_refuses_it_and_goes_on(rule):
    opt, twin = rule(tensors(start())), rule(tensors(start()))
    for step, (place, value) in enumerate(zip((0, 17, SIZE - 1), BAD, strict=True), 1):
        size = f"{abs(value)}, of {NAMES[place]}".replace("[", r"\[")
        said = rf"{rule.__name__}\(.*at step {step}: the largest gradient is {size}"
        assert_refused(opt, bad_gradient(place, value), said)
        np.testing.assert_array_equal(drive(opt, [GRADS[step]]), drive(twin, [GRADS[step]]))
    assert_identical(end(opt), end(twin))
    assert opt.used == twin.used


@every_nesting
def test_wrappers_refuse_it_and_go_on(make):
    opt, twin = make(tensors(start())), make(tensors(start()))
    for place, value, g in zip((0, 17, SIZE - 1), BAD, GRADS, strict=False):
        assert_refused(opt, bad_gradient(place, value), "the largest gradient is (nan|inf), of")
        np.testing.assert_array_equal(drive(opt, [g]), drive(twin, [g]))
        assert_same(opt.state_dict(), twin.state_dict())


def test_groups_are_all_asked_before_any_moves():
    assert_refused(two_rules(tensors(start())), bad_gradient(-1, np.nan), r"of params\[1\]")


@pytest.mark.parametrize("rule", NAMED.values(), ids=NAMED)
def test_rules_with_a_closure_ask_at_the_start_of_a_step(rule):
    run, twin = Run(rule), Run(rule)
    for one in (run, twin):
        one.steps(3)
    before, p, calls = run.opt.state_dict(), run.x.numpy().copy(), len(run.calls)
    for loss, slope in product((1.0, np.nan), (np.full(12, np.nan), np.full(12, np.inf))):
        run.objective = lambda x, loss=loss, slope=slope: (loss, slope)
        with pytest.raises(FloatingPointError, match=rf"{rule.__name__}.* at step 4"):
            run.steps(1)
        assert_same(run.opt.state_dict(), before)
        np.testing.assert_array_equal(run.x.numpy(), p)
    assert len(run.calls) == calls + 4
    run.objective = log_cosh
    np.testing.assert_array_equal(run.steps(3)[1], twin.steps(3)[1])


def test_sam_asks_uphill_too_and_comes_back():
    run, twin = Run(optim.SAM, base=adam), Run(optim.SAM, base=adam)
    for one in (run, twin):
        one.steps(2)
    before = run.opt.state_dict()
    for good in (0, 1):
        left = iter([log_cosh] * good)
        run.objective = lambda x, left=left: next(left, lambda x: (1.0, np.full(12, np.nan)))(x)
        with pytest.raises(FloatingPointError, match="the largest gradient is nan"):
            run.steps(1)
        assert_same(run.opt.state_dict(), before)
        np.testing.assert_array_equal(run.x.numpy(), twin.x.numpy())
    run.objective = log_cosh
    np.testing.assert_array_equal(run.steps(3)[1], twin.steps(3)[1])


@both_dtypes
def test_a_finite_gradient_whose_square_overflows_is_none_of_these(dtype):
    large = 1e30 if dtype == "float32" else 1e200
    opt = optim.SGD(tensors(start(dtype)), lr=1 / large)
    g = np.ones(SIZE)
    g[5] = -large
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drive(opt, [g])
    moved = flat(opt.params) - start(dtype)
    np.testing.assert_allclose(moved, np.where(np.arange(SIZE) == 5, 1, 0), rtol=0, atol=1e-6)


@every_rule
def test_an_overflow_of_a_gradient_that_is_too_large_changes_nothing(rule):
    opt, twin = (rule(tensors(start("float32"))) for _ in range(2))
    for one in (opt, twin):
        drive(one, GRADS[:2])
    before, used = opt.state_dict(), opt.used
    g = np.ones(SIZE)
    g[-30] = -1e30
    try:
        drive(opt, [g])
    except FloatingPointError as error:
        assert "the largest gradient is 1e+30, of params[2]" in str(error)
        assert not TABLE[rule].takes_huge_gradients
    else:
        assert TABLE[rule].takes_huge_gradients
        return
    assert_same(opt.state_dict(), before)
    assert opt.used == used
    np.testing.assert_array_equal(drive(opt, GRADS[2:]), drive(twin, GRADS[2:]))
    assert_same(opt.state_dict(), twin.state_dict())


@every_nesting
def test_it_changes_nothing_in_wrappers_either(make):
    opt, twin = (make(tensors(start("float32"))) for _ in range(2))
    for one in (opt, twin):
        drive(one, GRADS[:2])
    before = opt.state_dict()
    g = np.ones(SIZE)
    g[-30] = -1e30
    feed(opt.params, g)
    try:
        opt.step()
    except FloatingPointError:
        assert_same(opt.state_dict(), before)
        np.testing.assert_array_equal(drive(opt, GRADS[2:]), drive(twin, GRADS[2:]))


def test_what_zero_grad_left_in_memory_is_not_asked():
    [x] = tensors(start(), [(SIZE,)])
    opt = adam([x])
    (x * Tensor(np.full(SIZE, np.nan))).sum().backward()
    opt.zero_grad()
    opt.step()
    np.testing.assert_array_equal(flat([x]), start())


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("width", (1, SIZE))
def test_play_asks_once_before_anything_is_changed(value, width):
    opt = adam(tensors(start()))
    drive(opt, GRADS[:2])
    before, p = opt.state_dict(), flat(opt.params)
    played = gradients(4, SIZE)[:, :width].copy()
    played[2, width - 1] = value
    with pytest.raises(FloatingPointError, match=r"at step 5: gradients\[2\] is not finite in fl"):
        opt.play(played)
    assert_same(opt.state_dict(), before)
    np.testing.assert_array_equal(flat(opt.params), p)


def test_play_asks_in_the_dtype_of_the_arena():
    opt = adam(tensors(start("float32")))
    with pytest.raises(FloatingPointError, match=r"gradients\[1\] is not finite in float32"):
        opt.play(np.array([[1.0], [1e39]]))
    opt.play(np.array([[1.0], [1e9]]))
    assert opt.t == 2


STRICT = {"raise": lambda: np.errstate(all="raise"), "as ever": nullcontext}


def rows_under(errors, build, dtype, grads):
    x, grads = tensors((start() * TINY[::-1]).astype(dtype)), [g.astype(dtype) for g in grads]
    with errors():
        opt, rows = build(x), []
        for g in grads:
            try:
                rows.append(drive(opt, [g])[0])
            except FloatingPointError as error:
                rows.append(str(error))
        with opt.averaged():
            return [*rows, flat(opt.params), to_host(opt.metric()) if can_measure(opt) else 0]


def can_measure(opt):
    return all(rule.diagonal for rule in opt.rules) and opt.t > 0


TINY = 10.0 ** np.linspace(-38, 3, SIZE)


@pytest.mark.parametrize(
    "build", [*TABLE, *NESTED.values()], ids=[*(r.__name__ for r in TABLE), *NESTED]
)
@both_dtypes
def test_what_numpy_is_told_to_raise_outside_changes_nothing(build, dtype):
    grads = [*(GRADS[:3] * TINY), np.full(SIZE, 1e-30), np.zeros(SIZE), GRADS[4]]
    strict, plain = (rows_under(errors, build, dtype, grads) for errors in STRICT.values())
    for one, other in zip(strict, plain, strict=True):
        np.testing.assert_array_equal(one, other)
