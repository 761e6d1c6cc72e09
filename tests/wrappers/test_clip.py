"""Gradients that are clipped, by their norm."""

import numpy as np
import pytest

import optim
from minigrad import to_host
from optim import ClipNorm
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
def test_infinite_gradients_are_reported_not_made_nan():
    opt = ClipNorm(adam(tensors(start("float32"))), 1.0)
    g = np.ones(SIZE)
    g[7] = np.inf
    feed(opt.params, g)
    with pytest.raises(FloatingPointError, match=r"ClipNorm\(inner=Adam.*norm=1.0\) at step 1"):
        opt.step()
    np.testing.assert_array_equal(flat(opt.params), start("float32"))
