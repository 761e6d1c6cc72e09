"""What the rules of optim/rules/adam.py have to do with one another and with others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optim
from minigrad import Tensor
from tests.driving import assert_close, both_dtypes, drive, tensors
from tests.rules.problems import SIZE, assert_same, betas, examples, problems, rates, run

powers_of_2 = st.integers(-40, 40).map(lambda exponent: 2.0**exponent)


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
@given(problems, betas, betas, rates)
def test_bias_correction_is_a_schedule_of_the_rate(problem, b1, b2, lr):
    def rate(t):
        return lr * np.sqrt(1 - b2**t) / (1 - b1**t)

    adam, _ = run(optim.Adam, problem, betas=(b1, b2), eps=0, lr=lr)
    paper, _ = run(optim.PaperAdam, problem, betas=(b1, b2), eps=0, lr=rate)
    assert_close(paper, adam, 1e-12)


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


@examples
@given(problems, st.integers(-40, 40), betas, betas)
def test_adam_forgets_the_scale_of_gradients_as_eps_vanishes(problem, exponent, b1, b2):
    h = {"betas": (b1 * b2**0.5, b2)}
    rows, _ = run(optim.Adam, problem, eps=0, **h)
    # a power of 2 scales every intermediate value without rounding
    scaled, _ = run(optim.Adam, problem, scale=2.0**exponent, eps=0, **h)
    np.testing.assert_array_equal(scaled, rows)
    rows, _ = run(optim.Adam, problem, eps=1e-3, **h)
    scaled, _ = run(optim.Adam, problem, scale=2.0**exponent, eps=1e-3 * 2.0**exponent, **h)
    np.testing.assert_array_equal(scaled, rows)


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


@examples
@given(betas, st.floats(0.01, 0.999))
def test_adamax_steps_by_lr_along_a_constant_gradient(b1, b2):
    opt = optim.AdaMax(tensors(np.zeros(4), [(4,)]), lr=0.5, betas=(b1, b2), eps=0)
    rows = drive(opt, np.tile([1.0, -3, 1e4, 0], (5, 1)))
    assert_close(rows, np.outer(np.arange(1, 6), [-0.5, 0.5, -0.5, 0]))


def test_adamw_moves_what_has_no_part_in_the_loss_and_frozen_is_the_cure():
    x, unused = (Tensor(np.ones(3), requires_grad=True, dtype="float64") for _ in range(2))
    opt = optim.AdamW([x, unused], lr=0.1, weight_decay=0.5)

    def step(opt):
        opt.zero_grad()
        (x * x).sum().backward()
        opt.step()

    step(opt)
    np.testing.assert_allclose(unused.numpy(), 0.95, rtol=1e-15)  # as optax; 1 in PyTorch
    del opt
    opt = optim.Frozen(optim.AdamW([x, unused], lr=0.1, weight_decay=0.5), ["params[1]"])
    before = unused.numpy().copy()
    step(opt)
    np.testing.assert_array_equal(unused.numpy(), before)
