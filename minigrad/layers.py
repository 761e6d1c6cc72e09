"""Layers for images (n, height, width, channels), normalization, Dropout, and Embedding."""

from math import prod
from typing import Any

import numpy as np

from minigrad import ops
from minigrad.convolution import pair
from minigrad.images import check_dropped
from minigrad.module import Module
from minigrad.tensor import Tensor


class Conv2d(Module):
    """Correlation with `channels_out` kernels: W (height, width, channels_in, channels_out) uniform
    in +-1/sqrt(height width channels_in), and b zero.

    `size` is that of the kernels, an integer or (height, width); `stride` and `padding` are as in
    `ops.conv2d`.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        size: Any,
        stride: Any = 1,
        padding: Any = 0,
        *,
        rng: Any = None,
        dtype: Any = "float32",
    ):
        if channels_in < 1 or channels_out < 1:
            raise ValueError(
                f"Conv2d({channels_in}, {channels_out}): both numbers must be at least 1."
            )
        shape = (*pair(size, "size", 1), channels_in, channels_out)
        bound = prod(shape[:3]) ** -0.5
        weight = np.random.default_rng(rng).uniform(-bound, bound, shape)
        self.weight = Tensor(weight, requires_grad=True, dtype=dtype)
        self.bias = Tensor(np.zeros(channels_out), requires_grad=True, dtype=dtype)
        self.stride, self.padding = stride, padding

    def forward(self, x: Any) -> Tensor:
        return ops.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class MaxPool2d(Module):
    """The largest of each window, as `ops.max_pool2d`."""

    def __init__(self, size: Any = 2, stride: Any = None):
        self.size, self.stride = size, stride

    def forward(self, x: Any) -> Tensor:
        return ops.max_pool2d(x, self.size, self.stride)


class LocalResponseNorm(Module):
    """Each channel divided by a power of its neighbours' mean square, as
    `ops.local_response_norm`."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Any) -> Tensor:
        return ops.local_response_norm(x, self.size, self.alpha, self.beta, self.k)


class Dropout(Module):
    """In training each element is dropped with probability p, as by `ops.dropout`; after `eval()`
    none is.

    Masks depend on `rng` and on how many there were before, which `state_dict()` has: a model that
    is loaded goes on as the saved one would have. `set_part` makes them those of a larger batch.
    """

    def __init__(self, p: float = 0.5, *, rng: Any = None):
        check_dropped(p)
        self.p = p
        seed = np.random.default_rng(rng).integers(2**32)
        self.key = Tensor([int(seed), 0], dtype="uint32")  # and the number of masks so far
        self._rows_before = 0

    def set_part(self, masks: int, rows_before: int) -> None:
        """Make the next mask that of a part of a batch, after so many masks and rows of it."""
        self.key.data[1:] = masks
        self._rows_before = rows_before

    def forward(self, x: Any) -> Tensor:
        if not self.training:
            return x if isinstance(x, Tensor) else Tensor(x)
        first = self._rows_before * prod(x.shape[1:])
        y = ops.dropout(x, self.p, self.key.data, first)
        self.key.data[1:] += 1
        return y


class Flatten(Module):
    """One row (n, features) for each image or example."""

    def forward(self, x: Any) -> Tensor:
        return ops.reshape(x, len(x), prod(x.shape[1:]))


class BatchNorm(Module):
    """In training `ops.batch_norm`, each feature (the last axis) over the batch; after `eval()` by
    running means and variances, which `state_dict()` has.

    A batch moves them by the share `momentum` towards its own, of which the variance is that of a
    sample, as in PyTorch.
    """

    def __init__(
        self, features: int, momentum: float = 0.1, eps: float = 1e-5, *, dtype: Any = "float32"
    ):
        if not 0 <= momentum <= 1:
            raise ValueError(f"BatchNorm: momentum={momentum}; give one in [0, 1].")
        self.weight = Tensor(np.ones(features), requires_grad=True, dtype=dtype)
        self.bias = Tensor(np.zeros(features), requires_grad=True, dtype=dtype)
        self.mean = Tensor(np.zeros(features), dtype=dtype)
        self.var = Tensor(np.ones(features), dtype=dtype)
        self.momentum, self.eps = momentum, eps

    def forward(self, x: Any) -> Tensor:
        x = x if isinstance(x, Tensor) else Tensor(x)
        if not self.training:
            scale = self.weight / (self.var + self.eps).sqrt()
            return scale.mul(x - self.mean) + self.bias
        y = ops.batch_norm(x, self.weight, self.bias, self.eps)
        batch = tuple(range(x.ndim - 1))
        self.mean.data += self.momentum * (x.data.mean(batch) - self.mean.data)
        self.var.data += self.momentum * (x.data.var(batch, ddof=1) - self.var.data)
        return y


class LayerNorm(Module):
    """Each row of the last axis normalized, as by `ops.layer_norm`."""

    def __init__(self, features: int, eps: float = 1e-5, *, dtype: Any = "float32"):
        self.weight = Tensor(np.ones(features), requires_grad=True, dtype=dtype)
        self.bias = Tensor(np.zeros(features), requires_grad=True, dtype=dtype)
        self.eps = eps

    def forward(self, x: Any) -> Tensor:
        return ops.layer_norm(x, self.weight, self.bias, self.eps)


class Embedding(Module):
    """A row of standard normal weights (n, features) for each integer below n."""

    def __init__(self, n: int, features: int, *, rng: Any = None, dtype: Any = "float32"):
        weight = np.random.default_rng(rng).standard_normal((n, features))
        self.weight = Tensor(weight, requires_grad=True, dtype=dtype)

    def forward(self, index: Any) -> Tensor:
        return ops.embedding(self.weight, index)
