"""A network and the batches that it is trained on."""

from typing import Any

import numpy as np

import optim
from models import MLP
from optim import ClipNorm

STEPS, BATCH = 20, 23  # an odd number: its parts differ


def batches(dtype: str = "float64") -> list[tuple[Any, Any]]:
    """One for each step."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(STEPS, BATCH, 8)).astype(dtype)
    return list(zip(x, rng.integers(0, 3, (STEPS, BATCH)), strict=True))


def network(dtype: str = "float64", seed: int = 0) -> MLP:
    return MLP([8, 16, 3], activation="tanh", rng=seed, dtype=dtype)


def adam(params: Any) -> Any:
    return optim.Adam(params, lr=0.01)


def clipped(params: Any) -> Any:
    return ClipNorm(adam(params), norm=0.05)  # less than any gradient has
