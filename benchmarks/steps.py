"""One AMSGrad step over a flat array of parameters, and the memory that it takes.

Each contestant takes the number of parameters, sees the same gradient at every step and yields
the first parameter.
"""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np

LR, BETAS, EPS = 1e-3, (0.9, 0.999), 1e-8


def ours(size: int) -> Iterator[Any]:
    """Through the public API."""
    import optim
    from minigrad import Tensor

    start, gradient = _task(size)
    p = Tensor(start, requires_grad=True)
    opt = optim.AMSGrad([p], lr=LR, betas=BETAS, eps=EPS)
    p.grad = gradient
    while True:
        opt.step()
        yield p.data[0]


def textbook(size: int) -> Iterator[Any]:
    """As the paper has it, with temporaries of the size of the parameters."""
    p, g = _task(size)
    m, v, vmax = (np.zeros_like(p) for _ in range(3))
    beta1, beta2 = BETAS
    while True:
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        vmax = np.maximum(vmax, v)
        p = p - LR * m / (np.sqrt(vmax) + EPS)
        yield p[0]


def torch(size: int, **options: bool) -> Iterator[Any]:
    """PyTorch's AMSGrad, which differs from the paper's in its bias correction."""
    import torch

    p, g = map(torch.from_numpy, _task(size))
    p.grad = g
    opt = torch.optim.Adam([p], lr=LR, betas=BETAS, eps=EPS, amsgrad=True, **options)
    while True:
        opt.step()
        yield p[0]


def jax(size: int) -> Iterator[Any]:
    """optax's AMSGrad, another one again, in one `jax.jit` with everything donated."""
    import jax
    import optax

    p, g = map(jax.device_put, _task(size))
    opt = optax.amsgrad(LR, *BETAS, EPS)

    def step(p: Any, state: Any, g: Any) -> Any:
        update, state = opt.update(g, state)
        return optax.apply_updates(p, update), state

    step = jax.jit(step, donate_argnums=(0, 1))
    state = opt.init(p)
    while True:
        p, state = step(p, state, g)
        yield p[0]


def peak_bytes(size: int) -> int:
    """The most memory that one of our steps holds at a time, by tracemalloc."""
    steps = ours(size)
    next(steps)
    tracemalloc.start()
    next(steps)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def _task(size: int) -> tuple[Any, Any]:
    """Parameters and their gradient."""
    rng = np.random.default_rng(0)
    return rng.standard_normal(size, dtype=np.float32), rng.standard_normal(size, dtype=np.float32)
