"""The problems of the tournament, each for many runs of a rule at once: at some rates, from the
start and with the draws of each seed.

Parameters are (rates, seeds, ...), and what is measured of them (rates, seeds).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from experiments.problems.classical import CLASSICAL
from experiments.problems.functions import LANDSCAPES
from experiments.problems.images import load
from minigrad import Tensor, no_grad, ops, xp
from models import MLP, LogisticRegression

NEAR_START = 0.1  # by what part of their size the starts of later seeds are off the usual one
DIMENSION = 20  # of the quadratics
QUADRATICS = {  # the largest curvature, where the least is 1, and the deviation of the noise
    "quadratic": (10.0, 0.0),
    "ill_conditioned": (1e4, 0.0),
    "noisy": (100.0, 10.0),
}
NETWORKS: dict[str, Any] = {
    "softmax": lambda inputs, classes, seed: LogisticRegression(inputs, classes, rng=seed),
    "mlp": lambda inputs, classes, seed: MLP([inputs, 32, classes], rng=seed),
}
VALIDATION, MOST_TESTED = 300, 1000  # images
BATCH = 32


@dataclass(frozen=True)
class Entry:
    """A problem: where a seed starts, the loss of a step summed over all runs, and what is tuned
    by and reported, which are one where nothing is held out.

    `converges` says that 0 is the least value of what is reported and can be come near to.
    """

    start: Callable[[int], list[np.ndarray]]
    loss: Callable[[list[Tensor], int], Tensor]
    measure: Callable[[list[Tensor]], Mapping[str, np.ndarray]]
    converges: bool


def names() -> list[str]:
    """Of all problems, as they are listed."""
    return [*QUADRATICS, *LANDSCAPES, *CLASSICAL, *NETWORKS]


def entry(name: str, seeds: int, seed: int, data: str | None) -> Entry:
    """The problem of that name, with so many seeds from this one on."""
    if name in NETWORKS:
        return _classifier(NETWORKS[name], seeds, seed, data)
    if name in QUADRATICS:
        return _quadratic(*QUADRATICS[name], seeds, seed)
    if name in LANDSCAPES:
        plane = LANDSCAPES[name]
        least = float(plane.value(*plane.minima[0]))

        def noise(t: int) -> Any:
            drawn = np.random.default_rng([seed, t]).choice(
                [-1.0, 1.0], (len(plane.others), seeds, 1)
            )
            return xp.asarray(plane.noise * drawn)

        def noisy(x: list[Any], t: int) -> Tensor:
            return plane.function(*x, *noise(t)).sum()

        return _function(plane.start, lambda x: plane.value(*x).sum(axis=-1), least, seed, noisy)
    one = CLASSICAL[name]
    return _function(one.start, one.value, one.least, seed, lambda x, t: one.value(x).sum())


def _function(
    start: tuple[float, ...],
    value: Callable[[list[Any]], Tensor],
    least: float,
    seed: int,
    loss: Callable[[list[Any], int], Tensor],
) -> Entry:
    usual = np.array(start)

    def begin(of: int) -> list[np.ndarray]:
        off = NEAR_START * np.abs(usual).max() * _normal(of, len(usual))
        return [usual + (off if of > seed else 0.0)]

    @no_grad()
    def measure(params: list[Tensor]) -> Mapping[str, np.ndarray]:
        return {"reported": np.maximum(value(_coordinates(params[0])).numpy() - least, 0.0)}

    return Entry(begin, lambda params, t: loss(_coordinates(params[0]), t), measure, True)


def _coordinates(x: Tensor) -> list[Tensor]:
    """Each of them, (rates, seeds, 1)."""
    return [x[..., k : k + 1] for k in range(x.shape[-1])]


def _quadratic(largest: float, noise: float, seeds: int, seed: int) -> Entry:
    """Half of x H x, along axes of its own, with curvatures from 1 to the largest."""
    axes, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((DIMENSION, DIMENSION)))
    hessian = xp.asarray(axes * np.geomspace(1, largest, DIMENSION) @ axes.T)

    def halves(x: Tensor) -> Tensor:
        return (ops.matmul(x, hessian) * x).sum(axis=-1) / 2

    def loss(params: list[Tensor], t: int) -> Tensor:
        drawn = np.random.default_rng([seed, t]).standard_normal((seeds, DIMENSION))
        return (halves(params[0]) + (xp.asarray(noise * drawn) * params[0]).sum(axis=-1)).sum()

    @no_grad()
    def measure(params: list[Tensor]) -> Mapping[str, np.ndarray]:
        return {"reported": halves(params[0]).numpy()}

    return Entry(lambda of: [_normal(of, DIMENSION)], loss, measure, True)


def _classifier(model: Any, seeds: int, seed: int, data: str | None) -> Entry:
    """A network on images, tuned on the last of those to train on, reported on those to test on."""
    images = images_of(data)
    x, y = images.train_x[:-VALIDATION], images.train_y[:-VALIDATION]
    held = {
        "tuned": (images.train_x[-VALIDATION:], images.train_y[-VALIDATION:]),
        "reported": (images.test_x[:MOST_TESTED], images.test_y[:MOST_TESTED]),
    }

    def begin(of: int) -> list[np.ndarray]:
        made = model(x.shape[1], images.n_classes, of)
        return [tensor.numpy().astype(float) for tensor in made.parameters()]

    def loss(params: list[Tensor], t: int) -> Tensor:
        drawn = np.random.default_rng([seed, t]).integers(len(x), size=(seeds, BATCH))
        logits = _logits(params, x[drawn])
        rates = logits.shape[0]
        labels = xp.asarray(np.tile(y[drawn].ravel(), rates))
        flat = logits.reshape(-1, images.n_classes)
        return rates * seeds * ops.softmax_cross_entropy(flat, labels)

    @no_grad()
    def measure(params: list[Tensor]) -> Mapping[str, np.ndarray]:
        return {name: _mean_loss(_logits(params, x).numpy(), y) for name, (x, y) in held.items()}

    return Entry(begin, loss, measure, False)


@cache
def images_of(data: str | None) -> Any:
    """The data that `load` finds there, once in a process."""
    return load(data)


def _logits(params: list[Tensor], x: np.ndarray) -> Tensor:
    """Those of images (n, features), or (seeds, n, features), for all runs: linear maps with a
    rectifier between."""
    h: Any = xp.asarray(x, "float64")
    for k, (w, b) in enumerate(zip(params[::2], params[1::2], strict=True)):
        h = ops.matmul(ops.relu(h) if k else h, w) + b.reshape(*b.shape[:-1], 1, b.shape[-1])
    return h


def _mean_loss(logits: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The cross-entropy of each run."""
    away = logits - logits.max(axis=-1, keepdims=True)
    right = away[..., np.arange(len(y)), y]
    mean: np.ndarray = (np.log(np.exp(away).sum(axis=-1)) - right).mean(axis=-1)
    return mean


def _normal(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng([seed, 1]).standard_normal(n)
