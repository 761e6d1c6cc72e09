"""Softmax classifiers, linear and deep."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from minigrad import Linear, Module, ReLU, Sequential, Sigmoid, Tanh, Tensor, ops
from minigrad.errors import nearest

ACTIVATIONS: dict[str, type[Module]] = {"relu": ReLU, "tanh": Tanh, "sigmoid": Sigmoid}


class Classifier(Module):
    """A module whose forward(x) gives logits (n, classes) for a batch x (n, features)."""

    def loss(self, x: Any, y: Any) -> Tensor:
        """The mean cross-entropy of integer labels y (n,)."""
        return ops.softmax_cross_entropy(self(x), y)


class LogisticRegression(Classifier):
    """Multinomial logistic regression: softmax of one linear map."""

    def __init__(self, n_in: int, n_classes: int, *, rng: Any = None, dtype: Any = "float32"):
        self.linear = Linear(n_in, n_classes, rng=rng, dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        return self.linear(x)


class MLP(Classifier):
    """Linear maps between layers of the given sizes, from the input's to the number of classes,
    with an activation after each but the last."""

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str = "relu",
        *,
        rng: Any = None,
        dtype: Any = "float32",
    ):
        if len(sizes) < 2:
            raise ValueError(f"sizes={sizes} needs an input and an output; give at least two.")
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation {activation!r} is unknown; {nearest(activation, ACTIVATIONS)}"
            )
        rng = np.random.default_rng(rng)
        linear = [Linear(n, m, rng=rng, dtype=dtype) for n, m in pairwise(sizes)]
        between = ACTIVATIONS[activation]
        self.hidden = Sequential(*[layer for one in linear[:-1] for layer in (one, between())])
        self.output = linear[-1]

    def forward(self, x: Any) -> Tensor:
        return self.output(self.hidden(x))
