"""What the rules of optim/rules/matrix.py have to do with one another and with others."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optim
from minigrad import Tensor, to_host
from tests.driving import assert_close, drive, end, host_only, tensors
from tests.rules import matrix
from tests.rules.matrices import STEPS, M, N, draw, orthogonal, run, seeds
from tests.rules.problems import examples


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


# Axes that are too long


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_shampoo_of_a_long_vector_is_adagrad_and_takes_as_much(dtype):
    x, grads = draw(7, (N,))
    h = {"lr": 0.1, "eps": 0}
    (rows, shampoo), (adagrad, other) = (
        run(rule, x.astype(dtype), grads, **h, **more)
        for rule, more in ((optim.Shampoo, {"largest_axis": N - 1}), (optim.AdaGrad, {}))
    )
    assert_close(rows, adagrad, 1e-5 if dtype == "float32" else 1e-12)
    np.testing.assert_allclose(to_host(shampoo.state["h"]), to_host(other.state["s"]), rtol=1e-6)


@pytest.mark.parametrize("shape", [(M, N), (N, M), (M, M), (2, N, 3), (N,)])
def test_soap_turns_no_axis_that_is_longer_than_the_largest(shape):
    x, grads = draw(8, shape)
    h = {"lr": 0.1, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1, "largest_axis": M}
    rows, opt = run(optim.SOAP, x, grads, precondition_frequency=3, **h)
    expected = list(matrix.soap(x, grads, precondition_frequency=3, **h))
    assert_close(rows, np.array(expected), 1e-9)
    size = sum(n * n for n in shape if n <= M and len(shape) > 1)
    assert opt.state["h"].size == opt.state["q"].size == size


def test_an_embedding_and_a_long_bias_fit():
    for rule in (optim.Shampoo, optim.SOAP):
        x, y = np.ones((50_000, 4), "float32"), np.ones(200_000, "float32")
        opt = rule(tensors(np.concatenate([x.ravel(), y]), [x.shape, y.shape]))
        drive(opt, np.ones((2, x.size + y.size), "float32"))
        assert sum(array.size for array in opt.state.values()) < 4 * (x.size + y.size)


@host_only
@pytest.mark.parametrize("rule, name", [(optim.Shampoo, "params[1]"), (optim.SOAP, "params[1]")])
def test_matrices_that_do_not_fit_are_named_with_their_tensor(rule, name):
    x = [Tensor(np.ones(shape, "float32"), requires_grad=True) for shape in ((2, 2), (10**7, 1))]
    said = (
        rf"the state of {re.escape(name)} does not fit in memory: the matrices for the axes of "
        r"\(10000000, 1\) take 4e\+05 GB; set largest_axis below 10000000, or .* optim.Groups"
    )
    with pytest.raises(MemoryError, match=said):
        rule(x, largest_axis=10**8)
