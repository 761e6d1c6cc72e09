"""What the rules of optim/rules/numerator.py have to do with one another and with others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optim
from optim.schedules import Constant, WarmUp
from tests.driving import assert_close, both_dtypes, drive, tensors
from tests.rules.problems import SIZE, assert_same, betas, examples, problems, rates, run


@examples
@given(problems, betas, rates)
def test_adan_without_its_second_beta_has_the_numerator_of_adam(problem, b1, lr):
    # beta2 = 0 leaves no change of the gradient to follow
    adam = run(optim.Adam, problem, betas=(b1, 0.99), lr=lr)
    rows, adan = run(optim.Adan, problem, betas=(b1, 0.0, 0.99), lr=lr)
    adan["beta2_t"] = adan.pop("beta3_t")  # its third beta is Adam's second
    assert_same((rows, adan), adam)


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
    assert optim.schedules.MemoryWarmUp(0.9, 0.99, 0)(1) == 0.99
    for bad in ((0.0, 0.9, 5), (0.9, 1.0, 5)):
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
