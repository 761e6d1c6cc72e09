"""The convolutional network of the paper's third experiment."""

from typing import Any

import numpy as np

from minigrad import (
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Sequential,
    Tensor,
)
from models.classifiers import Classifier

CHANNELS, KERNEL, WIDTHS = 64, 6, (384, 192)


class CIFARNET(Classifier):
    """Two convolutions of 64 channels and 6x6 kernels, then layers of 384 and 192; a batch x is
    (n, height, width, channels), with images of the given shape, which are at least 4x4.

    Reddi, Kale and Kumar 2018, Section 5: "2x2 max pooling and layer response normalization between
    the convolutional layers", and dropout of one half between the other two. What is not said there
    is as in TensorFlow's network of that name, which it resembles: ReLU, padding that keeps the
    size, pooling after the second convolution too, and a response normalization over nine channels
    (alpha 0.001 and beta 0.75). Pooling comes before ReLU: the same values, in less time.
    """

    def __init__(
        self,
        shape: tuple[int, int, int] = (24, 24, 3),
        n_classes: int = 10,
        *,
        rng: Any = None,
        dtype: Any = "float32",
    ):
        height, width, channels = shape
        if height < 4 or width < 4:
            raise ValueError(f"shape={shape}: give images of at least 4x4, which are pooled twice.")
        rng = np.random.default_rng(rng)

        def convolution(n_in: int) -> list[Any]:
            kernels = Conv2d(n_in, CHANNELS, KERNEL, padding="same", rng=rng, dtype=dtype)
            return [kernels, MaxPool2d(2), ReLU()]

        self.features = Sequential(
            *convolution(channels),
            LocalResponseNorm(9, alpha=1e-3),
            *convolution(CHANNELS),
            Flatten(),
        )
        n_in = (height // 4) * (width // 4) * CHANNELS
        first, second = WIDTHS
        self.classifier = Sequential(
            Linear(n_in, first, rng=rng, dtype=dtype),
            ReLU(),
            Dropout(0.5, rng=rng),
            Linear(first, second, rng=rng, dtype=dtype),
            ReLU(),
            Linear(second, n_classes, rng=rng, dtype=dtype),
        )

    def forward(self, x: Any) -> Tensor:
        return self.classifier(self.features(x))
