"""Kernels called as they are, for a debugger and the classroom: the same bits, without a trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Real
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from optim.engine.functions import LOGICAL, POWERS, SAME

_eager: ContextVar[bool] = ContextVar("eager", default=False)


@contextmanager
def eager() -> Iterator[None]:
    """Optimizers that are built inside call their kernels on arrays, where print and breakpoint()
    work; the numbers are the same."""
    token = _eager.set(True)
    try:
        yield
    finally:
        _eager.reset(token)


def is_eager() -> bool:
    """Whether it is so where this is called."""
    return _eager.get()


class Number(NDArrayOperatorsMixin):
    """A number of float64 that a kernel may change in place: n *= 2 shows under every name of it.

    Where it meets an array it is rounded to that array's dtype. `value` may be an array of one
    value per coordinate; what a comparison of numbers gives is one of bools.
    """

    def __init__(self, value: Any, dtype: Any):
        self.value, self._dtype = np.asarray(value), np.dtype(dtype)
        if self.value.dtype != bool:
            self.value = self.value.astype("float64", copy=False)

    def copy(self) -> "Number":
        """The value as it is now."""
        return Number(self.value.copy(), self._dtype)

    def __array__(self, *_: Any, **__: Any) -> Any:
        return _beside(self, self._dtype)

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = (None,), **options: Any
    ) -> Any:
        if not all(map(_is_number, inputs)) or isinstance(out[0], np.ndarray):
            return _on_arrays(ufunc, method, inputs, out[0], options, self._dtype)
        result = getattr(ufunc, method)(*map(_wide, inputs), **options)
        if out[0] is None:
            return Number(result, self._dtype)
        out[0][...] = result
        return out[0]

    def __array_function__(self, function: Any, _: Any, inputs: Any, options: Any) -> Any:
        if function is not np.where or len(inputs) != 3:
            return function(*[_beside(x, self._dtype) for x in inputs], **options)
        if all(map(_is_number, inputs)):
            return Number(np.where(*map(_wide, inputs)), self._dtype)
        return _chosen(inputs, self._dtype)

    def __pow__(self, exponent: Any) -> Any:
        return _power(self, exponent)

    def __ipow__(self, exponent: Any) -> "Number":
        self[...] = self**exponent
        return self

    def __getitem__(self, index: Any) -> "Number":
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        if not _is_number(value) and isinstance(value, Coordinates):
            raise TypeError("a number is one for all coordinates, so no array is written to it.")
        self.value = np.array(_wide(value), self.value.dtype)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __format__(self, form: str) -> str:
        return format(self.value[()], form)

    def __repr__(self) -> str:
        return repr(self.value[()])


class Coordinates(np.ndarray):
    """A block of an array, beside which literals and comparisons count in the arena's dtype."""

    arena_dtype: Any = None

    def __array_finalize__(self, other: Any) -> None:
        self.arena_dtype = getattr(other, "arena_dtype", None)

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = (None,), **options: Any
    ) -> Any:
        return _on_arrays(ufunc, method, inputs, out[0], options, self.arena_dtype)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        if function is np.where and len(inputs) == 3:
            return _chosen(inputs, self.arena_dtype)
        return super().__array_function__(function, types, inputs, options)

    # ndarray's has more overloads, of which kernels use one
    def __pow__(self, exponent: Any) -> Any:  # type: ignore[override]
        return _power(self, exponent)


def coordinates(block: Any, dtype: Any) -> Any:
    """A view of a block that knows the arena's dtype."""
    view = np.asarray(block).view(Coordinates)
    view.arena_dtype = dtype
    return view


def _is_number(x: Any) -> bool:
    return isinstance(x, Number) or (np.ndim(x) == 0 and not isinstance(x, Coordinates))


def _wide(x: Any) -> Any:
    return x.value if isinstance(x, Number) else np.float64(x)


def _beside(x: Any, dtype: Any, asked: bool = False) -> Any:
    """What stands beside arrays, in their dtype; with `asked` a comparison stays one."""
    if isinstance(x, Number):
        x = x.value
    elif isinstance(x, Coordinates):
        x = x.view(np.ndarray)
    is_flag = asked and getattr(x, "dtype", dtype) == np.bool_
    return x if is_flag else np.asarray(x, dtype)


def _on_arrays(
    ufunc: Any, method: str, inputs: Any, out: Any, options: dict[str, Any], dtype: Any
) -> Any:
    if isinstance(out, Number):
        raise TypeError("a number is one for all coordinates, so no array is written to it.")
    if out is not None:
        options["out"] = out.view(np.ndarray)
    if method != "__call__":  # it looks beyond a coordinate, as a debugger may
        plain = [x.view(np.ndarray) if isinstance(x, Coordinates) else x for x in inputs]
        return getattr(ufunc, method)(*plain, **options)
    asked = ufunc.__name__ in SAME or ufunc.__name__ in LOGICAL
    result = ufunc(*[_beside(x, dtype, asked) for x in inputs], **options)
    return coordinates(result, dtype) if out is None else out


def _chosen(inputs: Any, dtype: Any) -> Any:
    condition, x, y = inputs
    asked = _beside(condition, dtype, asked=True)
    return coordinates(np.where(asked, _beside(x, dtype), _beside(y, dtype)), dtype)


def _power(x: Any, exponent: Any) -> Any:
    if isinstance(exponent, Real) and float(exponent) in POWERS:
        function = POWERS[float(exponent)]
        return x.copy() if function == "copy" else getattr(np, function)(x)
    return np.power(x, exponent)
