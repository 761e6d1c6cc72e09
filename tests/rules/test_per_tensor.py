"""What the rules of optim/rules/per_tensor.py have to do with one another and with others."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import optim
from minigrad import to_host
from tests.driving import assert_close, assert_identical, both_dtypes, drive, tensors
from tests.rules.matrices import STEPS, M, N, draw, run, seeds
from tests.rules.problems import SIZE, betas, dense, examples, problems, rates
from tests.rules.problems import run as run_flat


@examples
@given(seeds)
def test_sm3_is_adagrad_on_vectors(seed):
    x, grads = draw(seed, (N,))
    sm3, opt = run(optim.SM3, x, grads, lr=0.1, momentum=0.0, eps=0)
    adagrad, _ = run(optim.AdaGrad, x, grads, lr=0.1, eps=0)
    assert_close(sm3, adagrad)
    assert_close(to_host(opt.state["mu"]), (grads**2).sum(0))


@examples
@given(seeds)
def test_sm3_bounds_the_sums_of_squares(seed):
    x, grads = draw(seed)
    _, opt = run(optim.SM3, x, grads)
    rows, columns = np.split(to_host(opt.state["mu"]), [M])
    bounds, sums = np.minimum(rows[:, None], columns), (grads**2).sum(0)
    assert np.all(bounds >= sums - 1e-12)
    assert_close(rows, np.maximum(rows, sums.max(1)))


@examples
@given(seeds, st.floats(0.01, 1))
def test_adafactor_is_exact_where_squares_have_rank_one(seed, lr):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0.1, 3, (STEPS, M, 1)), rng.uniform(0.1, 3, (1, N))
    grads = a * b * rng.choice([-1, 1], (STEPS, M, N))  # whose mean squares have rank one too
    x = rng.normal(size=(M, N))
    # as a vector, which is not factored
    factored, _ = run(optim.Adafactor, x, grads, lr=lr)
    full, _ = run(optim.Adafactor, x.ravel(), grads.reshape(STEPS, -1), lr=lr)
    assert_close(factored.reshape(STEPS, -1), full)


@examples
@given(seeds, st.floats(1e-3, 0.5), st.integers(-30, 30))
def test_a_step_of_lamb_and_of_lars_is_in_proportion_to_the_tensor(seed, lr, exponent):
    x, grads = draw(seed)
    trust_1 = {"momentum": 0.0, "trust_coefficient": 1.0}
    for rule, h in ((optim.LAMB, {"eps": 0}), (optim.LARS, trust_1)):
        rows, _ = run(rule, x, grads, lr=lr, **h)
        before = np.concatenate([x[None], rows[:-1]])
        assert_close(
            np.linalg.norm(rows - before, axis=(1, 2)), lr * np.linalg.norm(before, axis=(1, 2))
        )
        # the size of the gradients is forgotten; a power of 2 rounds nothing
        scaled, _ = run(rule, x, grads * 2.0**exponent, lr=lr, **h)
        np.testing.assert_array_equal(scaled, rows)


def test_a_tensor_of_norm_zero_takes_a_plain_step():
    x, grads = np.zeros((M, N)), draw(0)[1][:1]
    lars, _ = run(optim.LARS, x, grads, lr=0.1)
    assert_close(lars, -0.1 * grads)
    lamb, _ = run(optim.LAMB, x, grads, lr=0.1)
    adam, _ = run(optim.Adam, x, grads, lr=0.1, eps=1e-6)
    assert_close(lamb, adam)


@examples
@given(seeds, st.integers(-30, 30))
def test_novograd_forgets_the_scale_of_gradients(seed, exponent):
    x, grads = draw(seed)
    rows, opt = run(optim.NovoGrad, x, grads, eps=0)
    scaled, _ = run(optim.NovoGrad, x, grads * 2.0**exponent, eps=0)
    np.testing.assert_array_equal(scaled, rows)
    assert to_host(opt.state["v"]).shape == (1,)


@examples
@given(seeds)
def test_adam_mini_is_adam_where_a_unit_has_one_size_of_gradient(seed):
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1, 1], (STEPS, M, N))
    x = rng.normal(size=(M, N))
    grads = rng.normal(size=(STEPS, 1, N)) * signs  # an output unit is a column
    mini, opt = run(optim.AdamMini, x, grads)
    adam, _ = run(optim.Adam, x, grads)
    assert_close(mini, adam)
    assert to_host(opt.state["v"]).shape == (N,)
    mini, _ = run(optim.AdamMini, x, np.swapaxes(grads, 1, 2).reshape(STEPS, M, N))
    adam, _ = run(optim.Adam, x, np.swapaxes(grads, 1, 2).reshape(STEPS, M, N))
    assert np.max(abs(mini - adam)) > 1e-5  # rows are not units


@both_dtypes
@examples
@given(problems, betas, betas, rates)
def test_mars_with_gamma_0_is_adamw_on_gradients_that_need_no_clipping(dtype, problem, b1, b2, lr):
    h = {"betas": (b1, b2), "lr": lr, "weight_decay": 0.1, "scale": 1e-6}
    rows, adamw = run_flat(optim.AdamW, problem, dtype, **h)
    mars_rows, mars = run_flat(optim.MARS, problem, dtype, gamma=0.0, **h)
    np.testing.assert_array_equal(mars_rows, rows, strict=True)
    # what MARS has besides: the last gradient, and AdamW's numbers as its tensors read them
    assert mars.keys() - adamw.keys() == {"last", "step", "floor"}
    assert_identical({name: mars[name] for name in adamw}, adamw)
    root = np.sqrt(1 - adamw["beta2_t"])
    assert mars["step"] == lr * root / (1 - adamw["beta1_t"]) and mars["floor"] == 1e-8 * root


@examples
@given(problems, betas, betas, st.floats(0, 2))
def test_mars_sees_no_gradient_of_norm_above_1(problem, b1, b2, gamma):
    _, mars = run_flat(optim.MARS, problem, betas=(b1, b2), gamma=gamma, lr=0.0)
    assert np.linalg.norm(mars["m"]) <= 1 + 1e-12 and np.sum(mars["v"]) <= 1 + 1e-12


@examples
@given(dense, betas, betas, rates)
def test_cautious_adamw_moves_down_the_present_gradient_only(problem, b1, b2, lr):
    x0, grads = problem.draw()
    h = {"betas": (b1, b2), "weight_decay": 0.0}
    rows, _ = run_flat(optim.CautiousAdamW, problem, lr=lr, **h)
    assert np.all(np.diff(rows, axis=0, prepend=x0[None]) * grads <= 0)


@examples
@given(dense, betas, betas, rates)
def test_cautious_adamw_is_adamw_by_n_over_n_plus_1_where_all_agree(problem, b1, b2, lr):
    x0, grads = problem.draw()
    h = {"betas": (b1, b2), "weight_decay": 0.0}
    cautious = optim.CautiousAdamW(tensors(x0, [(SIZE,)]), lr=lr, **h)
    adamw = optim.AdamW(tensors(x0, [(SIZE,)]), lr=lr * SIZE / (SIZE + 1), **h)
    assert_close(drive(cautious, np.abs(grads)), drive(adamw, np.abs(grads)))
