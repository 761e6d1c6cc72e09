"""Softmax regression and a network with a hidden layer on images, as entries."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.problems.dataset import Dataset
from experiments.tournament.entry import Entry
from minigrad import Tensor, no_grad, ops, xp
from models import MLP, LogisticRegression

MODELS: dict[str, Any] = {
    "softmax": lambda inputs, classes, seed: LogisticRegression(inputs, classes, rng=seed),
    "mlp": lambda inputs, classes, seed: MLP([inputs, 32, classes], rng=seed),
}
VALIDATION, MOST_TESTED = 300, 1000  # images
BATCH = 32


def classifier(name: str, seeds: int, seed: int, images: Dataset) -> Entry:
    """A network on images, tuned on the last of those to train on, reported on those to test on."""
    x, y = images.train_x[:-VALIDATION], images.train_y[:-VALIDATION]
    held = {
        "tuned": (images.train_x[-VALIDATION:], images.train_y[-VALIDATION:]),
        "reported": (images.test_x[:MOST_TESTED], images.test_y[:MOST_TESTED]),
    }

    def begin(of: int) -> list[np.ndarray]:
        made = MODELS[name](x.shape[1], images.n_classes, of)
        return [tensor.numpy().astype(float) for tensor in made.parameters()]

    def draw(t: int) -> Sequence[Any]:
        drawn = np.random.default_rng([seed, t]).integers(len(x), size=(seeds, BATCH))
        return x[drawn], y[drawn]

    def losses(params: list[Tensor], drawn: Sequence[Any]) -> Tensor:
        inputs, labels = drawn
        return cross_entropy(_logits(params, inputs), labels, images.n_classes)

    @no_grad()
    def measure(params: list[Tensor]) -> Mapping[str, np.ndarray]:
        return {name: losses(params, of).numpy() for name, of in held.items()}

    return Entry(begin, draw, losses, measure, 0.0, False)


def _logits(params: list[Tensor], x: np.ndarray) -> Tensor:
    """Those of images (n, features), or (seeds, n, features), for all runs: linear maps with a
    rectifier between."""
    h: Any = xp.asarray(x, "float64")
    for k, (w, b) in enumerate(zip(params[::2], params[1::2], strict=True)):
        h = ops.matmul(ops.relu(h) if k else h, w) + b.reshape(*b.shape[:-1], 1, b.shape[-1])
    return h


def cross_entropy(logits: Tensor, labels: np.ndarray, classes: int) -> Tensor:
    """The mean of each run, of logits (..., n, classes)."""
    right = xp.asarray(np.eye(classes)[labels] / labels.shape[-1])
    return -(ops.log_softmax(logits) * right).sum(axis=(-2, -1))
