"""What images.py does, in other libraries."""

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import numpy as np

from benchmarks.images import (
    NORM,
    Sizes,
    arrays,
    batches,
    weights,
    zeros_around,
)
from benchmarks.training import BETAS, EPS, LR


def _nchw(a: Any) -> Any:
    """A PyTorch tensor, whose channels come first in its shape and last in memory."""
    import torch

    return torch.from_numpy(a).permute(0, 3, 1, 2)


def _kernels(w: Any) -> Any:
    """The same of kernels (k, l, c, d), which PyTorch has as (d, c, k, l)."""
    return _nchw(w.transpose(3, 0, 1, 2).copy())


def _same(x: Any, w: Any, b: Any) -> Any:
    """PyTorch pads with padding="same" by itself, but copies for an even kernel."""
    from torch.nn import functional

    return functional.conv2d(x, w, b, padding="same")


def torch(sizes: Sizes) -> Iterator[Any]:
    """PyTorch, channels last."""
    import torch

    x, w, b, g = arrays(sizes)
    x, g = _nchw(x).requires_grad_(), _nchw(g)
    w, b = _kernels(w).requires_grad_(), torch.from_numpy(b).requires_grad_()
    while True:
        y = _same(x, w, b)
        parts = y, *torch.autograd.grad(y, (x, w, b), g)
        yield sum(part.flatten()[0] for part in parts)


def jax(sizes: Sizes) -> Iterator[Any]:
    """One `jax.jit`, channels last."""
    import jax

    x, w, b, g = map(jax.device_put, arrays(sizes))

    @jax.jit
    def step(x: Any, w: Any, b: Any, g: Any) -> Any:
        y, pullback = jax.vjp(_jax_same, x, w, b)
        return y, *pullback(g)

    while True:
        yield sum(part.ravel()[0] for part in jax.block_until_ready(step(x, w, b, g)))


def _jax_same(x: Any, w: Any, b: Any) -> Any:
    import jax

    sides = [zeros_around(n) for n in w.shape[:2]]
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, w, (1, 1), sides, dimension_numbers=layout) + b


def mygrad(sizes: Sizes) -> Iterator[Any]:
    """MyGrad, on images that have their zeros already, since it pads evenly."""
    import mygrad
    from mygrad.nnet.layers import conv_nd

    mygrad.turn_memory_guarding_off()
    x, w, b, g = arrays(sizes)
    first = zeros_around(len(w))
    padded = np.pad(x.transpose(0, 3, 1, 2), ((0, 0), (0, 0), first, first))
    x, w = mygrad.tensor(padded), mygrad.tensor(w.transpose(3, 2, 0, 1).copy())
    b, g = mygrad.tensor(b.reshape(1, -1, 1, 1)), g.transpose(0, 3, 1, 2).copy()
    before = first[0]
    while True:
        y = conv_nd(x, w, stride=1) + b
        y.backward(g)
        inner = x.grad[:, :, before:, before:]
        yield sum(part.flat[0] for part in (y.data, inner, w.grad, b.grad))


def torch_cifarnet(side: int, norm: str | None = "own") -> Iterator[Any]:
    """PyTorch, channels last; its response normalization, or one by a 1x1 convolution, or none."""
    import torch
    from torch.nn import functional

    x, y, order = batches(side)
    x, y, *order = _nchw(x), torch.from_numpy(y), *map(torch.from_numpy, order)
    params = [_kernels(a) if a.ndim == 4 else torch.from_numpy(a) for a in weights(side)]
    w1, b1, w2, b2, *dense = (param.requires_grad_() for param in params)
    channel = torch.arange(len(b1))
    band = ((channel - channel[:, None]).abs() <= NORM["size"] // 2).float()[:, :, None, None]

    def response_norm(x: Any) -> Any:
        if norm is None:
            return x
        if norm == "own":
            return functional.local_response_norm(x, **NORM)
        mean = functional.conv2d(x * x, band) * (NORM["alpha"] / NORM["size"])
        return x * (NORM["k"] + mean) ** -NORM["beta"]

    opt = torch.optim.Adam(params, lr=LR, betas=BETAS, eps=EPS)
    for i in cycle(order):
        opt.zero_grad()
        z = functional.relu(functional.max_pool2d(_same(x[i], w1, b1), 2))
        z = functional.relu(functional.max_pool2d(_same(response_norm(z), w2, b2), 2))
        z = z.permute(0, 2, 3, 1).flatten(1)
        for w, b in zip(dense[::2], dense[1::2], strict=True):
            z = z @ w + b
            if b is not dense[-1]:
                z = functional.relu(z)
        loss = functional.cross_entropy(z, y[i])
        loss.backward()
        opt.step()
        yield loss.detach()


def jax_cifarnet(side: int) -> Iterator[Any]:
    """All of a step in one `jax.jit`, its parameters and state donated."""
    import jax
    import optax
    from jax import numpy as jnp

    x, y, order = batches(side)
    x, y, *order = map(jax.device_put, (x, y, *order))
    params = jax.device_put(weights(side))
    opt = optax.adam(LR, *BETAS, EPS)
    state = opt.init(params)
    channel = np.arange(len(params[1]))
    band = (np.abs(channel - channel[:, None]) <= NORM["size"] // 2).astype("f4")

    def pooled(x: Any) -> Any:
        size = (1, 2, 2, 1)
        return jax.nn.relu(jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, size, size, "VALID"))

    def loss_of(params: Any, x: Any, y: Any) -> Any:
        w1, b1, w2, b2, *dense = params
        z = pooled(_jax_same(x, w1, b1))
        z = z * (NORM["k"] + NORM["alpha"] / NORM["size"] * ((z * z) @ band)) ** -NORM["beta"]
        z = pooled(_jax_same(z, w2, b2)).reshape(len(x), -1)
        for i in range(0, len(dense), 2):
            z = z @ dense[i] + dense[i + 1]
            z = z if i + 2 == len(dense) else jax.nn.relu(z)
        return optax.softmax_cross_entropy_with_integer_labels(z, y).mean()

    def step(params: Any, state: Any, x: Any, y: Any, i: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(params, x[i], y[i])
        updates, state = opt.update(grads, state)
        return optax.apply_updates(params, updates), state, loss

    step = jax.jit(step, donate_argnums=(0, 1))
    for i in cycle(order):
        params, state, loss = step(params, state, x, y, i)
        yield loss
