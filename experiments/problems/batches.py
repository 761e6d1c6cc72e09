"""What a model is given of images, in training and in evaluation."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import xp


class Batches:
    """Images as they are."""

    def training(self, images: Any, rng: np.random.Generator) -> Callable[[Any], Any]:
        """A function that makes batches of one epoch, of the indices of images."""
        return lambda index: images.take(index, axis=0)  # faster than images[index]

    def evaluation(self, images: Any) -> Any:
        """A batch of all of these images."""
        return images


class Crops(Batches):
    """Squares of images of uint8, as float32 in [-1, 1]: in training at random places and half of
    them mirrored, in evaluation the middle.

    What is random comes from the generator of an epoch, at its start.
    """

    def __init__(self, size: int):
        self.size = size

    def training(self, images: Any, rng: np.random.Generator) -> Callable[[Any], Any]:
        n, height, width, channels = images.shape
        lowest, rightmost = height - self.size, width - self.size
        draws = rng.integers(0, [[lowest + 1], [rightmost + 1], [2]], (3, n))
        top, left, mirrored = xp.asarray(draws)
        along, pixels = xp.arange(self.size), images.reshape(-1, channels)

        def batch(index: Any) -> Any:
            at = index * height + top[index]
            rows = at[:, None] + along
            columns = along + mirrored[index][:, None] * (self.size - 1 - 2 * along)
            columns += left[index][:, None]
            return _scaled(pixels.take(rows[:, :, None] * width + columns[:, None, :], axis=0))

        return batch

    def evaluation(self, images: Any) -> Any:
        top, left = ((length - self.size) // 2 for length in images.shape[1:3])
        return _scaled(images[:, top : top + self.size, left : left + self.size])


def _scaled(pixels: Any) -> Any:
    x = pixels.astype("float32")
    x *= 1 / 127.5
    x -= 1
    return x
