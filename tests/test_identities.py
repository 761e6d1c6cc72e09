"""What rules have to do with one another, and numbers that tell them apart."""

from typing import NamedTuple

import numpy as np
import pytest
from driving import assert_identical, drive, end, tensors
from hypothesis import given, settings
from hypothesis import strategies as st
from test_rules import assert_close, both_dtypes

import optim
from minigrad import to_host
from optim.schedules import InverseSqrt, OneMinusInverse

STEPS, SIZE = 40, 16
betas = st.just(0.0) | st.floats(0.01, 0.999)
rates = st.floats(1e-4, 1)
examples = settings(max_examples=25)


class Problem(NamedTuple):
    """x_1, and gradients from dense to sparse, of scales from 1e-4 to 1e4."""

    seed: int
    density: float
    spread: float

    def draw(self):
        rng = np.random.default_rng(self.seed)
        scale = 10 ** rng.uniform(-self.spread, self.spread, (STEPS, SIZE))
        g = scale * rng.normal(size=scale.shape)
        return rng.normal(size=SIZE), np.where(rng.random(g.shape) < self.density, g, 0)


problems = st.builds(Problem, st.integers(0, 2**32), st.floats(0.02, 1), st.floats(0, 4))


def run(rule, problem, dtype="float64", scale=1.0, **hyperparameters):
    x0, grads = problem.draw()
    opt = rule(tensors(x0.astype(dtype), [(SIZE,)]), **hyperparameters)
    return drive(opt, grads * scale), end(opt)


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


@both_dtypes
@examples
@given(problems, betas, betas, rates)
def test_torch_and_keras_agree_on_amsgrad_without_eps(dtype, problem, b1, b2, lr):
    h = {"betas": (b1, b2), "lr": lr, "eps": 0}
    rows, torch = run(optim.AMSGradTorch, problem, dtype, **h)
    keras_rows, keras = run(optim.AMSGradKeras, problem, dtype, **h)
    np.testing.assert_array_equal(keras_rows, rows, strict=True)
    assert_identical(keras, torch)


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
