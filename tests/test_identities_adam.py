"""What Adam's kin have to do with Adam, with momentum, and with one another."""

import numpy as np
import pytest
from driving import assert_identical, drive, gradients, start, tensors
from hypothesis import given
from hypothesis import strategies as st
from test_identities import SIZE, betas, examples, problems, rates, run
from test_rules import assert_close, both_dtypes

import optim
from minigrad import to_host
from optim.schedules import Constant, WarmUp

powers_of_2 = st.integers(-40, 40).map(lambda exponent: 2.0**exponent)


def assert_same(one, other):
    """The same trajectory and the same arrays that both have, bit for bit."""
    (rows, state), (other_rows, other_state) = one, other
    np.testing.assert_array_equal(rows, other_rows, strict=True)
    both = state.keys() & other_state.keys()
    assert {"m", "v"} <= both
    assert_identical({n: state[n] for n in both}, {n: other_state[n] for n in both})


@both_dtypes
@examples
@given(problems, betas, betas, rates)
def test_rules_that_are_adam_at_the_end_of_their_range(dtype, problem, b1, b2, lr):
    h = {"betas": (b1, b2), "lr": lr}
    adam = run(optim.Adam, problem, dtype, **h)
    assert_same(run(optim.AdamW, problem, dtype, weight_decay=0.0, **h), adam)
    assert_same(run(optim.QHAdam, problem, dtype, nus=(1.0, 1.0), **h), adam)


@both_dtypes
@examples
@given(problems, betas, betas, rates, st.floats(0, 0.99))
def test_rules_that_are_adamw_at_the_end_of_their_range(dtype, problem, b1, b2, lr, weight_decay):
    h = {"lr": lr, "weight_decay": weight_decay}
    adamw = run(optim.AdamW, problem, dtype, betas=(b1, b2), **h)
    assert_same(run(optim.AdEMAMix, problem, dtype, betas=(b1, b2, 0.9), alpha=0.0, **h), adamw)
    h["betas"] = (b1, b2)
    nadam = run(optim.NAdam, problem, dtype, betas=(b1, b2), lr=lr)
    assert_same(run(optim.NAdamW, problem, dtype, **{**h, "weight_decay": 0.0}), nadam)


@both_dtypes
@examples
@given(problems, betas, rates)
def test_look_ahead_without_momentum_is_adam(dtype, problem, b2, lr):
    h = {"betas": (0.0, b2), "lr": lr}
    adam = run(optim.Adam, problem, dtype, **h)
    assert_same(run(optim.NAdam, problem, dtype, **h), adam)
    assert_same(run(optim.Grams, problem, dtype, **h), adam)
    rows, _ = run(optim.LaProp, problem, dtype, eps=1e-8, **h)
    assert_close(rows, adam[0], 1e-5 if dtype == "float32" else 1e-12)


@examples
@given(problems, betas, rates)
def test_adan_without_its_second_beta_has_the_numerator_of_adam(problem, b1, lr):
    # beta2 = 0 leaves no change of the gradient to follow
    adam = run(optim.Adam, problem, betas=(b1, 0.99), lr=lr)
    assert_same(run(optim.Adan, problem, betas=(b1, 0.0, 0.99), lr=lr), adam)


@examples
@given(problems, st.floats(0, 0.9), rates)
def test_rules_without_averages_move_as_sign_descent(problem, nu, lr):
    # Adam, NAdam, AdaMax, LaProp and QHAdam with betas of 0, without eps
    x0, grads = problem.draw()
    sign = x0 - lr * np.cumsum(np.sign(grads), axis=0)
    for rule in (optim.Adam, optim.NAdam, optim.LaProp, optim.Grams):
        assert_close(run(rule, problem, betas=(0.0, 0.0), eps=0, lr=lr)[0], sign)
    rows, _ = run(optim.QHAdam, problem, betas=(0.0, 0.0), nus=(nu, nu), eps=0, lr=lr)
    assert_close(rows, sign)


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


@examples
@given(problems, betas, betas, rates, st.floats(1e-3, 1))
def test_adabound_keeps_its_rates_within_their_bounds(problem, b1, b2, lr, gamma):
    x0, grads = problem.draw()
    opt = optim.AdaBound(tensors(x0, [(SIZE,)]), lr=lr, betas=(b1, b2), final_lr=0.1, gamma=gamma)
    for t, g in enumerate(grads, 1):
        drive(opt, [g])
        rates = 1 / to_host(opt.metric())
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


@both_dtypes
@examples
@given(problems, betas, betas, rates)
def test_grams_is_adam_while_gradients_keep_their_sign(dtype, problem, b1, b2, lr):
    x0, grads = problem.draw()
    signs = np.where(np.arange(SIZE) % 2, 1, -1)
    ends = []
    for rule in (optim.Grams, optim.Adam):
        opt = rule(tensors(x0.astype(dtype), [(SIZE,)]), betas=(b1, b2), lr=lr)
        ends.append(drive(opt, signs * (abs(grads) + 1e-3)))
    np.testing.assert_array_equal(*ends, strict=True)


@examples
@given(problems, betas, betas, rates)
def test_grams_descends_with_every_gradient(problem, b1, b2, lr):
    x0, grads = problem.draw()
    opt = optim.Grams(tensors(x0, [(SIZE,)]), betas=(b1, b2), lr=lr)
    steps = np.diff(np.vstack([x0, drive(opt, grads)]), axis=0)
    assert np.all(steps * grads <= 0)


@pytest.mark.parametrize(
    "rule",
    (
        optim.AdamW,
        optim.AdaMax,
        optim.NAdam,
        optim.NAdamW,
        optim.QHAdam,
        optim.Grams,
        optim.LaProp,
        optim.Adan,
        optim.AdEMAMix,
    ),
)
@examples
@given(problems, powers_of_2)
def test_forgets_the_scale_of_gradients_as_eps_vanishes(rule, problem, scale):
    # a power of 2 scales every intermediate value without rounding
    rows, _ = run(rule, problem, eps=0)
    np.testing.assert_array_equal(run(rule, problem, scale=scale, eps=0)[0], rows)
    if rule is not optim.LaProp:  # its default vanishes
        assert not np.array_equal(run(rule, problem, scale=2.0**-40, eps=1e-3)[0], rows)
    rows, _ = run(rule, problem, eps=1e-3)
    scaled, _ = run(rule, problem, scale=scale, eps=1e-3 * scale)
    np.testing.assert_array_equal(scaled, rows)


@examples
@given(problems, st.floats(0, 0.66), rates)
def test_radam_is_momentum_while_rho_is_at_most_5(problem, b2, lr):
    h = {"betas": (0.9, b2), "lr": lr}  # whose rho tends to 2 / (1 - beta2) - 1 < 5
    x0, grads = problem.draw()
    rows, _ = run(optim.RAdam, problem, **h)
    m, expected = np.zeros(SIZE), [x0]
    for t, g in enumerate(grads, 1):
        m = 0.9 * m + 0.1 * g
        expected.append(expected[-1] - lr * m / (1 - 0.9**t))
    assert_close(rows, np.array(expected[1:]))


@pytest.mark.parametrize("beta2", (0.999, 0.99, 0.9, 0.8))
def test_radam_turns_adaptive_when_rho_exceeds_5(beta2):
    t = np.arange(1, 15)
    rho = 2 / (1 - beta2) - 1 - 2 * t * beta2**t / (1 - beta2**t)
    first = np.argmax(rho > 5)
    assert first >= 5
    opt = optim.RAdam(tensors(np.zeros(1), [(1,)]), lr=1.0, betas=(0.9, beta2))
    steps = np.diff(drive(opt, np.full((14, 1), 1e-4))[:, 0], prepend=0)
    np.testing.assert_allclose(steps[:first], -1e-4, rtol=1e-9)
    assert np.all(steps[first:] < -1e-3)  # no longer in proportion to the gradient


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


@examples
@given(betas, st.floats(0.01, 0.999))
def test_adamax_steps_by_lr_along_a_constant_gradient(b1, b2):
    opt = optim.AdaMax(tensors(np.zeros(4), [(4,)]), lr=0.5, betas=(b1, b2), eps=0)
    rows = drive(opt, np.tile([1.0, -3, 1e4, 0], (5, 1)))
    assert_close(rows, np.outer(np.arange(1, 6), [-0.5, 0.5, -0.5, 0]))


@examples
@given(problems, rates)
def test_adan_follows_a_constant_gradient_as_adam_does(problem, lr):
    # no change, so that m is g and v is g^2, both corrected
    g = np.tile(problem.draw()[1][:1], (8, 1))
    opt = optim.Adan(tensors(np.zeros(SIZE), [(SIZE,)]), lr=lr, eps=0)
    assert_close(drive(opt, g), -lr * np.outer(np.arange(1, 9), np.sign(g[0])))


@examples
@given(problems, betas, betas, st.floats(0.01, 0.99))
def test_ademamix_with_a_slow_mean_like_the_fast_steps_further(problem, b1, b2, alpha):
    # with beta3 = beta1 both means are one, but only the fast is corrected
    b1 *= b2**0.5
    adam, _ = run(optim.Adam, problem, betas=(b1, b2), lr=0.01)
    mix, _ = run(optim.AdEMAMix, problem, betas=(b1, b2, b1), alpha=alpha, lr=0.01)
    further = 1 + alpha * (1 - b1 ** np.arange(1, len(adam) + 1))[:, None]
    assert_close(np.diff(mix, axis=0), further[1:] * np.diff(adam, axis=0))


def test_memory_warm_up_is_that_of_the_paper():
    steps, start, end = 1000, 0.9, 0.9999
    beta3 = optim.schedules.MemoryWarmUp(start, end, steps)
    for t in (1, 250, 999):
        x = t / steps
        a, b = np.log(start), np.log(end)
        expected = np.exp(a * b / ((1 - x) * b + x * a))
        np.testing.assert_allclose(beta3(t), expected, rtol=1e-14)
    half_lives = [np.log(0.5) / np.log(beta3(t)) for t in (100, 200, 300, 400)]
    np.testing.assert_allclose(np.diff(half_lives, 2), 0, atol=1e-8)  # they grow linearly
    assert beta3(steps) == beta3(10 * steps) == end and abs(beta3(1) - start) < 0.1
    for bad in ((0.0, 0.9, 5), (0.9, 1.0, 5), (0.9, 0.99, 0)):
        with pytest.raises(ValueError, match="must be"):
            optim.schedules.MemoryWarmUp(*bad)


@examples
@given(problems)
def test_ademamix_warms_up_from_adamw(problem):
    steps = 10**9  # in which nothing warms up
    warming = {
        "alpha": WarmUp(steps, Constant(5.0)),
        "betas": (0.9, 0.999, optim.schedules.MemoryWarmUp(0.9, 0.9999, steps)),
    }
    rows, _ = run(optim.AdEMAMix, problem, **warming)
    assert_close(rows, run(optim.AdamW, problem, weight_decay=0.0)[0], 1e-8)
