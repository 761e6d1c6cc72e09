"""Driving optimizers, as optim.driving does, and what tests say of it."""

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import backend
from optim.driving import (
    SHAPES,
    SIZE,
    drive,
    end,
    feed,
    flat,
    gradients,
    split,
    start,
    tensors,
)

__all__ = [
    "COPIES",
    "SHAPES",
    "SIZE",
    "assert_close",
    "assert_identical",
    "both_dtypes",
    "cut_into",
    "drive",
    "end",
    "feed",
    "flat",
    "gradients",
    "host_only",
    "map_leaves",
    "split",
    "start",
    "tensors",
]

host_only = pytest.mark.skipif(
    not backend.current().on_host,
    reason="needs arrays in host memory, where overflow traps and no kernel is fused",
)

both_dtypes = pytest.mark.parametrize("dtype", ("float32", "float64"))
COPIES = (copy.deepcopy, pytest.param(lambda x: pickle.loads(pickle.dumps(x)), marks=host_only))


def assert_identical(got: dict[str, Any], expected: dict[str, Any]) -> None:
    """The same arrays, bit for bit."""
    assert got.keys() == expected.keys()
    for name in got:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name, strict=True)
        assert got[name].tobytes() == expected[name].tobytes(), f"{name}: a zero's sign"


def assert_close(got: Any, expected: Any, tolerance: float = 1e-12) -> None:
    """The same, relative to the larger of 1 and what is expected."""
    assert np.max(np.abs(got - expected) / np.maximum(1, np.abs(expected))) <= tolerance


def map_leaves(make: Callable[[Any], Any], value: Any) -> Any:
    """What `make` makes of a hyperparameter, or of each of the two betas."""
    return tuple(map(make, value)) if isinstance(value, tuple) else make(value)


def cut_into(monkeypatch: pytest.MonkeyPatch, block_bytes: int | None) -> None:
    """Make optimizers built from now on work in blocks of that size; None for one block a run."""
    changed = dataclasses.replace(backend.current(), block_bytes=block_bytes)
    monkeypatch.setattr(backend, "_current", changed)
