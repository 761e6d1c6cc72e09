"""Facts that tie the answers to Adam's forgetting to other rules, and what each comes to."""

import numpy as np
import pytest
import test_reddi
from driving import assert_identical, drive, end, tensors
from hypothesis import given
from hypothesis import strategies as st
from test_identities import SIZE, Problem, betas, examples, problems, rates, run
from test_rules import assert_close, both_dtypes

import optim
from minigrad import to_host
from optim.schedules import Exponential, Inverse, InverseSqrt, OneMinusInverse

dense = st.builds(Problem, st.integers(0, 2**32), st.just(1.0), st.just(0.0))


def falling(t):
    return 0.99 / t**0.3


def wavering(t):
    return 0.5 + 0.4 * np.sin(t)


@both_dtypes
@examples
@given(problems, betas, betas, rates)
def test_adamx_with_a_constant_beta1_is_amsgrad(dtype, problem, b1, b2, lr):
    h = {"betas": (b1, b2), "lr": lr}
    rows, amsgrad = run(optim.AMSGrad, problem, dtype, **h)
    adamx_rows, adamx = run(optim.AdamX, problem, dtype, **h)
    np.testing.assert_array_equal(adamx_rows, rows, strict=True)
    assert_identical(adamx, amsgrad)


@pytest.mark.parametrize("beta1", (Inverse(0.9), Exponential(0.9, 0.99), falling, wavering))
@examples
@given(problems, betas)
def test_what_never_falls_in_adamx_is_v_max_over_one_minus_beta1_squared(beta1, problem, b2):
    # Tran and Phong 2019: their Example 3.2 breaks it for AMSGrad
    x0, grads = problem.draw()
    opt = optim.AdamX(tensors(x0, [(SIZE,)]), betas=(beta1, b2))
    last_max = last_ratio = np.zeros(SIZE)
    for t, g in enumerate(grads, 1):
        drive(opt, [g])
        v_max = to_host(opt.state["v_max"]).copy()
        ratio = v_max / (1 - beta1(t)) ** 2
        assert np.all(ratio >= last_ratio * (1 - 1e-14)) and np.all(v_max >= end(opt)["v"])
        assert beta1 is wavering or np.all(v_max >= last_max)
        last_max, last_ratio = v_max, ratio


@examples
@given(problems, betas, rates)
def test_the_mean_of_equally_weighted_squares_is_adam_nc(problem, b1, lr):
    rows, nc = run(optim.AdamNC, problem, betas=(b1, OneMinusInverse()), lr=lr)
    for rule, h in ((optim.NosAdam, {"beta1": b1, "gamma": 0}), (optim.AdaX, {"betas": (b1, 0)})):
        got_rows, got = run(rule, problem, lr=lr, eps=0, **h)
        assert_close(got_rows, rows)
        np.testing.assert_allclose(got["v"], nc["v"], rtol=1e-13)


def test_adax_does_not_overflow_where_its_paper_would():
    opt = optim.AdaX(tensors(np.ones(1, "float32"), [(1,)]), betas=(0.9, 0.9))
    rows = drive(opt, np.ones((200, 1)))  # 1.9^200 is 6e55
    assert np.all(np.isfinite(rows)) and end(opt)["v"] == pytest.approx(1)


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
        assert np.max(np.abs(thrice - 3 * once)) > 1e-3 * lr
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


@examples
@given(problems, betas, betas, st.integers(1, 12), rates)
def test_the_largest_square_of_one_coordinate_is_its_square(problem, b1, b2, delay, lr):
    x0, grads = problem.draw()
    rows = []
    for rule in (optim.AdaShift, optim.MaxAdaShift):
        opt = rule(tensors(x0, [(1,)] * SIZE), betas=(b1, b2), delay=delay, lr=lr)
        rows.append(drive(opt, grads))
    np.testing.assert_array_equal(*rows)


@both_dtypes
@examples
@given(problems, betas, betas, rates)
def test_mars_with_gamma_0_is_adamw_on_gradients_that_need_no_clipping(dtype, problem, b1, b2, lr):
    h = {"betas": (b1, b2), "lr": lr, "weight_decay": 0.1, "scale": 1e-6}
    rows, adamw = run(optim.AdamW, problem, dtype, **h)
    mars_rows, mars = run(optim.MARS, problem, dtype, gamma=0.0, **h)
    np.testing.assert_array_equal(mars_rows, rows, strict=True)
    del mars["last"]
    assert_identical(mars, adamw)


@examples
@given(problems, betas, betas, st.floats(0, 2))
def test_mars_sees_no_gradient_of_norm_above_1(problem, b1, b2, gamma):
    _, mars = run(optim.MARS, problem, betas=(b1, b2), gamma=gamma, lr=0.0)
    assert np.linalg.norm(mars["m"]) <= 1 + 1e-12 and np.sum(mars["v"]) <= 1 + 1e-12


@examples
@given(dense, betas, betas, rates)
def test_cautious_adamw_moves_down_the_present_gradient_only(problem, b1, b2, lr):
    x0, grads = problem.draw()
    h = {"betas": (b1, b2), "weight_decay": 0.0}
    rows, _ = run(optim.CautiousAdamW, problem, lr=lr, **h)
    assert np.all(np.diff(rows, axis=0, prepend=x0[None]) * grads <= 0)


@examples
@given(dense, betas, betas, rates)
def test_cautious_adamw_is_adamw_by_n_over_n_plus_1_where_all_agree(problem, b1, b2, lr):
    x0, grads = problem.draw()
    h = {"betas": (b1, b2), "weight_decay": 0.0}
    cautious = optim.CautiousAdamW(tensors(x0, [(SIZE,)]), lr=lr, **h)
    adamw = optim.AdamW(tensors(x0, [(SIZE,)]), lr=lr * SIZE / (SIZE + 1), **h)
    assert_close(drive(cautious, np.abs(grads)), drive(adamw, np.abs(grads)))


B = {"betas": (0.9, 0.99)}
PROBLEM_1 = [  # rule, settings, {t: x after t steps from 0}, t a number of whole periods
    ("PaperAdam", B, {5050: 0.5704, 10100: 1.0}),
    ("CautiousAdamW", {**B, "weight_decay": 0.0}, {5050: 1.0, 10100: 1.0}),
    ("MARS", B, {5050: 1.0, 10100: 1.0}),
    ("AMSGrad", B, {5050: -0.7680, 10100: -0.7978}),
    ("AdamX", {"betas": (Inverse(0.9), 0.99)}, {5050: -0.4726, 10100: -0.4765}),
    ("AdamNC", {}, {5050: -0.1097, 10100: -0.1386}),
    ("NosAdam", {}, {5050: -0.1539, 10100: -0.1834}),
    ("AdaX", {}, {5050: -0.1159, 10100: -0.1473}),
    ("ACProp", B, {5050: -0.9224, 10100: -0.9452}),
    ("AdaShift", B, {5050: -0.9360, 10100: -0.9549}),
    ("AvaGrad", {**B, "lr": InverseSqrt(0.005)}, {5050: -0.8110, 10100: -0.8487}),
    # the clip at t^(1/4) hides most of the large gradient until it is about 11
    ("ADOPT", B, {10100: 1.0, 15150: 0.9111, 30300: -0.0919, 50500: -0.9846}),
]


@pytest.mark.parametrize("rule, settings, x", PROBLEM_1)
def test_where_problem_1_leads(rule, settings, x):
    """Reddi, Kale and Kumar 2018, Section 5, with lr 0.5 / sqrt(t): -1 is best, +1 is worst.

    No maximum is needed to go to -1: a mean of all squares does, and so does a delayed divisor.
    """
    opt = test_reddi.optimizer(rule, 1, **settings)
    rows = test_reddi.drive(opt, test_reddi.SLOPES[: max(x) + 1])[:, 0]
    np.testing.assert_allclose(rows[list(x)], list(x.values()), rtol=0, atol=5.1e-5)
