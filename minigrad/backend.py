"""Where NumPy and CuPy differ, and the only file that imports cupy.

`xp` is the array namespace in force. Choose it once, before the first array:
`use("cupy")`, or MINIGRAD_BACKEND=cupy in the environment; NumPy otherwise.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.errors import install, nearest

Array = Any  # a NumPy or CuPy array: CuPy's carry no types

# glibc keeps freed blocks of up to this many bytes, instead of returning them to the system and
# faulting in fresh pages for every temporary, which would be a fifth of a step of CIFARNET
KEPT = 2**30
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
    mallopt(M_TRIM_THRESHOLD, KEPT)
    mallopt(M_MMAP_THRESHOLD, KEPT)


def _same(value: Any) -> Any:
    return value


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Backend:
    """What the rest of the code may ask of an array library. The defaults are NumPy's."""

    name: str = "numpy"
    namespace: Any = np
    on_host: bool = True
    to_host: Callable[[Array], Any] = _same
    synchronize: Callable[[], None] = _nothing
    compiles: bool = False  # whether rules run as machine code that numba makes
    block_bytes: int | None = 2**19  # fits the cache; None for no blocks


def _cupy() -> Backend:
    cure = f"{install('cuda12')}, or [cuda13], or use the numpy backend"
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError(f"use('cupy'): CuPy cannot be imported ({error}); {cure}.") from error
    try:
        cupy.cuda.runtime.getDeviceCount()
    except RuntimeError as error:
        raise RuntimeError(
            f"use('cupy'): CuPy is installed, but finds no device that it can use ({error}); "
            "install an NVIDIA driver that is new enough, or use the numpy backend."
        ) from None
    return of_cupy(cupy)


def of_cupy(cupy: Any, name: str = "cupy") -> Backend:
    """The backend whose arrays are CuPy's, or those of a namespace that stands in for it."""
    return Backend(
        name=name,
        namespace=cupy,
        on_host=False,
        to_host=cupy.asnumpy,
        synchronize=lambda: cupy.cuda.get_current_stream().synchronize(),
        block_bytes=None,
    )


def _numba() -> Backend:
    from importlib.util import find_spec

    if find_spec("numba") is None:
        raise RuntimeError(
            f"use('numba'): numba is not installed; {install('numba')}, or use the numpy backend, "
            "which gives the same numbers."
        )
    return Backend(name="numba", compiles=True)


_makers: dict[str, Callable[[], Backend]] = {"numpy": Backend, "numba": _numba, "cupy": _cupy}
_current: Backend | None = None
MEANT = {"cuda": "cupy", "gpu": "cupy", "cpu": "numpy"}  # by names that other libraries use


class _Namespace:
    """Stands for the namespace in force; a name that was looked up once is a plain attribute."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # doctest, say, asks at import, which chooses no backend
            raise AttributeError(name)
        value = getattr(current().namespace, name)
        setattr(self, name, value)
        return value


xp: Any = _Namespace()


def current() -> Backend:
    """The backend in force; the first call chooses it, unless `use` has, for this process."""
    global _current
    if _current is None:
        _current = make(os.environ.get("MINIGRAD_BACKEND") or "numpy")
    return _current


def use(name: str) -> None:
    """Choose the backend; raises RuntimeError once arrays of another one may exist."""
    global _current
    if _current is not None and name == _current.name:
        return
    backend = make(name)
    if vars(xp):
        raise RuntimeError(
            f"use({name!r}): arrays of the {current().name} backend exist already; "
            "choose the backend before the first Tensor, once per process."
        )
    _current = backend


def register(name: str, maker: Callable[[], Backend]) -> None:
    """Make a further backend known to `use` and MINIGRAD_BACKEND; the maker is called by `make`."""
    _makers[name] = maker


@contextmanager
def temporarily(backend: Backend) -> Iterator[None]:
    """Inside, this backend is in force, even if arrays of another exist: do not use those there."""
    global _current
    outer, names = _current, dict(vars(xp))
    _current = backend
    vars(xp).clear()
    try:
        yield
    finally:
        _current = outer
        vars(xp).clear()
        vars(xp).update(names)


def make(name: str) -> Backend:
    """The backend of that name, ready to be chosen; raises ValueError for an unknown one, and
    RuntimeError for one that this machine cannot run."""
    check_known(name)
    return _makers[name]()


def check_known(name: str) -> None:
    """Raise ValueError for a name that no backend has, with the one that is meant."""
    if name not in _makers:
        meant = MEANT.get(name.lower().rstrip(".:0123456789"), name)
        raise ValueError(f"backend {name!r} is unknown; {nearest(meant, _makers)}")


def to_host(array: Array) -> Any:
    """The array as a NumPy array: itself on NumPy, a copy from a device."""
    return current().to_host(array)


def synchronize() -> None:
    """Wait until the device has done what it was given; nothing on NumPy."""
    current().synchronize()
