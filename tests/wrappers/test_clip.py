"""Gradients that are clipped, by their norm."""

import numpy as np
import pytest

import optim
from minigrad import to_host
from optim import ClipNorm, ClipValue, ExponentialAverage
from tests.driving import SIZE, drive, feed, flat, host_only, start, tensors
from tests.wrappers.cases import GRADS, adam, two_groups


def test_clipped_gradients_have_the_norm_that_was_asked_for():
    opt = ClipNorm(two_groups(tensors(start())), 2.0)
    feed(opt.params, GRADS[0])
    opt.step()
    g = np.concatenate([to_host(t.grad).ravel() for t in opt.params])
    np.testing.assert_allclose(np.linalg.norm(g), 2.0, rtol=1e-14)
    np.testing.assert_allclose(g / 2, GRADS[0] / np.linalg.norm(GRADS[0]), rtol=1e-13)
    opt.zero_grad()
    opt.step()
    assert all(not np.any(to_host(t.grad)) for t in opt.params)


def test_a_norm_beyond_the_dtype_is_clipped_all_the_same():
    opt = ClipNorm(optim.SGD(tensors(start("float32")), lr=1.0), 1.0)
    before = flat(opt.params)
    drive(opt, [np.full(SIZE, 1e30)])
    np.testing.assert_allclose(before - flat(opt.params), np.full(SIZE, SIZE**-0.5), rtol=1e-5)


@host_only
@pytest.mark.parametrize("value", (np.inf, -np.inf, np.nan))
@pytest.mark.parametrize("clip", (ClipNorm, ClipValue))
def test_gradients_that_are_not_finite_are_refused_not_clipped(clip, value):
    opt = clip(adam(tensors(start("float32"))), 1.0)
    g = np.ones(SIZE)
    g[7] = value
    feed(opt.params, g)
    with pytest.raises(FloatingPointError, match=r"at step 1: the largest .* of params\[2\]"):
        opt.step()
    np.testing.assert_array_equal(flat(opt.params), start("float32"))


def test_the_norm_that_was_seen_is_there_through_other_wrappers():
    opt = ExponentialAverage(ClipNorm(adam(tensors(start())), 2.0))
    assert opt.total_norm is None
    for g in GRADS[:2]:
        drive(opt, [g])
        np.testing.assert_allclose(to_host(opt.total_norm), np.linalg.norm(g), rtol=1e-14)


@host_only
def test_a_norm_whose_square_overflows_in_float64():
    opt = ClipNorm(optim.SGD(tensors(start()), lr=1.0), 1.0)
    before = flat(opt.params)
    with np.errstate(all="raise"):
        drive(opt, [np.full(SIZE, 1e200)])
    np.testing.assert_allclose(opt.total_norm, 1e200 * SIZE**0.5)
    np.testing.assert_allclose(before - flat(opt.params), np.full(SIZE, SIZE**-0.5), rtol=1e-12)
    p = flat(opt.params)
    with pytest.raises(FloatingPointError, match=r"ClipNorm\(.* at step 2: overflow"):
        drive(opt, [np.full(SIZE, 1.7e308)])
    np.testing.assert_array_equal(flat(opt.params), p)
