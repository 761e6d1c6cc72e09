"""Driving optimizers with given gradients, and reading what they do: for tests and for reports."""

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

from minigrad import Tensor, to_host
from minigrad.backend import xp
from optim.engine.optimizer import Optimizer

SHAPES = [(), (3,), (4, 5), (2, 3, 4)]
SIZE = sum(prod(shape) for shape in SHAPES)


def start(dtype: str = "float64", size: int = SIZE) -> Any:
    """Where runs begin: about 1 in size, either sign."""
    return np.random.default_rng(1).normal(size=size).astype(dtype)


def gradients(steps: int, size: int = SIZE, seed: int = 2) -> Any:
    """Gradients of many scales, a third of them zero."""
    rng = np.random.default_rng(seed)
    g = rng.normal(size=(steps, size)) * 10 ** rng.uniform(-3, 2, size)
    return np.where(rng.random(g.shape) < 1 / 3, 0, g)


def tensors(x0: Any, shapes: Iterable[tuple[int, ...]] = SHAPES) -> list[Tensor]:
    """Leaves of these shapes that hold the flat x0, in its dtype."""
    return [Tensor(part, requires_grad=True, dtype=x0.dtype) for part in split(x0, shapes)]


def feed(params: Iterable[Tensor], g: Any) -> None:
    """Make the flat g the gradient of the parameters."""
    params = list(params)
    for tensor, part in zip(params, split(g, [p.shape for p in params]), strict=True):
        tensor.grad = xp.asarray(part)


def flat(params: Iterable[Tensor]) -> Any:
    """The values of all parameters as one new array on the host."""
    return np.concatenate([p.numpy().ravel() for p in params])


def drive(opt: Optimizer, grads: Any) -> Any:
    """Step with each gradient; the parameters after every step."""
    rows = []
    for g in grads:
        feed(opt.params, g)
        opt.step()
        rows.append(flat(opt.params))
    return np.array(rows)


def end(opt: Optimizer) -> dict[str, Any]:
    """Copies of the parameters, called p, and of every state array."""
    return {"p": flat(opt.params)} | {n: to_host(a).copy() for n, a in opt.state.items()}


def split(x: Any, shapes: Iterable[tuple[int, ...]]) -> list[Any]:
    """A flat array as views of these shapes."""
    shapes = list(shapes)
    ends = np.cumsum([prod(shape) for shape in shapes])
    assert ends[-1] == len(x)
    return [part.reshape(shape) for part, shape in zip(np.split(x, ends[:-1]), shapes, strict=True)]
