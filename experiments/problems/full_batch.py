"""Losses over all data at once, in float64: each function gives the parameters, and their loss as
a function of the step, which it does not depend on."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from experiments.problems.images import load_digits
from minigrad import Tensor, ops, xp
from models import MLP

Problem = tuple[Iterable[Tensor], Callable[[int], Tensor]]


def quadratic(curvatures: Sequence[float], start: float) -> Problem:
    """Half the sum of squares times curvatures, from the same start in each coordinate."""
    h = xp.asarray(curvatures, "float64")
    x = Tensor(np.full(len(curvatures), start), requires_grad=True)
    return [x], lambda t: (h * x * x).sum() / 2


def digits_network(images: int, hidden: int, seed: int) -> Problem:
    """The mean squared error of a tanh network 64-hidden-10 over the first images of the digits.

    Raises ValueError for more than there are.
    """
    digits = load_digits()
    if images > (most := len(digits.train_x)):
        raise ValueError(f"images={images}: there are {most:,} to train on; give at most that.")
    x = xp.asarray(digits.train_x[:images], "float64")
    y = xp.asarray(np.eye(digits.n_classes)[digits.train_y[:images]])
    sizes = [x.shape[1], hidden, digits.n_classes]
    model = MLP(sizes, activation="tanh", rng=seed, dtype="float64")
    return model.parameters(), lambda t: ops.mse(model(x), y)


def heavy_tail(classes: int) -> tuple[Problem, np.ndarray]:
    """Softmax regression where class k is 1/k as frequent as the first, and its examples are all
    the k-th unit vector; and the frequencies.

    The parameters are the logits of each class's examples, a row each, from 0. Kunstner et al.,
    arXiv:2402.19449.
    """
    frequencies = 1 / np.arange(1, classes + 1)
    frequencies /= frequencies.sum()
    logits = Tensor(np.zeros((classes, classes)), requires_grad=True)
    labels, weights = xp.arange(classes), xp.asarray(frequencies)

    def loss(t: int) -> Tensor:
        return ops.softmax_cross_entropy(logits, labels, weights=weights)

    return ([logits], loss), frequencies


def private_slots(labels: np.ndarray) -> Problem:
    """Least squares from 0 on labels of +1 and -1, (copies, n), with the features of Wilson et al.,
    arXiv:1705.08292: the label, two that are 1, and some that are 1 in this example alone: one
    where the label is +1, five where it is -1. The sum over copies of the mean of squares.

    The parameters are the weights of what all examples share, (copies, 3), and of each example's
    own, (copies, n, 5).
    """
    copies, n = labels.shape
    y = xp.asarray(labels, "float64")
    own = xp.asarray(np.arange(5) < np.where(labels > 0, 1, 5)[:, :, None], "float64")
    features = xp.stack([y, xp.ones_like(y), xp.ones_like(y)], axis=2)
    shared = Tensor(np.zeros((copies, 3)), requires_grad=True)
    private = Tensor(np.zeros((copies, n, 5)), requires_grad=True)

    def loss(t: int) -> Tensor:
        told = (features * shared.reshape(copies, 1, 3)).sum(axis=2) + (own * private).sum(axis=2)
        return copies * ops.mse(told, y)

    return [shared, private], loss
