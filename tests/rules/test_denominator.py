"""What the rules of optim/rules/denominator.py have to do with one another and with others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optim
from minigrad import to_host
from tests.driving import assert_close, both_dtypes, drive, gradients, start, tensors
from tests.rules.problems import SIZE, assert_same, betas, examples, problems, rates, run


@both_dtypes
@examples
@given(problems, betas, betas, rates)
def test_padam_with_a_power_of_a_half_is_amsgrad(dtype, problem, b1, b2, lr):
    h = {"betas": (b1, b2), "lr": lr}
    assert_same(
        run(optim.Padam, problem, dtype, partial=0.5, **h), run(optim.AMSGrad, problem, dtype, **h)
    )


@examples
@given(problems, betas, betas, rates)
def test_padam_with_a_power_of_0_is_momentum(problem, b1, b2, lr):
    rows, _ = run(optim.Padam, problem, betas=(b1, b2), lr=lr, partial=0.0)
    momentum, _ = run(optim.Momentum, problem, lr=lr * (1 - b1), momentum=b1)
    assert_close(rows, momentum, 1e-11)


@examples
@given(problems, betas, betas, rates)
def test_adabound_unbounded_is_adam(problem, b1, b2, lr):
    # whose eps is not corrected: with eps = 0 it is everyone's
    h = {"betas": (b1 * b2**0.5, b2), "lr": lr, "eps": 0}
    adam, _ = run(optim.Adam, problem, **h)
    rows, _ = run(optim.AdaBound, problem, gamma=0.0, **h)
    assert_close(rows, adam)
    rows, _ = run(optim.AdaBound, problem, gamma=1e-200, **h)
    assert_close(rows, adam)
    rows, _ = run(optim.AMSBound, problem, gamma=0.0, **h)
    assert_close(rows, run(optim.AMSGradTorch, problem, **h)[0])


@pytest.mark.parametrize("rule", (optim.AdaBound, optim.AMSBound))
@examples
@given(problems, betas, betas, rates)
def test_adabound_with_bounds_that_meet_is_momentum(rule, problem, b1, b2, lr):
    rows, _ = run(rule, problem, betas=(b1, b2), final_lr=lr, gamma=1e15)
    momentum, _ = run(optim.Momentum, problem, lr=lr * (1 - b1), momentum=b1)
    assert_close(rows, momentum, 1e-11)


@pytest.mark.parametrize("rule", (optim.AdaBound, optim.AMSBound))
@examples
@given(problems, betas, betas, rates, st.floats(1e-3, 1))
def test_adabound_keeps_its_rates_within_their_bounds(rule, problem, b1, b2, lr, gamma):
    x0, grads = problem.draw()
    opt = rule(tensors(x0, [(SIZE,)]), lr=lr, betas=(b1, b2), final_lr=0.1, gamma=gamma)
    x = x0
    for t, g in enumerate(grads, 1):
        before, x = x, drive(opt, [g])[0]
        rates = 1 / to_host(opt.metric())
        assert_close(x, before - rates * to_host(opt.state["m"]))
        assert np.all(rates >= 0.1 * (1 - 1 / (gamma * t + 1)) * (1 - 1e-12))
        assert np.all(rates <= 0.1 * (1 + 1 / (gamma * t)) * (1 + 1e-12))


@pytest.mark.parametrize("rule", (optim.AdaBound, optim.AMSBound))
def test_adabound_warms_up_from_a_rate_of_0(rule):
    opt = rule(tensors(start()), lr=lambda t: 0.1 * (t - 1), gamma=1e9)
    grads = gradients(3)
    np.testing.assert_array_equal(drive(opt, grads[:1])[0], start())
    assert np.all(to_host(opt.metric()) == np.inf)
    for g, final_lr in zip(grads[1:], (0.1, 0.2), strict=True):  # in proportion to lr
        drive(opt, [g])
        np.testing.assert_allclose(to_host(opt.metric()), 1 / final_lr, rtol=1e-6)


def test_a_constant_gradient_surprises_adabelief_ever_less():
    # Zhuang et al. 2020, Section 2.2: where gradients agree it takes larger steps than Adam
    steps = []
    for rule in (optim.AdaBelief, optim.Adam):
        opt = rule(tensors(np.zeros(1), [(1,)]))
        steps.append(-np.diff(drive(opt, np.ones((30, 1)))[:, 0], prepend=0))
    assert np.all(steps[0] > steps[1]) and np.all(np.diff(steps[0]) > 0)


@examples
@given(problems, betas)
def test_yogi_moves_v_by_a_part_of_the_square_whatever_the_distance(problem, b2):
    x0, grads = problem.draw()
    opt = optim.Yogi(tensors(x0, [(SIZE,)]), betas=(0.9, b2))
    last = to_host(opt.state["v"]).copy()
    for g in grads:
        drive(opt, [g])
        v = to_host(opt.state["v"]).copy()
        expected = last + np.sign(g * g - last) * (1 - b2) * g * g
        assert np.all(v >= 0)
        assert np.all(abs(v - expected) <= 1e-15 * np.maximum(v, last))
        last = v
