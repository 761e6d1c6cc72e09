"""The rules of per_tensor and matrix as their papers print them.

Each takes one tensor x and its gradients, and yields x after each step.
"""

from functools import reduce
from typing import Any

import numpy as np


def _norm(x: Any) -> Any:
    return np.linalg.norm(np.ravel(x))


def _ratio(above: Any, below: Any) -> Any:
    return above / below if above and below else 1.0


def _over(above: Any, below: Any) -> Any:
    """above / below, where 0 / 0 is 0."""
    return np.divide(above, below, out=np.zeros_like(above), where=np.asarray(above) != 0)


def lars(x, gradients, lr, momentum, weight_decay, trust_coefficient):
    """You, Gitman and Ginsburg 2017, Algorithm 1."""
    v = np.zeros_like(x)
    for g in gradients:
        rate = _ratio(trust_coefficient * _norm(x), _norm(g) + weight_decay * _norm(x))
        v = momentum * v + lr * rate * (g + weight_decay * x)
        x = x - v
        yield x


def lamb(x, gradients, lr, betas, eps, weight_decay):
    """You et al. 2020, Algorithm 2, where phi(z) = z."""
    (b1, b2), m, v = betas, 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        r = _over(m / (1 - b1**t), np.sqrt(v / (1 - b2**t)) + eps)
        update = r + weight_decay * x
        x = x - lr * _ratio(_norm(x), _norm(update)) * update
        yield x


def novograd(x, gradients, lr, betas, eps, weight_decay):
    """Ginsburg et al. 2019."""
    b1, b2 = betas
    m = v = None
    for g in gradients:
        v = _norm(g) ** 2 if v is None else b2 * v + (1 - b2) * _norm(g) ** 2
        update = _over(g, np.sqrt(v) + eps) + weight_decay * x
        m = update if m is None else b1 * m + update
        x = x - lr * m
        yield x


def sm3(x, gradients, lr, momentum, eps):
    """Anil, Gupta, Koren and Singer 2019, SM3-II, coordinate by coordinate, with momentum."""
    sets = [(axis, i) for axis in range(x.ndim) for i in range(x.shape[axis])] or [()]

    def holding(place):
        return list(enumerate(place)) or [()]

    mu, m = dict.fromkeys(sets, 0.0), np.zeros_like(x)
    for g in gradients:
        new, u = dict.fromkeys(sets, 0.0), np.zeros_like(x)
        for place in np.ndindex(x.shape):
            nu = min(mu[r] for r in holding(place)) + g[place] ** 2
            u[place] = g[place] / np.sqrt(nu + eps) if g[place] else 0.0
            for r in holding(place):
                new[r] = max(new[r], nu)
        mu, m = new, momentum * m + (1 - momentum) * u
        x = x - lr * m
        yield x


def adafactor(x, gradients, lr, decay_rate, eps, min_scale, d, weight_decay):
    """Shazeer and Stern 2018, Algorithm 4, with eps and lr as in torch.optim.Adafactor."""

    def rms(a):
        return _norm(a) / np.sqrt(a.size)

    v = np.zeros_like(x)  # R and C are the sums of rows and columns of v, by linearity
    for t, g in enumerate(gradients, 1):
        beta2 = 1 - t**-decay_rate
        v = beta2 * v + (1 - beta2) * g**2
        estimate = v
        if x.ndim > 1:
            rows, columns = v.mean(-1), v.mean(-2)
            mean = np.maximum(v.mean((-1, -2)), eps)
            estimate = np.einsum("...i,...j->...ij", rows, columns) / mean[..., None, None]
        u = g / np.sqrt(np.maximum(estimate, eps**2))
        u = u / max(1.0, rms(u) / d)
        scale = max(min_scale, rms(x)) * min(lr, 1 / np.sqrt(t))
        x = (1 - lr * weight_decay) * x - scale * u
        yield x


def adam_mini(x, gradients, lr, betas, eps):
    """Zhang et al. 2024: blocks are output units, which are last, or whole vectors."""
    (b1, b2), m, v = betas, 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        blocks = [g[..., j] for j in range(g.shape[-1])] if g.ndim > 1 else [g]
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * np.array([np.mean(block**2) for block in blocks])
        step = lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + (eps or 1e-300))
        x = x - step.reshape(x.shape)
        yield x


def _unfolded(x, axis):
    return np.stack([part.ravel() for part in np.split(x, x.shape[axis], axis)])


def _multiplied(x, matrices):
    """x[i, j, ...] summed against A[i, a] B[j, b] ... for all matrices."""
    ins, outs = "abcd"[: x.ndim], "wxyz"[: x.ndim]
    pairs = ",".join(i + o for i, o in zip(ins, outs, strict=True))
    return np.einsum(f"{ins},{pairs}->{outs}", x, *matrices)


def shampoo(x, gradients, lr, eps):
    """Gupta, Koren and Singer 2018, Algorithms 1 and 2; scalars as vectors of one."""
    shape, x = x.shape, np.atleast_1d(x)
    h = [eps * np.eye(n) for n in x.shape]
    for g in gradients:
        g = g.reshape(x.shape)
        h = [a + _unfolded(g, i) @ _unfolded(g, i).T for i, a in enumerate(h)]
        roots = []
        for a in h:
            u, s, _ = np.linalg.svd(a, hermitian=False)
            roots.append(u @ np.diag(s ** (-1 / (2 * x.ndim))) @ u.T)
        x = x - lr * _multiplied(g, roots)
        yield x.reshape(shape)


def soap(x, gradients, lr, betas, eps, weight_decay, precondition_frequency):
    """Vyas et al. 2024, Algorithms 3 and 4, with the decay of its code, after the step."""
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
            q = [np.linalg.eigh(a)[1][:, ::-1] for a in h]
        elif t % precondition_frequency == 0:
            for i in axes:
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
            s = s / max(_norm(s), eps)
            s = reduce(lambda s, _: 3.4445 * s - 4.775 * s**3 + 2.0315 * s**5, range(5), s)
            x = x - lr * np.sqrt(max(1, x.shape[1] / x.shape[0])) * (u * s @ w)
        else:
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * g**2
            x = x - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + (eps or 1e-300))
        yield x
