"""What the rules of optim/rules/descent.py have to do with one another and with others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optim
from tests.driving import assert_close, assert_identical, both_dtypes, drive, end, flat, tensors
from tests.rules.problems import SIZE, STEPS, betas, examples, problems, rates, run


@both_dtypes
@examples
@given(problems, rates)
def test_momentum_0_changes_nothing(dtype, problem, lr):
    sgd, _ = run(optim.SGD, problem, dtype, lr=lr)
    for rule in (optim.Momentum, optim.Nesterov):
        rows, _ = run(rule, problem, dtype, lr=lr, momentum=0.0)
        np.testing.assert_array_equal(rows, sgd, strict=True)
    rmsprop, _ = run(optim.RMSProp, problem, dtype, lr=lr)
    rows, _ = run(optim.RMSPropMomentum, problem, dtype, lr=lr, momentum=0.0)
    assert_close(rows, rmsprop, 1e-5 if dtype == "float32" else 1e-12)


@both_dtypes
@examples
@given(problems, betas, rates)
def test_momentum_without_decay_or_in_a_wrapper_is_sgdw(dtype, problem, momentum, lr):
    h = {"lr": lr, "momentum": momentum}
    rows, plain = run(optim.Momentum, problem, dtype, **h)
    sgdw_rows, sgdw = run(optim.SGDW, problem, dtype, weight_decay=0.0, **h)
    np.testing.assert_array_equal(sgdw_rows, rows, strict=True)
    assert_identical(sgdw, plain)
    x0, grads = problem.draw()
    inner = optim.Momentum(tensors(x0.astype(dtype), [(SIZE,)]), **h)
    rows = drive(optim.DecoupledDecay(inner, weight_decay=0.5), grads)
    sgdw_rows, _ = run(optim.SGDW, problem, dtype, weight_decay=0.5, **h)
    np.testing.assert_array_equal(sgdw_rows, rows, strict=True)


@both_dtypes
@examples
@given(problems, betas, rates)
def test_qhm_with_nu_0_is_sgd(dtype, problem, momentum, lr):
    sgd, _ = run(optim.SGD, problem, dtype, lr=lr)
    qhm, _ = run(optim.QHM, problem, dtype, lr=lr, momentum=momentum, nu=0.0)
    np.testing.assert_array_equal(qhm, sgd, strict=True)


@examples
@given(problems, betas, rates)
def test_qhm_with_nu_1_is_damped_momentum(problem, momentum, lr):
    damped, _ = run(optim.Momentum, problem, lr=lr * (1 - momentum), momentum=momentum)
    qhm, _ = run(optim.QHM, problem, lr=lr, momentum=momentum, nu=1.0)
    assert_close(qhm, damped, 1e-12 * np.abs(damped).max())


@examples
@given(problems, betas, betas, betas, rates)
def test_aggmo_is_the_mean_of_three_momenta(problem, b0, b1, b2, lr):
    # whose gradients do not depend on where they are
    each = [run(optim.Momentum, problem, lr=lr, momentum=beta)[0] for beta in (b0, b1, b2)]
    aggmo, _ = run(optim.AggMo, problem, lr=lr, betas=(b0, b1, b2))
    assert_close(aggmo, np.mean(each, axis=0), 1e-12 * np.abs(each).max())


@both_dtypes
@examples
@given(problems, st.floats(0, 0.99), rates)
def test_asgd_before_its_mean_and_without_decay_is_sgd(dtype, problem, alpha, lr):
    sgd, state = run(optim.SGD, problem, dtype, lr=lr)
    rows, asgd = run(optim.ASGD, problem, dtype, lr=lr, lambd=0.0, alpha=alpha)
    np.testing.assert_array_equal(rows, sgd, strict=True)
    assert_identical(asgd, state | {"ax": state["p"]})


@pytest.mark.parametrize("feasible", (None, optim.Box(-0.5, 1), optim.L2Ball(2)), ids=str)
@examples
@given(problems, st.integers(0, STEPS - 2), rates)
def test_asgd_evaluates_with_the_mean_of_the_weights_after_t0(feasible, problem, t0, lr):
    x0, grads = problem.draw()
    opt = optim.ASGD(tensors(x0, [(SIZE,)]), lr=lr, t0=t0, projection=feasible)
    rows = drive(opt, grads)
    with opt.averaged():
        mean = flat(opt.params)
    assert_close(mean, rows[t0 + 1 :].mean(axis=0), 1e-12 * np.abs(rows).max())


@both_dtypes
def test_asgd_comes_back_from_its_mean_bit_for_bit(dtype):
    x = tensors(np.linspace(-1, 1, 8).astype(dtype), [(3,), (5,)])
    opt = optim.ASGD(x[::-1], lr=0.1, t0=0)
    with opt.averaged():
        np.testing.assert_array_equal(flat(x), np.linspace(-1, 1, 8).astype(dtype), strict=True)
    drive(opt, np.random.default_rng(0).normal(size=(5, 8)))
    before = end(opt)
    loss = (x[0] * x[0]).sum()
    with pytest.raises(KeyError), opt.averaged():
        np.testing.assert_array_equal(flat(opt.params), before["ax"], strict=True)
        assert not np.array_equal(before["p"], before["ax"])
        with pytest.raises(RuntimeError, match="changed after it was used"):
            loss.backward()
        raise KeyError
    assert_identical(end(opt), before)


@both_dtypes
@examples
@given(problems, rates)
def test_signum_without_momentum_is_signsgd(dtype, problem, lr):
    sign, _ = run(optim.SignSGD, problem, dtype, lr=lr)
    signum, _ = run(optim.Signum, problem, dtype, lr=lr, momentum=0.0)
    np.testing.assert_array_equal(signum, sign, strict=True)


@both_dtypes
@examples
@given(problems, betas, rates)
def test_lion_with_one_beta_and_no_decay_is_signum(dtype, problem, beta, lr):
    rows, signum = run(optim.Signum, problem, dtype, lr=lr, momentum=beta)
    lion_rows, lion = run(optim.Lion, problem, dtype, lr=lr, betas=(beta, beta))
    np.testing.assert_array_equal(lion_rows, rows, strict=True)
    assert_identical(lion, signum)


@both_dtypes
@pytest.mark.parametrize("rule", (optim.SignSGD, optim.Signum, optim.Lion, optim.Rprop))
@examples
@given(problems, st.integers(-80, 80))
def test_rules_by_sign_forget_the_scale_of_gradients(rule, dtype, problem, exponent):
    rows, _ = run(rule, problem, dtype)
    # a power of 2 scales every intermediate value without rounding
    scaled, _ = run(rule, problem, dtype, scale=2.0**exponent)
    np.testing.assert_array_equal(scaled, rows, strict=True)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"etas": (1.2, 0.5)}, r"etas=\(1.2, 0.5\) is outside \(0, 1\)"),
        ({"etas": (0.5, 0.9)}, r"etas=\(0.5, 0.9\) is outside \(1, inf\)"),
        ({"etas": (0.0, 1.2)}, r"etas=\(0.0, 1.2\) is outside \(0, 1\)"),
        ({"step_sizes": (50.0, 1e-6)}, r"step_sizes\[0\]=50.0 exceeds step_sizes\[1\]=1e-06; give"),
        ({"step_sizes": (np.full(8, 0.1), np.arange(8.0))}, r"step_sizes\[0\]=array.* exceeds"),
    ],
)
def test_rprop_refuses_what_is_in_the_wrong_order(settings, said):
    with pytest.raises(ValueError, match=said):
        optim.Rprop(tensors(np.ones(8), [(8,)]), **settings)
    opt = optim.Rprop(tensors(np.ones(8), [(8,)]))
    with pytest.raises(ValueError, match=said):
        for name, value in settings.items():
            setattr(opt, name, value)


def test_rprop_refuses_a_step_at_which_its_step_sizes_change_places():
    sizes = (lambda t: 0.1 * t, 0.25)
    opt = optim.Rprop(tensors(np.ones(8), [(8,)]), step_sizes=sizes)
    rows = drive(opt, np.ones((2, 8)))
    with pytest.raises(ValueError, match=r"step_sizes\[0\]=0.30.* exceeds .*=0.25 at step 3; give"):
        opt.step()
    np.testing.assert_array_equal(flat(opt.params), rows[-1])
    fresh = optim.Rprop(tensors(np.ones(8), [(8,)]), step_sizes=sizes)
    with pytest.raises(ValueError, match="at step 3"):
        fresh.play(np.ones((5, 1)))
    np.testing.assert_array_equal(flat(fresh.params), np.ones(8))
