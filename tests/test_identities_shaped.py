"""What the rules that see shapes have to do with one another, and with matrices."""

import numpy as np
import pytest
from driving import drive, end, tensors
from hypothesis import given, settings
from hypothesis import strategies as st
from test_rules import assert_close

import optim
from minigrad import to_host

STEPS, M, N = 12, 4, 5
examples = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32)


def draw(seed, shape=(M, N)):
    """x_1, and dense gradients of that shape."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape), rng.normal(size=(STEPS, *shape))


def run(rule, x, grads, **hyperparameters):
    """The tensor after every step."""
    opt = rule(tensors(x.ravel(), [x.shape]), **hyperparameters)
    return drive(opt, grads.reshape(len(grads), -1)).reshape(-1, *x.shape), opt


def orthogonal(seed, n):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]


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


@examples
@given(seeds)
def test_shampoo_of_diagonal_gradients_is_adagrad(seed):
    x, grads = draw(seed, (M,))
    adagrad, _ = run(optim.AdaGrad, x, grads, lr=0.1, eps=0)
    shampoo, _ = run(optim.Shampoo, np.diag(x), grads[:, None] * np.eye(M), lr=0.1, eps=0)
    assert_close(shampoo, adagrad[:, None] * np.eye(M))
    one, _ = run(optim.Shampoo, x[:1, None], grads[:, :1, None], lr=0.1, eps=0)
    assert_close(one[:, 0, 0], adagrad[:, 0])


def test_shampoo_of_a_vector_is_full_matrix_adagrad():
    x, grads = draw(3, (N,))
    rows, _ = run(optim.Shampoo, x, grads, lr=0.1, eps=0.5)
    values, vectors = np.linalg.eigh(0.5 * np.eye(N) + grads.T @ grads)
    step = vectors @ ((vectors.T @ grads[-1]) / np.sqrt(values))
    assert_close(rows[-2] - rows[-1], 0.1 * step)


def test_shampoo_holds_the_sums_of_both_products():
    x, grads = draw(4)
    _, opt = run(optim.Shampoo, x, grads)
    left, right = np.split(to_host(opt.state["h"]), [M * M])
    assert_close(left.reshape(M, M), np.einsum("tij,tkj->ik", grads, grads))
    assert_close(right.reshape(N, N), np.einsum("tij,tik->jk", grads, grads))


@pytest.mark.parametrize("rule", (optim.Shampoo, optim.Muon, optim.SOAP))
@examples
@given(seeds)
def test_rotated_gradients_give_rotated_steps(rule, seed):
    x, grads = draw(seed)
    u, w = orthogonal(seed + 1, M), orthogonal(seed + 2, N)
    h = {"lr": 0.1} | ({"weight_decay": 0.0} if rule is not optim.Shampoo else {})
    rows, _ = run(rule, x, grads, **h)
    turned, _ = run(rule, u @ x @ w, u @ grads @ w, **h)
    # as far as the eigenvalues of SOAP's first gradient are apart
    assert_close(turned, u @ rows @ w, 1e-6 if rule is optim.SOAP else 1e-10)


@examples
@given(seeds, st.sampled_from([(3, 3), (4, 7), (7, 4), (1, 5)]))
def test_muon_makes_singular_values_about_one(seed, shape):
    rng = np.random.default_rng(seed)
    m, n = shape
    s = rng.uniform(0.05, 1, min(shape))
    g = orthogonal(seed, m)[:, : len(s)] * s @ orthogonal(seed + 1, n)[: len(s)]
    rows, _ = run(optim.Muon, np.zeros(shape), g[None], lr=1.0, momentum=0.0, weight_decay=0.0)
    u = -rows[0] / max(1, n / m) ** 0.5
    values = np.linalg.svd(u, compute_uv=False)
    assert np.all((values > 0.65) & (values < 1.25))
    # it turns nothing: u is g with other singular values
    np.testing.assert_allclose(u @ g.T, g @ u.T, rtol=0, atol=1e-12)


@examples
@given(seeds)
def test_soap_in_a_basis_of_coordinates_is_adam_from_the_second_gradient_on(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(M, M))
    # one entry of each row and column, so that G G' is diagonal, of sizes in a definite order
    where = np.eye(M)[rng.permutation(M)]
    grads = where * rng.normal(size=(STEPS, M, M)) * np.linspace(1, 9, M)[:, None]
    h = {"lr": 0.1, "betas": (0.9, 0.95), "eps": 0}
    soap, _ = run(optim.SOAP, x, grads, weight_decay=0.0, precondition_frequency=STEPS, **h)
    adam, _ = run(optim.Adam, x, grads[1:], **h)
    assert_close(soap[0], x)
    assert_close(soap[1:], adam)


def test_soap_on_vectors_is_adam_from_the_second_gradient_on():
    x, grads = draw(5, (N,))
    soap, _ = run(optim.SOAP, x, grads, lr=0.1, betas=(0.9, 0.99), eps=0, weight_decay=0.0)
    adam, _ = run(optim.Adam, x, grads[1:], lr=0.1, betas=(0.9, 0.99), eps=0)
    assert_close(soap[1:], adam)


def test_soap_keeps_an_orthogonal_basis_of_the_statistics():
    x, grads = draw(6)
    opt = optim.SOAP(tensors(x.ravel(), [x.shape]), precondition_frequency=2)
    drive(opt, np.tile(grads.reshape(STEPS, -1), (60, 1)))
    left, h = (end(opt)[name][: M * M].reshape(M, M) for name in ("q", "h"))
    assert_close(left.T @ left, np.eye(M))
    turned = left.T @ h @ left
    assert np.all(np.diff(np.diag(turned)) < 0)  # the largest eigenvalue first
