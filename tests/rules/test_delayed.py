"""What the rules of optim/rules/delayed.py have to do with one another and with others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optim
from minigrad import to_host
from tests.driving import assert_close, drive, tensors
from tests.rules.problems import SIZE, betas, dense, examples, problems, rates, run

DELAYED = (optim.ADOPT, optim.ACProp, optim.AvaGrad, optim.AdaShift, optim.MaxAdaShift)


@pytest.mark.parametrize("rule", (*DELAYED, optim.Adam))
@examples
@given(dense, rates)
def test_a_delayed_divisor_does_not_know_the_gradient_it_divides(rule, problem, lr):
    # so the step is linear in the present gradient, and a large one keeps its effect
    x0, grads = problem.draw()

    def after(last):
        opt = rule(tensors(x0, [(SIZE,)]), lr=lr, betas=(0.5, 0.9))
        return drive(opt, [*grads[:-1], last])[-1]

    g = 0.1 * grads[-1]
    once, thrice = after(g) - after(0 * g), after(3 * g) - after(0 * g)
    if rule is optim.Adam:
        assert np.max(np.abs(thrice - 3 * once)) > 1e-5 * lr
    else:
        assert_close(thrice, 3 * once, 1e-11)  # differences of larger numbers


@examples
@given(problems, betas, rates)
def test_adopt_starts_with_v_alone_and_bounds_its_steps(problem, b1, lr):
    x0, _ = problem.draw()
    rows, _ = run(optim.ADOPT, problem, betas=(b1, 0.9), lr=lr)
    np.testing.assert_array_equal(rows[0], x0)
    bound = lr * np.arange(1, len(rows)) ** 0.25
    assert np.all(np.abs(np.diff(rows, axis=0)) <= bound[:, None] * (1 + 1e-9) + 1e-14)


@examples
@given(problems, betas, betas, rates)
def test_acprop_starts_with_a_step_of_sgd(problem, b1, b2, lr):
    rows, _ = run(optim.ACProp, problem, betas=(b1, b2), lr=lr)
    sgd, _ = run(optim.SGD, problem, lr=lr)
    assert_close(rows[0], sgd[0], 1e-15)


@examples
@given(problems, betas, st.integers(0, 15), rates)
def test_avagrad_of_one_coordinate_is_momentum(problem, b1, i, lr):
    # its only rate is scaled to lr, whatever v is
    x0, grads = problem.draw()
    one = [tensors(x0[i : i + 1], [(1,)]) for _ in range(2)]
    ava = drive(optim.AvaGrad(one[0], betas=(b1, 0.99), lr=lr), grads[:, i : i + 1])
    momentum = optim.Momentum(one[1], lr=lr * (1 - b1), momentum=b1)
    assert_close(ava, drive(momentum, grads[:, i : i + 1]))


@examples
@given(problems, betas, betas, st.integers(1, 12), rates)
def test_adashift_waits_for_its_delay(problem, b1, b2, delay, lr):
    x0, _ = problem.draw()
    for rule in (optim.AdaShift, optim.MaxAdaShift):
        rows, _ = run(rule, problem, betas=(b1, b2), delay=delay, lr=lr)
        np.testing.assert_array_equal(rows[:delay], np.tile(x0, (delay, 1)))


@examples
@given(dense, betas, betas, rates)
def test_adashift_with_a_delay_of_1_steps_over_adams_last_root(problem, b1, b2, lr):
    x0, grads = problem.draw()
    rows, _ = run(optim.AdaShift, problem, betas=(b1, b2), delay=1, lr=lr)
    adam = optim.Adam(tensors(x0, [(SIZE,)]), betas=(0.0, b2), lr=lr, eps=1e-10)
    for t in range(1, len(grads)):
        drive(adam, grads[t - 1 : t])
        metric = to_host(adam.metric())
        np.testing.assert_allclose(rows[t], rows[t - 1] - grads[t] / metric, rtol=1e-9, atol=1e-9)


def test_the_queue_moves_on_while_a_step_is_played_again():
    gradients = np.random.default_rng(0).standard_normal((40, 3))
    for rule in (optim.AdaShift, optim.MaxAdaShift):
        opts = [rule(tensors(np.zeros(3), [(3,)]), delay=4) for _ in range(2)]
        for opt in opts:
            opt.play(gradients[:10])
        np.testing.assert_array_equal(opts[0].play(gradients, at=99), opts[1].play(gradients))


@examples
@given(problems, betas, betas, st.integers(1, 12), rates)
def test_the_largest_square_of_one_coordinate_is_its_square(problem, b1, b2, delay, lr):
    x0, grads = problem.draw()
    rows = []
    for rule in (optim.AdaShift, optim.MaxAdaShift):
        opt = rule(tensors(x0, [(1,)] * SIZE), betas=(b1, b2), delay=delay, lr=lr)
        rows.append(drive(opt, grads))
    np.testing.assert_array_equal(*rows)
