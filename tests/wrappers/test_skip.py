"""Steps that are left out since their gradients are not finite."""

import numpy as np
import pytest

import minigrad
import optim
from minigrad import Tensor
from optim import Accumulate, ClipNorm, DecoupledDecay, ExponentialAverage, Frozen, SkipNonFinite
from tests.driving import SIZE, both_dtypes, drive, feed, flat, gradients, host_only, start, tensors
from tests.rules.closure import Run, log_cosh
from tests.rules.table import every_rule
from tests.wrappers.cases import MASK, ONE, adam, assert_same, two_groups

GRADS = gradients(6)
BAD = GRADS[0].copy()
BAD[17] = np.nan
INFINITE = np.where(np.arange(SIZE) == SIZE - 1, -np.inf, GRADS[0])
BEFORE = {"adam": adam, "clip norm": lambda x: ONE["clip norm"](adam(x)), "groups": two_groups}
BEFORE |= {name: (lambda x, name=name: ONE[name](adam(x))) for name in ONE}


def skipping(rows, opt):
    """Rows of the steps with GRADS, between which there are steps that are left out."""
    for g, bad in zip(GRADS, (BAD, INFINITE) * 3, strict=True):
        rows.append(drive(opt, [bad])[0])
        rows.append(drive(opt, [g])[0])
    return rows


@pytest.mark.parametrize("make", BEFORE.values(), ids=BEFORE)
def test_a_step_that_is_left_out_leaves_all_state_alone(make):
    opt, twin = SkipNonFinite(make(tensors(start()))), make(tensors(start()))
    first = flat(opt.params)
    rows = skipping([], opt)
    expected = drive(twin, GRADS)
    np.testing.assert_array_equal(rows[1::2], expected)
    np.testing.assert_array_equal(rows[::2], [first, *expected[:-1]])
    assert_same(opt.inner.state_dict(), twin.state_dict())
    assert opt.skipped == 6 and opt.t == twin.t


@every_rule
def test_around_every_rule(rule):
    opt, twin = SkipNonFinite(rule(tensors(start()))), rule(tensors(start()))
    np.testing.assert_array_equal(skipping([], opt)[1::2], drive(twin, GRADS))
    assert_same(opt.inner.state_dict(), twin.state_dict())


@pytest.mark.parametrize("name", ["ema", "polyak", "lookahead", "frozen", "clip value"])
def test_a_wrapper_around_it_takes_no_part_in_what_is_left_out(name):
    opt, twin = ONE[name](SkipNonFinite(adam(tensors(start())))), ONE[name](adam(tensors(start())))
    bad = np.where(MASK, GRADS[0], np.nan)
    for g in GRADS:
        drive(opt, [bad])
        np.testing.assert_array_equal(drive(opt, [g]), drive(twin, [g]))
    saved, expected = opt.state_dict(), twin.state_dict()
    saved["inner"] = saved["inner"]["inner"]
    assert_same(saved, expected)
    assert opt.skipped == len(GRADS)


@pytest.mark.parametrize("bad", (BAD, INFINITE), ids=("nan", "inf"))
def test_a_gradient_that_is_clipped_outside(bad):
    opt = ClipNorm(SkipNonFinite(adam(tensors(start()))), norm=1.0)
    twin = ClipNorm(adam(tensors(start())), norm=1.0)
    drive(opt, [bad])
    np.testing.assert_array_equal(drive(opt, GRADS), drive(twin, GRADS))
    assert opt.skipped == 1


@pytest.mark.parametrize("at", range(3))
def test_inside_accumulate_it_is_the_mean_that_counts(at):
    opt = Accumulate(SkipNonFinite(adam(tensors(start()))), 3)
    twin = Accumulate(adam(tensors(start())), 3)
    for k in range(3):
        drive(opt, [(BAD, INFINITE)[k % 2] if k >= at else GRADS[k]])
    assert (opt.skipped, opt.count, opt.t) == (1, 0, 0)
    np.testing.assert_array_equal(flat(opt.params), start())
    np.testing.assert_array_equal(drive(opt, GRADS), drive(twin, GRADS))


def test_infinities_that_cancel_inside_accumulate():
    opt = Accumulate(SkipNonFinite(adam(tensors(start()))), 2)
    drive(opt, [INFINITE, -INFINITE])
    assert (opt.skipped, opt.t) == (1, 0)


def test_around_accumulate_each_gradient_counts_without_zero_grad():
    opt = SkipNonFinite(Accumulate(adam(x := tensors(start())), 3))
    twin = Accumulate(adam(y := tensors(start())), 3)

    def backward(params, g):
        for tensor, part in zip(params, np.split(g, [1, 4, 24]), strict=True):
            (tensor * Tensor(part.reshape(tensor.shape))).sum().backward()

    for g in GRADS[:3]:
        backward(x, BAD)
        opt.step()
        for one, params in ((opt, x), (twin, y)):
            backward(params, g)
            one.step()
    np.testing.assert_array_equal(flat(x), flat(y))
    assert (opt.skipped, opt.t, twin.t) == (3, 1, 1)


@host_only
def test_an_overflow_in_the_rule_is_not_hidden():
    opt = SkipNonFinite(optim.Momentum(tensors(start("float32"))))
    drive(opt, GRADS[:1])
    saved = opt.state_dict()
    for lr, large in ((0.1, 3e38), (1e38, 1e3)):
        opt.lr = lr
        opt.inner.state["b"].fill(1e38 if large == 3e38 else 0)
        feed(opt.params, np.full(SIZE, large))
        with pytest.raises(FloatingPointError, match="at step 2: overflow"):
            opt.step()
        assert opt.skipped == 0
    with pytest.raises(RuntimeError, match="half-way"):
        opt.step()
    opt.load_state_dict(saved)


@host_only
def test_rules_with_a_closure():
    for rule in (optim.LBFGS, lambda x: optim.SAM(x, base=adam)):
        run, twin = (Run(lambda x, rule=rule: SkipNonFinite(rule(x))) for _ in range(2))
        for one in (run, twin):
            one.steps(3)
        run.objective = lambda x: (np.nan, np.full(12, np.nan))
        run.steps(2)
        run.objective = log_cosh
        np.testing.assert_array_equal(run.steps(3)[1], twin.steps(3)[1])
        assert run.opt.skipped == 2


def test_weights_would_decay_before_it_leaves_a_step_out():
    for around in (lambda opt: opt, ONE["clip norm"], lambda opt: Accumulate(opt, 2)):
        with pytest.raises(TypeError, match="put DecoupledDecay inside SkipNonFinite"):
            DecoupledDecay(around(SkipNonFinite(adam(tensors(start())))), 0.1)


def test_frozen_outside_zeroes_what_is_not_finite_before_it_is_asked():
    opt = Frozen(SkipNonFinite(adam(tensors(start()))), ["params[1]"])
    g = GRADS[0].copy()
    g[2] = np.nan
    drive(opt, [g])
    assert (opt.skipped, opt.t) == (0, 1)


@both_dtypes
def test_it_is_saved(dtype, tmp_path):
    opt = ExponentialAverage(SkipNonFinite(adam(tensors(start(dtype)))))
    drive(opt, [BAD, GRADS[0], INFINITE])
    minigrad.save(tmp_path / "state.npz", opt=opt)
    fresh = ExponentialAverage(SkipNonFinite(adam(tensors(flat(opt.params)))))
    fresh.load_state_dict(minigrad.load(tmp_path / "state.npz")["opt"])
    assert fresh.skipped == opt.skipped == 2
    np.testing.assert_array_equal(drive(fresh, GRADS), drive(opt, GRADS))
