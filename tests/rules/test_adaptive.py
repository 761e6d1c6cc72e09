"""What the rules of optim/rules/adaptive.py have to do with one another and with others."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import optim
from minigrad import Tensor, to_host
from optim.schedules import InverseSqrt
from tests.driving import assert_close, both_dtypes, drive, tensors
from tests.rules.problems import SIZE, examples, problems, rates, run

epsilons = st.just(0.0) | st.floats(1e-3, 1)


@both_dtypes
@examples
@given(problems, rates, epsilons)
def test_adagrad_norm_of_one_coordinate_is_adagrad(dtype, problem, lr, eps):
    x0, grads = problem.draw()
    norm, adagrad = (
        rule([Tensor(x0[:1].astype(dtype), requires_grad=True)], lr=lr, eps=eps)
        for rule in (optim.AdaGradNorm, optim.AdaGrad)
    )
    rows, expected = drive(norm, grads[:, :1]), drive(adagrad, grads[:, :1])
    s = 0.0
    for square in np.square(grads[:, 0].astype(dtype)).tolist():
        s += square
    assert to_host(norm.state["s"]) == s  # a number, which is summed in float64
    if dtype == "float64":
        np.testing.assert_array_equal(rows, expected)
        assert s == to_host(adagrad.state["s"])[0]
    else:  # AdaGrad's s, an array, is rounded in every step
        assert_close(rows, expected, 3e-5)
        np.testing.assert_allclose(to_host(adagrad.state["s"]), s, rtol=1e-5)


@examples
@given(problems, rates, epsilons)
def test_ftrl_without_penalties_is_adagrad(problem, lr, eps):
    for rate in (lr, InverseSqrt(lr)):
        adagrad, _ = run(optim.AdaGrad, problem, lr=rate, eps=eps)
        ftrl, _ = run(optim.FTRL, problem, lr=rate, eps=eps)
        assert_close(ftrl, adagrad, 1e-11)


@examples
@given(problems, rates)
def test_ftrl_leaves_zeros_where_gradients_never_sum_to_more_than_l1(problem, lr):
    _, grads = problem.draw()
    largest = np.abs(np.cumsum(grads, axis=0)).max(axis=0)
    l1 = np.median(largest)
    rows = drive(optim.FTRL(tensors(np.zeros(SIZE), [(SIZE,)]), lr=lr, l1=l1), grads)
    np.testing.assert_array_equal(rows.any(axis=0), largest > l1)


@both_dtypes
@examples
@given(problems, rates, st.floats(0, 1), st.floats(0, 1), st.integers(1, 20))
def test_ftrl_at_a_rate_of_0_moves_nothing(dtype, problem, lr, l1, l2, when):
    x0, grads = problem.draw()
    opts = [
        optim.FTRL(tensors(x0.astype(dtype), [(SIZE,)]), lr=rate, eps=0.1, l1=l1, l2=l2)
        for rate in (lr, lambda t: 0.0 if t == when else lr)
    ]
    grads[when - 1] = 0  # so that both have seen the same
    with_it = drive(opts[1], grads[:when])
    np.testing.assert_array_equal(with_it[-1], with_it[-2] if when > 1 else x0.astype(dtype))
    drive(opts[0], grads[: when - 1])
    rows = [drive(opt, grads[when:]) for opt in opts]
    np.testing.assert_array_equal(rows[0], rows[1])
