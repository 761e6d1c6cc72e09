"""Digits of which one is rare, and many softmax regressions on them at once."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from experiments.problems.images import load_digits
from minigrad import Tensor, ops, to_host, xp


class Thinned:
    """The embedded digits with all but a share of the training images of one digit left out,
    drawn anew for each seed.

    `x` and `y` are those to train on, (seeds, n, 64) and (seeds, n); `rare` the images of that
    digit that are not, (seeds, m, 64); `others` those to test on of other digits, with `labels`.
    A share of 0.001 is one image, and one of 0.09 nearly all.
    """

    def __init__(self, digit: int, share: float, seeds: int, seed: int):
        digits = load_digits()
        x, y = digits.train_x.astype("float64"), digits.train_y
        rare, rest = np.flatnonzero(y == digit), np.flatnonzero(y != digit)
        self.kept = round(share / (1 - share) * len(rest))
        self.digit, self.n_classes, self.seed = digit, digits.n_classes, seed
        orders = [np.random.default_rng([seed, k]).permutation(rare) for k in range(seeds)]
        trained = np.array([[*rest, *order[: self.kept]] for order in orders])
        self.x, self.y = x[trained], y[trained]
        is_rare, test_x = digits.test_y == digit, digits.test_x.astype("float64")
        self.rare = np.array([[*x[order[self.kept :]], *test_x[is_rare]] for order in orders])
        self.others, self.labels = test_x[~is_rare], digits.test_y[~is_rare]

    def regressions(
        self, rates: int, batch: int
    ) -> tuple[list[Tensor], Callable[[int], Tensor], Callable[[Any], Mapping[str, np.ndarray]]]:
        """A softmax regression from 0 for each of so many rates and each seed: its parameters,
        (rates, seeds, ...), the loss of a step, and what is to be seen of each, (rates, seeds).

        The loss is the sum of the means over a batch, drawn for the step, of each seed's images.
        Seen are the loss on all of them, the recall of the rare digit on the images left out, and
        the accuracy on the others.
        """
        seeds, n, features = self.x.shape
        w = Tensor(np.zeros((rates, seeds, features, self.n_classes)), requires_grad=True)
        b = Tensor(np.zeros((rates, seeds, 1, self.n_classes)), requires_grad=True)
        every = np.arange(seeds)[:, None]

        def loss(t: int) -> Tensor:
            drawn = np.random.default_rng([self.seed, t]).integers(n, size=(seeds, batch))
            x, y = self.x[every, drawn], self.y[every, drawn]
            logits = (ops.matmul(xp.asarray(x), w) + b).reshape(-1, self.n_classes)
            labels = xp.asarray(np.tile(y.ravel(), rates))
            return rates * seeds * ops.softmax_cross_entropy(logits, labels)

        def watch(opt: Any) -> dict[str, np.ndarray]:
            weights, biases = to_host(w.data), to_host(b.data)
            logits = self.x @ weights + biases
            right = np.take_along_axis(logits, self.y[None, :, :, None], axis=3)
            away = np.log(np.exp(logits - logits.max(axis=3, keepdims=True)).sum(axis=3))
            away += (logits.max(axis=3, keepdims=True) - right)[..., 0]
            recalled = (self.rare @ weights + biases).argmax(axis=3) == self.digit
            others = (self.others @ weights + biases).argmax(axis=3) == self.labels
            return {
                "loss": away.mean(axis=2),
                "recall": recalled.mean(axis=2),
                "others": others.mean(axis=2),
            }

        return [w, b], loss, watch
