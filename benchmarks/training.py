"""A training step with Adam: index, forward, backward, update; ours and the one written by hand.

Each contestant, here and in training_peers.py, takes the sizes of the layers and of the batch,
starts from the same weights, goes through the same batches and yields the loss after every step.
"""

from collections.abc import Callable, Iterator
from itertools import cycle, pairwise
from typing import Any

import numpy as np

ROWS = 10_000
LR, BETAS, EPS = 1e-3, (0.9, 0.999), 1e-8
MOMENTS = (*BETAS, 1 - BETAS[0], 1 - BETAS[1])
MANY = 2**19  # parameters, of which two threads update half each in less time than one all


def ours(sizes: list[int], batch: int) -> Iterator[Any]:
    """Through the public API, as the experiments write it."""
    import models

    x, y, batches, layers = task(sizes, batch)
    model = models.MLP(sizes) if len(sizes) > 2 else models.LogisticRegression(*sizes)
    yield from trained(model, [a for layer in layers for a in layer], x, y, batches)


def trained(model: Any, weights: Any, x: Any, y: Any, batches: Any) -> Iterator[Any]:
    """A model of ours from these weights: the loss of each step of Adam."""
    import optim

    params = model.parameters()
    for param, start in zip(params, weights, strict=True):
        param.data = start
    opt = optim.Adam(params, lr=LR, betas=BETAS, eps=EPS)
    for i in cycle(batches):
        opt.zero_grad()
        loss = model.loss(x.take(i, axis=0), y[i])
        loss.backward()
        opt.step()
        yield loss


def by_hand(
    sizes: list[int], batch: int, adam: Callable[[Any, Any], Callable[[], None]] | None = None
) -> Iterator[Any]:
    """Plain NumPy in buffers that are made once: what a framework on NumPy is bounded by.

    Another `adam` may take the place of the one in NumPy.
    """
    x, y, batches, layers = task(sizes, batch)
    p = np.concatenate([a.ravel() for layer in layers for a in layer])
    g = np.empty_like(p)
    weights, slopes = views(p, sizes), views(g, sizes)
    values = [np.empty((batch, n), np.float32) for n in sizes]
    rows = np.arange(batch)
    update = (adam or adam_in_numpy)(p, g)
    for i in cycle(batches):
        x.take(i, axis=0, out=values[0], mode="clip")  # any other mode buffers
        labels = y[i]
        for (w, b), value, result in zip(weights, values, values[1:], strict=False):
            np.matmul(value, w, out=result)
            result += b
            if result is not values[-1]:
                np.maximum(result, 0, out=result)

        z = values[-1]
        z -= z.max(axis=1, keepdims=True)
        picked = z[rows, labels]
        np.exp(z, out=z)
        total = z.sum(axis=1, keepdims=True)
        loss = (np.log(total[:, 0]) - picked).mean()

        z /= total
        z[rows, labels] -= 1
        z /= batch
        for k in reversed(range(len(weights))):
            (w, _), (dw, db), d = weights[k], slopes[k], values[k + 1]
            np.matmul(values[k].T, d, out=dw)
            d.sum(axis=0, out=db)
            if k:
                active = values[k] > 0
                np.matmul(d, w.T, out=values[k])
                values[k] *= active
        update()
        yield loss


def task(sizes: list[int], batch: int) -> tuple[Any, ...]:
    """Inputs, labels, the indices of each batch, and a (weights, biases) for each layer."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, sizes[0]), dtype=np.float32)
    y = rng.integers(sizes[-1], size=ROWS)
    order = rng.permutation(ROWS)
    batches = [order[k : k + batch] for k in range(0, ROWS - batch + 1, batch)]
    layers = [
        (rng.standard_normal((n, m), dtype=np.float32) / np.float32(n) ** 0.5, np.zeros(m, "f4"))
        for n, m in pairwise(sizes)
    ]
    return x, y, batches, layers


def views(flat: Any, sizes: list[int]) -> list[tuple[Any, Any]]:
    """A flat array as a (weights, biases) for each layer."""
    parts, start = [], 0
    for n, m in pairwise(sizes):
        weights, biases = np.split(flat[start : start + n * m + m], [n * m])
        parts.append((weights.reshape(n, m), biases))
        start += n * m + m
    return parts


def adam_in_numpy(p: Any, g: Any) -> Callable[[], None]:
    """A function that takes a step of Adam in place, as the paper has it, with no temporaries."""
    m, v, a = np.zeros_like(p), np.zeros_like(p), np.empty_like(p)
    # 0-d arrays are the scalars that a ufunc takes fastest
    beta1, beta2, rest1, rest2 = (np.asarray(scalar, p.dtype) for scalar in MOMENTS)

    def step(rate: float, eps: float) -> None:
        np.multiply(m, beta1, out=m)
        np.multiply(g, rest1, out=a)
        np.add(m, a, out=m)
        np.multiply(v, beta2, out=v)
        np.multiply(g, g, out=a)
        np.multiply(a, rest2, out=a)
        np.add(v, a, out=v)
        np.sqrt(v, out=a)
        np.add(a, np.asarray(eps, p.dtype), out=a)
        np.divide(m, a, out=a)
        np.multiply(a, np.asarray(rate, p.dtype), out=a)
        np.subtract(p, a, out=p)

    return _counting(step)


def adam_in_numba(p: Any, g: Any) -> Callable[[], None]:
    """The same in one compiled loop, which threads share where there are many parameters."""
    import numba

    m, v = np.zeros_like(p), np.zeros_like(p)
    beta1, beta2, rest1, rest2 = map(np.float32, MOMENTS)

    @numba.njit(parallel=p.size > MANY, error_model="numpy")
    def loop(p: Any, g: Any, m: Any, v: Any, rate: Any, eps: Any) -> None:
        for i in numba.prange(p.size):
            m[i] = beta1 * m[i] + rest1 * g[i]
            v[i] = beta2 * v[i] + rest2 * g[i] * g[i]
            p[i] -= rate * m[i] / (np.sqrt(v[i]) + eps)

    return _counting(lambda rate, eps: loop(p, g, m, v, np.float32(rate), np.float32(eps)))


def _counting(step: Callable[[float, float], None]) -> Callable[[], None]:
    """The step with the rate and the eps that correct the bias, of each t in turn."""
    t = 0

    def counted() -> None:
        nonlocal t
        t += 1
        root = (1 - BETAS[1] ** t) ** 0.5
        step(LR * root / (1 - BETAS[0] ** t), EPS * root)

    return counted
