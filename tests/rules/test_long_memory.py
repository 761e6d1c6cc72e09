"""What the rules of optim/rules/long_memory.py have to do with one another and with others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optim
from minigrad import to_host
from optim.schedules import Exponential, Inverse, InverseSqrt, OneMinusInverse
from tests.driving import assert_close, assert_identical, both_dtypes, drive, end, tensors
from tests.rules import reddi
from tests.rules.problems import SIZE, betas, examples, problems, rates, run


@both_dtypes
@examples
@given(problems, betas, betas, st.floats(0, 1), rates)
def test_leaky_amsgrad_with_rho_up_to_beta2_is_paper_adam(dtype, problem, b1, b2, part, lr):
    h = {"betas": (b1 * b2**0.5, b2), "lr": lr}
    rows, adam = run(optim.PaperAdam, problem, dtype, **h)
    for rho in (b2, part * b2):
        leaky_rows, leaky = run(optim.LeakyAMSGrad, problem, dtype, rho=rho, **h)
        np.testing.assert_array_equal(leaky_rows, rows, strict=True)
        np.testing.assert_array_equal(leaky.pop("v_max"), adam["v"], strict=True)
        assert_identical(leaky, adam)


@both_dtypes
@examples
@given(problems, betas, betas, rates)
def test_leaky_amsgrad_with_rho_1_is_amsgrad(dtype, problem, b1, b2, lr):
    h = {"betas": (b1, b2), "lr": lr}
    rows, amsgrad = run(optim.AMSGrad, problem, dtype, **h)
    leaky_rows, leaky = run(optim.LeakyAMSGrad, problem, dtype, rho=1.0, **h)
    np.testing.assert_array_equal(leaky_rows, rows, strict=True)
    assert_identical(leaky, amsgrad)


@examples
@given(problems, rates)
def test_adam_nc_without_momentum_is_adagrad(problem, lr):
    # Reddi, Kale and Kumar 2018, Corollary 2: alpha / sqrt(t) over the root of the mean of squares
    nc, _ = run(optim.AdamNC, problem, lr=InverseSqrt(lr), betas=(0.0, OneMinusInverse()))
    adagrad, _ = run(optim.AdaGrad, problem, lr=lr, eps=0)
    assert_close(nc, adagrad)


@both_dtypes
@pytest.mark.parametrize(
    "rule",
    (
        optim.AMSGrad,
        optim.AMSGradTorch,
        optim.AMSGradKeras,
        optim.AMSGradOptax,
        optim.AMSBound,
        optim.Padam,
    ),
)
@examples
@given(problems, betas, betas)
def test_v_max_never_falls(rule, dtype, problem, b1, b2):
    x0, grads = problem.draw()
    opt = rule(tensors(x0.astype(dtype), [(SIZE,)]), lr=1e-3, betas=(b1, b2))
    last = np.zeros(SIZE, dtype)
    for g in grads:
        drive(opt, [g])
        v_max = to_host(opt.state["v_max"]).copy()
        assert np.all(v_max >= last) and np.all(v_max >= to_host(opt.state["v"]))
        last = v_max


@both_dtypes
@examples
@given(problems, betas, betas, rates)
def test_torch_and_keras_agree_on_amsgrad_without_eps(dtype, problem, b1, b2, lr):
    h = {"betas": (b1, b2), "lr": lr, "eps": 0}
    rows, torch = run(optim.AMSGradTorch, problem, dtype, **h)
    keras_rows, keras = run(optim.AMSGradKeras, problem, dtype, **h)
    np.testing.assert_array_equal(keras_rows, rows, strict=True)
    assert_identical(keras, torch)


GOLDEN = [  # rule, eps, lr, parameters after two steps from 0
    (optim.Adam, 1e-8, 0.01, (-0.00377703, 0.01745388, -0.01651526, 0.01814407)),
    (optim.AMSGradTorch, 1e-8, 0.01, (-0.00377703, 0.01745388, -0.01548985, 0.01686232)),
    (optim.AMSGradKeras, 1e-8, 0.01, (-0.00377703, 0.01745388, -0.01548985, 0.01686232)),
    (optim.AMSGradOptax, 1e-8, 0.01, (-0.00377703, 0.01745388, -0.01421053, 0.01526316)),
    (optim.AMSGrad, 0, 0.01, (-0.00017010, 0.00380887, -0.00328634, 0.00365148)),
    (optim.AMSGrad, 0, InverseSqrt(0.01), (-0.00065503, 0.00322803, -0.00285854, 0.00311674)),
    (optim.AMSGradTorch, 0.1, 0.01, (-0.00294776, 0.01644919, -0.01532019, 0.01667499)),
    (optim.AMSGradKeras, 0.1, 0.01, (-0.00234436, 0.01577682, -0.01521212, 0.01655998)),
    (optim.AMSGradOptax, 0.1, 0.01, (-0.00294776, 0.01644919, -0.01406983, 0.01511204)),
    (optim.PaperAdam, 0, 0.01, (-0.00017010, 0.00380887, -0.00355915, 0.00399250)),
]


@pytest.mark.parametrize("rule, eps, lr, expected", GOLDEN)
def test_two_steps_tell_the_rules_apart(rule, eps, lr, expected):
    opt = rule(tensors(np.zeros(4), [(4,)]), lr=lr, betas=(0.9, 0.7), eps=eps)
    rows = drive(opt, [[1.0, -1, 10, -10], [-10.0, -10, -1, -1]])
    np.testing.assert_allclose(rows[-1], expected, rtol=0, atol=5.1e-9)


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
    assert adamx.pop("weight") == 1 - b1
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
    opt = reddi.optimizer(rule, 1, **settings)
    rows = reddi.drive(opt, reddi.SLOPES[: max(x) + 1])[:, 0]
    np.testing.assert_allclose(rows[list(x)], list(x.values()), rtol=0, atol=5.1e-5)
