"""Kernels called as they are, for a debugger and the classroom: the same bits, without a trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from optim.engine.functions import POWERS

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
    value per coordinate.
    """

    def __init__(self, value: Any, dtype: Any):
        self.value, self._dtype = np.asarray(value, "float64"), np.dtype(dtype)

    def copy(self) -> "Number":
        """The value as it is now."""
        return Number(self.value.copy(), self._dtype)

    def rounded(self) -> Any:
        """As an array of the arena's dtype meets it."""
        return self.value.astype(self._dtype)

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = (None,), **options: Any
    ) -> Any:
        if all(isinstance(x, (Number, float, int, np.generic)) for x in inputs) and not isinstance(
            out[0], np.ndarray
        ):
            given = [x.value if isinstance(x, Number) else np.float64(x) for x in inputs]
            return self._result(getattr(ufunc, method)(*given, **options), out[0])
        given = [x.rounded() if isinstance(x, Number) else x for x in inputs]
        if out[0] is not None:
            options["out"] = out
        return getattr(ufunc, method)(*given, **options)

    def __array_function__(self, function: Any, _: Any, inputs: Any, options: Any) -> Any:
        if function is np.where and not any(isinstance(x, np.ndarray) for x in inputs):
            values = [x.value if isinstance(x, Number) else x for x in inputs]
            return self._result(np.where(*values), None)
        given = [x.rounded() if isinstance(x, Number) else x for x in inputs]
        if function is np.where:
            given[1:] = [np.asarray(x, self._dtype) for x in given[1:]]
        return function(*given, **options)

    def _result(self, value: Any, out: "Number | None") -> "Number":
        if out is None:
            return Number(value, self._dtype)
        out.value = np.asarray(value, "float64")
        return out

    def __pow__(self, exponent: Any) -> Any:
        if isinstance(exponent, (int, float)) and exponent in POWERS and exponent != 1:
            return getattr(np, POWERS[exponent])(self)
        power: Any = np.power
        return power(self, exponent)

    def __ipow__(self, exponent: Any) -> "Number":
        self[...] = self**exponent
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        self.value = np.asarray(value.value if isinstance(value, Number) else value, "float64")

    def __bool__(self) -> bool:
        return bool(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __repr__(self) -> str:
        return repr(self.value[()])


class Coordinates(np.ndarray):
    """A block of an array, beside which a literal that `xp.where` chooses has the arena's dtype."""

    arena_dtype: Any = None

    def __array_finalize__(self, other: Any) -> None:
        self.arena_dtype = getattr(other, "arena_dtype", None)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        if function is np.where and len(inputs) == 3:
            condition, *chosen = inputs
            chosen = [np.asarray(x, self.arena_dtype) for x in chosen]
            return coordinates(np.where(np.asarray(condition), *chosen), self.arena_dtype)
        return super().__array_function__(function, types, inputs, options)


def coordinates(block: Any, dtype: Any) -> Any:
    """A view of a block that knows the arena's dtype."""
    view = block.view(Coordinates)
    view.arena_dtype = dtype
    return view
