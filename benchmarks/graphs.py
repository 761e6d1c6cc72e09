"""Autograd's own cost: a graph of tiny ops, there and back, where arithmetic costs next to nothing.

Each contestant takes a graph, which is a function of x and of WIDTH weights that any library's
numbers can go through, differentiates it with respect to all of them and yields the slope of x.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

WIDTH, NUMBERS = 100, 8
Graph = Callable[[Any, Any], Any]


def chain(x: Any, weights: Any) -> Any:
    """Each op needs the one before."""
    for w in weights:
        x = x * w
    return x.sum()


def wide(x: Any, weights: Any) -> Any:
    """All products can go first, and are added in pairs."""
    terms = [x * w for w in weights]
    while len(terms) > 1:
        pairs = zip(terms[::2], terms[1::2], strict=False)
        terms = [a + b for a, b in pairs] + terms[len(terms) // 2 * 2 :]
    return terms[0].sum()


OPS = {chain: WIDTH + 1, wide: 2 * WIDTH}


def ours(graph: Graph) -> Iterator[Any]:
    """Through the public API."""
    from minigrad import Parameters, Tensor

    leaves = [Tensor(a, requires_grad=True) for a in _leaves()]
    params = Parameters.of(leaves)
    x, *weights = leaves
    while True:
        params.zero_grad()
        graph(x, weights).backward()
        yield x.grad[0]


def torch(graph: Graph) -> Iterator[Any]:
    """Eager PyTorch."""
    import torch

    x, *weights = leaves = [torch.from_numpy(a).requires_grad_() for a in _leaves()]
    while True:
        for leaf in leaves:
            leaf.grad = None
        graph(x, weights).backward()
        yield x.grad[0]


def jax(graph: Graph, jit: bool = False) -> Iterator[Any]:
    """`jax.grad`, which traces anew each time, or compiled by `jax.jit`, which then runs no op of
    the graph by itself."""
    import jax

    x, *weights = map(jax.device_put, _leaves())
    slopes = jax.grad(graph, argnums=(0, 1))
    if jit:
        slopes = jax.jit(slopes)
    while True:
        yield slopes(x, weights)[0][0]


def autograd(graph: Graph) -> Iterator[Any]:
    """HIPS autograd."""
    from autograd import grad

    x, *weights = _leaves()
    slopes = grad(lambda leaves: graph(*leaves))
    while True:
        yield slopes((x, weights))[0][0]


def mygrad(graph: Graph) -> Iterator[Any]:
    """MyGrad without its guard of memory, as its manual advises for speed."""
    import mygrad

    mygrad.turn_memory_guarding_off()
    x, *weights = map(mygrad.tensor, _leaves())
    while True:
        graph(x, weights).backward()
        yield x.grad[0]


def tinygrad(graph: Graph) -> Iterator[Any]:
    """tinygrad without its JIT: it builds, schedules and fuses the graph anew, and has compiled
    the kernels before."""
    from tinygrad import Tensor

    x, *weights = leaves = [Tensor(a).realize() for a in _leaves()]
    while True:
        for leaf in leaves:
            leaf.grad = None
        graph(x, weights).backward()
        Tensor.realize(*[leaf.grad for leaf in leaves])
        yield x.grad[0].item()


def _leaves() -> list[Any]:
    """x and the weights, about 1 each, so that products stay of that size."""
    rng = np.random.default_rng(0)
    shape = 1 + WIDTH, NUMBERS
    return list(1 + 0.01 * rng.standard_normal(shape, dtype=np.float32))
