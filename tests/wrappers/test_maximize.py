"""Ascent: the other way with any rule."""

import numpy as np
import pytest

import optim
from minigrad import to_host
from optim import Maximize
from tests.driving import SIZE, feed, flat, start, tensors
from tests.rules.closure import NAMED, X0, Run, log_cosh
from tests.wrappers.cases import GRADS, adam


def test_the_gradients_are_afterwards_what_they_were():
    opt, twin = Maximize(adam(tensors(start()))), adam(tensors(start()))
    feed(opt.params, GRADS[0])
    for _ in range(3):  # of the same gradients
        opt.step()
        np.testing.assert_array_equal(
            np.concatenate([to_host(t.grad).ravel() for t in opt.params]), GRADS[0]
        )
        feed(twin.params, -GRADS[0])
        twin.step()
    np.testing.assert_array_equal(flat(opt.params), flat(twin.params))


def test_a_step_that_is_refused_leaves_the_gradients():
    opt = Maximize(adam(tensors(start()), betas=(lambda t: 0.9 if t < 2 else 1.5, 0.99)))
    feed(opt.params, np.ones(SIZE))
    opt.step()
    with pytest.raises(ValueError, match=r"betas\[0\] is 1.5 at step 2"):
        opt.step()
    assert all(np.all(to_host(t.grad) == 1) for t in opt.params)


@pytest.mark.parametrize("rule", [*NAMED.values(), optim.SAM], ids=lambda r: r.__name__)
def test_with_a_closure_it_is_the_descent_of_minus_the_objective(rule):
    def below(x):  # minus a function that has a minimum
        loss, slope = log_cosh(x)
        return -loss, -slope

    down = Run(rule)
    up = Run(lambda x, **settings: Maximize(rule(x, **settings)), below)
    losses, rows = down.steps(12)
    heights, up_rows = up.steps(12)
    np.testing.assert_array_equal(up_rows, rows)
    np.testing.assert_array_equal(heights, -losses)
    assert heights[0] == -log_cosh(X0)[0]
