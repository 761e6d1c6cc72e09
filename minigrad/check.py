"""check_grads: pullbacks against central differences."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.backend import to_host
from minigrad.tensor import Tensor


def check_grads(
    f: Callable[..., Tensor], *inputs: Any, rng: Any = 0, tolerance: float = 1e-6
) -> None:
    """Compare d<seed, f(inputs)> along a random direction with a central difference, in float64.

    Raises AssertionError where they differ by more than `tolerance`, relative to the size of
    the two or to 1. Keep inputs farther than 1e-5 from kinks.
    """
    rng = np.random.default_rng(rng)
    points = [np.array(to_host(Tensor(x).data), dtype="float64") for x in inputs]
    directions = [rng.standard_normal(x.shape) for x in points]

    leaves = [Tensor(x, requires_grad=True) for x in points]
    value = f(*leaves)
    seed = rng.standard_normal(value.shape)
    value.backward(seed)
    exact = sum(
        float((to_host(leaf.grad) * direction).sum())
        for leaf, direction in zip(leaves, directions, strict=True)
        if leaf.grad is not None
    )

    def along(h: float) -> float:
        moved = [Tensor(x + h * d) for x, d in zip(points, directions, strict=True)]
        return float((f(*moved).numpy() * seed).sum())

    h = 1e-6 * max([1.0, *(float(np.abs(x).max()) for x in points if x.size)])
    numeric = (along(h) - along(-h)) / (2 * h)
    error = abs(exact - numeric) / max(1.0, abs(exact), abs(numeric))
    if not error <= tolerance:
        raise AssertionError(
            f"gradient {exact:.12g} differs from the central difference {numeric:.12g} "
            f"by {error:.1e}, more than {tolerance:.1e}."
        )
