"""CIFARNET on CIFAR-10 or the digits, as an entry: of one run at a time, since a convolution has no
lanes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from experiments.loops.training import layers
from experiments.problems.batches import Batches, Crops
from experiments.problems.dataset import Dataset
from experiments.problems.images import DIGITS
from experiments.tournament.entry import Entry
from experiments.tournament.networks import BATCH, VALIDATION
from minigrad import Dropout, Tensor, no_grad, ops, xp
from models import CIFARNET

CROP = 24  # the side of the squares that are cut from images of CIFAR-10, as in the paper's run
MOST_TESTED = 500  # images


def cifarnet(seeds: int, seed: int, images: Dataset) -> Entry:
    """The network, tuned on the last of the images to train on, reported on those to test on."""
    batches, shape = Batches(), (8, 8, 1)
    if images.name == DIGITS:
        flat = images.train_x, images.test_x
        train, test = (x.reshape(-1, *shape) for x in flat)
        images = replace(images, train_x=train, test_x=test)
    else:
        batches, shape = Crops(CROP), (CROP, CROP, 3)
    x, y = images.train_x[:-VALIDATION], images.train_y[:-VALIDATION]
    held = {
        "tuned": (images.train_x[-VALIDATION:], images.train_y[-VALIDATION:]),
        "reported": (images.test_x[:MOST_TESTED], images.test_y[:MOST_TESTED]),
    }
    model = CIFARNET(shape, images.n_classes, rng=seed)
    places = [
        (layer, name)
        for layer in layers(model)
        for name, one in vars(layer).items()
        if isinstance(one, Tensor) and one.requires_grad
    ]
    (dropout,) = (layer for layer in layers(model) if isinstance(layer, Dropout))

    def loss(params: list[Tensor], inputs: Any, labels: Any) -> Tensor:
        """That of the model with these parameters in it, (1, 1)."""
        for (layer, name), one in zip(places, params, strict=True):
            setattr(layer, name, one.reshape(one.shape[2:]))
        return ops.softmax_cross_entropy(model(inputs), xp.asarray(labels)).reshape(1, 1)

    def begin(of: int) -> list[np.ndarray]:
        made = CIFARNET(shape, images.n_classes, rng=of)
        return [tensor.numpy() for tensor in made.parameters()]

    def draw(t: int) -> Sequence[Any]:
        rng = np.random.default_rng([seed, t])
        drawn = rng.integers(len(x), size=(seeds, BATCH))
        given = batches.training(xp.asarray(x[drawn.ravel()]), rng)(xp.arange(drawn.size))
        masks = rng.integers(2**32, size=(seeds, 2), dtype="uint32")
        return given.reshape(seeds, BATCH, *shape), y[drawn], masks

    def losses(params: list[Tensor], drawn: Sequence[Any]) -> Tensor:
        (inputs,), (labels,), (masks,) = drawn
        dropout.key.data = masks
        model.train()
        return loss(params, inputs, labels)

    @no_grad()
    def measure(params: list[Tensor]) -> Mapping[str, np.ndarray]:
        model.eval()
        return {
            name: loss(params, batches.evaluation(xp.asarray(inputs)), labels).numpy()
            for name, (inputs, labels) in held.items()
        }

    return Entry(begin, draw, losses, measure, 0.0, converges=False, lanes=False)
