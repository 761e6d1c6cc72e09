"""The rules of optim/rules/matrix.py: their rows in the table, and papers in NumPy."""

from functools import reduce
from typing import Any

import numpy as np

import optim
from tests.rules.formulas import norm
from tests.rules.rows import Row


def _unfolded(x, axis):
    return np.stack([part.ravel() for part in np.split(x, x.shape[axis], axis)])


def _multiplied(x, matrices):
    """x[i, j, ...] summed against A[i, a] B[j, b] ... for all matrices."""
    ins, outs = "abcd"[: x.ndim], "wxyz"[: x.ndim]
    pairs = ",".join(i + o for i, o in zip(ins, outs, strict=True))
    return np.einsum(f"{ins},{pairs}->{outs}", x, *matrices)


def shampoo(x, gradients, lr, eps, largest_axis=np.inf):
    """Gupta, Koren and Singer 2018, Algorithms 1 and 2; scalars as vectors of one. The matrix of a
    longer axis is diagonal.
    """
    shape, x = x.shape, np.atleast_1d(x)
    h = [eps * np.eye(n) for n in x.shape]
    for g in gradients:
        g = g.reshape(x.shape)
        for i, a in enumerate(h):
            squares = _unfolded(g, i) @ _unfolded(g, i).T
            a += squares if len(a) <= largest_axis else np.diag(np.diag(squares))
        roots = []
        for a in h:
            u, s, _ = np.linalg.svd(a, hermitian=False)
            roots.append(u @ np.diag(s ** (-1 / (2 * x.ndim))) @ u.T)
        x = x - lr * _multiplied(g, roots)
        yield x.reshape(shape)


def soap(x, gradients, lr, betas, eps, weight_decay, precondition_frequency, largest_axis=np.inf):
    """Vyas et al. 2024, Algorithms 3 and 4, with the decay of its code, after the step. A longer
    axis keeps the basis that it has.
    """
    b1, b2 = betas
    m, v = np.zeros_like(x), np.zeros_like(x)
    axes = range(x.ndim if x.ndim > 1 else 0)
    h = [np.zeros((x.shape[i],) * 2) for i in axes]
    q: list[Any] = []
    for t, g in enumerate(gradients):
        if t:
            m = b1 * m + (1 - b1) * g
            rotated = _multiplied(g, q) if q else g
            v = b2 * v + (1 - b2) * rotated**2
            n = (_multiplied(m, q) if q else m) / (np.sqrt(v) + eps)
            n = _multiplied(n, [a.T for a in q]) if q else n
            x = x - lr * np.sqrt(1 - b2**t) / (1 - b1**t) * n
            x = x - lr * weight_decay * x
        h = [b2 * a + (1 - b2) * _unfolded(g, i) @ _unfolded(g, i).T for i, a in enumerate(h)]
        if t == 0:
            q = [
                np.linalg.eigh(a)[1][:, ::-1] if len(a) <= largest_axis else np.eye(len(a))
                for a in h
            ]
        elif t % precondition_frequency == 0:
            for i in [i for i in axes if x.shape[i] <= largest_axis]:
                values = np.array([c @ h[i] @ c for c in q[i].T])
                order = np.argsort(-values)
                v = np.take(v, order, i)
                q[i] = np.linalg.qr(h[i] @ q[i][:, order])[0]
        yield x


def muon(x, gradients, lr, betas, momentum, eps, weight_decay):
    """Jordan et al. 2024 on matrices, by singular values; Loshchilov and Hutter 2019 elsewhere."""
    (b1, b2), m, v = betas, np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        x = x - lr * weight_decay * x
        if x.ndim == 2:
            m = momentum * m + (1 - momentum) * g
            u, s, w = np.linalg.svd(momentum * m + (1 - momentum) * g, full_matrices=False)
            s = s / max(norm(s), eps)
            s = reduce(lambda s, _: 3.4445 * s - 4.775 * s**3 + 2.0315 * s**5, range(5), s)
            x = x - lr * np.sqrt(max(1, x.shape[1] / x.shape[0])) * (u * s @ w)
        else:
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * g**2
            x = x - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + (eps or 1e-300))
        yield x


ROWS = {
    optim.Shampoo: Row(
        {"lr": 0.1, "eps": 1e-4, "largest_axis": 1024},
        paper=shampoo,
        cases=({}, {"lr": 1.0, "eps": 1.0}, {"eps": 1e-2}, {"largest_axis": 3, "eps": 0.1}),
        tolerance=1e-11,  # eigenvalues that spread over ten decades lose digits in any method
        descends={"lr": 1.0},
        elementwise=False,
    ),
    optim.SOAP: Row(
        {
            "lr": 3e-3,
            "betas": (0.95, 0.95),
            "eps": 1e-8,
            "weight_decay": 1e-2,
            "precondition_frequency": 10,
            "largest_axis": 10_000,
        },
        moves_at_zero=True,
        descends={"lr": 0.1, "weight_decay": 0.0},
        elementwise=False,
    ),
    optim.Muon: Row(
        {
            "lr": 1e-3,
            "betas": (0.9, 0.999),
            "eps": 1e-7,
            "weight_decay": 0.1,
            "momentum": 0.95,
        },
        paper=muon,
        cases=(
            {},
            {"lr": 0.02, "momentum": 0.5, "weight_decay": 0.0},
            {"lr": 0.1, "betas": (0.5, 0.9), "eps": 0.1},
        ),
        moves_at_zero=True,
        descends={"lr": 0.1, "weight_decay": 0.0},
        elementwise=False,
    ),
}
