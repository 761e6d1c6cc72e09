"""check_grads: pullbacks against central differences."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.backend import to_host
from minigrad.tensor import Tensor


def check_grads(
    f: Callable[..., Tensor], *inputs: Any, rng: Any = 0, tolerance: float = 1e-6
) -> None:
    """Compare what `backward` gives with a central difference, in float64, for one input after the
    other: the derivative of <seed, f(inputs)>, with a random seed, along a random direction.

    Raises AssertionError where the two differ by more than `tolerance` times the largest of 1 and
    their sizes. Keep each input away from kinks by 1e-5 times the largest of 1 and its elements.
    """
    rng = np.random.default_rng(rng)
    points = [np.array(to_host(Tensor(x).data), dtype="float64") for x in inputs]
    leaves = [Tensor(x, requires_grad=True) for x in points]
    value = f(*leaves)
    seed = rng.standard_normal(value.shape)
    value.backward(seed)

    for i, (x, leaf) in enumerate(zip(points, leaves, strict=True)):
        direction = rng.standard_normal(x.shape)
        h = 1e-6 * max(1.0, float(np.abs(x).max(initial=0)))

        def along(h: float, i: int = i, direction: Any = direction) -> float:
            moved = [Tensor(x + h * direction if j == i else x) for j, x in enumerate(points)]
            return float((f(*moved).numpy() * seed).sum())

        exact = 0.0 if leaf.grad is None else float((to_host(leaf.grad) * direction).sum())
        numeric = (along(h) - along(-h)) / (2 * h)
        error = abs(exact - numeric) / max(1.0, abs(exact), abs(numeric))
        if not error <= tolerance:
            raise AssertionError(
                f"the gradient in input {i} is {exact:.12g} along a random direction, the central "
                f"difference {numeric:.12g}: they differ by {error:.1e}, more than {tolerance:.1e}."
            )
