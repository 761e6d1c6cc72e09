"""A small autograd engine over one arena of parameters, on NumPy or, with one flag, on CuPy.

x = Tensor([1.0, 2.0], requires_grad=True)
(x * x).sum().backward()
x.grad                                   # [2, 4]
"""

from typing import TYPE_CHECKING, Any

from minigrad import ops
from minigrad.arena import Parameters
from minigrad.backend import synchronize, to_host, use, xp
from minigrad.check import check_grads
from minigrad.checkpoint import CheckpointError, load, save
from minigrad.drawing import Graph, graph
from minigrad.layers import (
    BatchNorm,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    LocalResponseNorm,
    MaxPool2d,
)
from minigrad.module import Linear, Module, ReLU, Sequential, Sigmoid, Tanh
from minigrad.recording import anomaly, no_grad
from minigrad.tensor import Tensor

__all__ = [
    "BatchNorm",
    "CheckpointError",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "Graph",
    "LayerNorm",
    "Linear",
    "LocalResponseNorm",
    "MaxPool2d",
    "Module",
    "Parameters",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "Tensor",
    "anomaly",
    "check_grads",
    "graph",
    "load",
    "no_grad",
    "ops",
    "save",
    "synchronize",
    "to_host",
    "use",
    "xp",
]

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> Any:
        """`__version__`, looked up when asked for: importlib.metadata takes long to import."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("minigrad-optim")  # which pyproject.toml gives
        except PackageNotFoundError as error:
            raise AttributeError("no __version__: minigrad-optim is not installed") from error
