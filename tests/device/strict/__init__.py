"""A stand-in for CuPy on machines without a GPU, at least as strict as CuPy itself.

`minigrad.use("strict")` puts it in force once `register()` was called.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from minigrad import backend
from tests.device.strict import device
from tests.device.strict.device import API, UFUNCS, Array, counting, counts, fits, run
from tests.device.strict.elementwise import ElementwiseKernel
from tests.device.strict.raw import RawKernel

__all__ = ["Array", "Namespace", "counting", "counts", "make", "register", "xp"]

# What takes no array in the first place
FREE = {"arange", "empty", "eye", "full", "identity", "linspace", "ones", "zeros"}
# The shape of the result is in the data
LOOKS = {"argwhere", "bincount", "compress", "extract", "flatnonzero", "nonzero", "unique"}


class Namespace:
    """The names of one of CuPy's modules, by NumPy's functions."""

    def __init__(self, module: str, numpy: Any):
        self._module, self._numpy = module, numpy

    def __getattr__(self, name: str) -> Any:
        if name not in API[self._module]:
            raise AttributeError(
                f"{self._module} of CuPy {API['version']} has no attribute {name!r}"
            )
        said, function = API[self._module][name], getattr(self._numpy, name)
        if self._module == "cupy" and name in UFUNCS:
            value: Any = UFUNCS[name]
        elif isinstance(function, type) or not callable(function):
            value = function
        else:
            value = _checked(name, function, fits(said, name))
        setattr(self, name, value)
        return value


def _checked(
    name: str, function: Callable[..., Any], check: Callable[..., None]
) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        check(*arguments, **options)
        first = arguments[name == "einsum"] if arguments else None  # after its subscripts
        parts = first if isinstance(first, (list, tuple)) else [first]
        if name not in FREE and not all(isinstance(part, Array) for part in parts):
            raise TypeError(f"cupy.{name}: {type(first).__name__} where an array was expected.")
        if name == "ravel_multi_index":
            options.setdefault("mode", "wrap")  # CuPy's default, not NumPy's
        looks = name in LOOKS or options.get("mode") == "raise"
        if looks or (name == "where" and len(arguments) == 1):
            device.synchronize()
        if name in ("empty", "empty_like"):
            return Array(function(*[device.memory(a, name) for a in arguments], **options))
        return run(name, function, *arguments, **options)

    return call


def asarray(
    a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False
) -> Any:
    """The array itself if it may be, else a copy; memory of the host is never shared."""
    if isinstance(a, Array):
        same = dtype is None or a.dtype == dtype
        return a if same and not copy else a.astype(dtype or a.dtype)
    if isinstance(a, (list, tuple)) and any(isinstance(part, Array) for part in a):
        return run("asarray", lambda parts: np.array(parts, dtype), list(a))
    counts["to_device"] += 1
    return Array(np.array(a, dtype))


def make_array(obj: Any, dtype: Any = None, copy: bool = True) -> Any:
    """As cupy.array."""
    return asarray(obj, dtype, copy=copy)


def asnumpy(a: Any, *_: Any, **__: Any) -> Any:
    """A copy on the host."""
    return a.get() if isinstance(a, Array) else np.asarray(a)


def as_strided(x: Any, shape: Any = None, strides: Any = None) -> Any:
    """A view, as cupy.lib.stride_tricks has it."""
    return run("as_strided", np.lib.stride_tricks.as_strided, x, shape, strides)


class Generator:
    """The methods of cupy.random.Generator, which are fewer than NumPy's."""

    def __init__(self, seed: Any = None):
        self._rng = np.random.default_rng(seed)

    def __getattr__(self, name: str) -> Any:
        if name not in API["Generator"]:
            raise AttributeError(f"cupy.random.Generator has no {name!r}")
        return lambda *a, **k: run(name, getattr(self._rng, name), *a, **k)


xp = Namespace("cupy", np)
xp.linalg, xp.random = Namespace("linalg", np.linalg), Namespace("random", np.random)
xp.random.default_rng = Generator
xp.ndarray, xp.ElementwiseKernel, xp.asnumpy = Array, ElementwiseKernel, asnumpy
xp.RawKernel = RawKernel
xp.asarray, xp.array = asarray, make_array
xp.shape = lambda a: a.shape if isinstance(a, Array) else np.shape(a)
xp.lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=as_strided))
xp.cuda = SimpleNamespace(
    get_current_stream=lambda: SimpleNamespace(synchronize=device.synchronize)
)


def make() -> backend.Backend:
    """The backend: CuPy's, but for the name and the namespace."""
    return backend.of_cupy(xp, "strict")


def register() -> None:
    """Make "strict" known to `use` and MINIGRAD_BACKEND."""
    backend.register("strict", make)
