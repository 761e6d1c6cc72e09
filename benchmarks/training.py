"""A training step with Adam at batch 128: index, forward, backward, update, in several libraries.

Each contestant takes the sizes of the layers, starts from the same weights, goes through the same
batches and yields the loss after every step.
"""

from collections.abc import Callable, Iterator
from itertools import cycle, pairwise
from typing import Any

import numpy as np

ROWS, BATCH = 10_000, 128
LR, BETAS, EPS = 1e-3, (0.9, 0.999), 1e-8


def ours(sizes: list[int]) -> Iterator[Any]:
    """Through the public API, as the experiments write it."""
    import models
    import optim

    x, y, batches, layers = _task(sizes)
    model = models.MLP(sizes) if len(sizes) > 2 else models.LogisticRegression(*sizes)
    params = model.parameters()
    for param, start in zip(params, [a for layer in layers for a in layer], strict=True):
        param.data = start
    opt = optim.Adam(params, lr=LR, betas=BETAS, eps=EPS)
    for i in cycle(batches):
        opt.zero_grad()
        loss = model.loss(x.take(i, axis=0), y[i])
        loss.backward()
        opt.step()
        yield loss


def by_hand(sizes: list[int]) -> Iterator[Any]:
    """Plain NumPy in buffers that are made once: what a framework on NumPy is bounded by."""
    x, y, batches, layers = _task(sizes)
    p = np.concatenate([a.ravel() for layer in layers for a in layer])
    g = np.empty_like(p)
    weights, slopes = _views(p, sizes), _views(g, sizes)
    values = [np.empty((BATCH, n), np.float32) for n in sizes]
    rows = np.arange(BATCH)
    update = _adam(p, g)
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
        z /= BATCH
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


def torch(sizes: list[int], **options: bool) -> Iterator[Any]:
    """Eager PyTorch."""
    import torch

    x, y, batches, layers = _task(sizes)
    x, y, *batches = map(torch.from_numpy, (x, y, *batches))
    modules = []
    for w, b in layers:
        linear = torch.nn.Linear(*w.shape)
        linear.weight.data = torch.from_numpy(w.T.copy())
        linear.bias.data = torch.from_numpy(b)
        modules += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules[:-1])
    opt = torch.optim.Adam(model.parameters(), lr=LR, betas=BETAS, eps=EPS, **options)
    for i in cycle(batches):
        opt.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[i]), y[i])
        loss.backward()
        opt.step()
        yield loss.detach()


def jax(sizes: list[int]) -> Iterator[Any]:
    """All of a step in one `jax.jit`, its parameters and state donated."""
    import jax
    import optax

    x, y, batches, params = _task(sizes)
    x, y, *batches = map(jax.device_put, (x, y, *batches))
    opt = optax.adam(LR, *BETAS, EPS)
    params = jax.device_put(params)
    state = opt.init(params)

    def loss_of(params: Any, x: Any, y: Any) -> Any:
        *hidden, (w, b) = params
        for v, c in hidden:
            x = jax.nn.relu(x @ v + c)
        return optax.softmax_cross_entropy_with_integer_labels(x @ w + b, y).mean()

    def step(params: Any, state: Any, x: Any, y: Any, i: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(params, x[i], y[i])
        updates, state = opt.update(grads, state)
        return optax.apply_updates(params, updates), state, loss

    step = jax.jit(step, donate_argnums=(0, 1))
    for i in cycle(batches):
        params, state, loss = step(params, state, x, y, i)
        yield loss


def autograd(sizes: list[int]) -> Iterator[Any]:
    """HIPS autograd, with the Adam that is written by hand."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    x, y, batches, layers = _task(sizes)
    p = np.concatenate([a.ravel() for layer in layers for a in layer])
    g = np.empty_like(p)
    params, slopes = _views(p, sizes), _views(g, sizes)
    update = _adam(p, g)

    def loss_of(params: Any, x: Any, y: Any) -> Any:
        *hidden, (w, b) = params
        for v, c in hidden:
            x = anp.maximum(anp.dot(x, v) + c, 0)
        z = anp.dot(x, w) + b
        z = z - anp.max(z, axis=1, keepdims=True)
        picked = z[np.arange(len(y)), y]
        return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - picked)

    loss_and_grads = value_and_grad(loss_of)
    for i in cycle(batches):
        loss, grads = loss_and_grads(params, x[i], y[i])
        for views, arrays in zip(slopes, grads, strict=True):
            for view, array in zip(views, arrays, strict=True):
                view[...] = array
        update()
        yield loss


def _task(sizes: list[int]) -> tuple[Any, ...]:
    """Inputs, labels, the indices of each batch, and a (weights, biases) for each layer."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, sizes[0]), dtype=np.float32)
    y = rng.integers(sizes[-1], size=ROWS)
    order = rng.permutation(ROWS)
    batches = [order[k : k + BATCH] for k in range(0, ROWS - BATCH + 1, BATCH)]
    layers = [
        (rng.standard_normal((n, m), dtype=np.float32) / np.float32(n) ** 0.5, np.zeros(m, "f4"))
        for n, m in pairwise(sizes)
    ]
    return x, y, batches, layers


def _views(flat: Any, sizes: list[int]) -> list[tuple[Any, Any]]:
    """A flat array as a (weights, biases) for each layer."""
    views, start = [], 0
    for n, m in pairwise(sizes):
        weights, biases = np.split(flat[start : start + n * m + m], [n * m])
        views.append((weights.reshape(n, m), biases))
        start += n * m + m
    return views


def _adam(p: Any, g: Any) -> Callable[[], None]:
    """A function that takes a step of Adam in place, as the paper has it, with no temporaries."""
    m, v, a = np.zeros_like(p), np.zeros_like(p), np.empty_like(p)
    # 0-d arrays are the scalars that a ufunc takes fastest
    scalars = (*BETAS, 1 - BETAS[0], 1 - BETAS[1])
    beta1, beta2, rest1, rest2 = (np.asarray(scalar, p.dtype) for scalar in scalars)
    t = 0

    def step() -> None:
        nonlocal t
        t += 1
        root = (1 - BETAS[1] ** t) ** 0.5
        np.multiply(m, beta1, out=m)
        np.multiply(g, rest1, out=a)
        np.add(m, a, out=m)
        np.multiply(v, beta2, out=v)
        np.multiply(g, g, out=a)
        np.multiply(a, rest2, out=a)
        np.add(v, a, out=v)
        np.sqrt(v, out=a)
        np.add(a, np.asarray(EPS * root, p.dtype), out=a)
        np.divide(m, a, out=a)
        np.multiply(a, np.asarray(LR * root / (1 - BETAS[0] ** t), p.dtype), out=a)
        np.subtract(p, a, out=p)

    return step
