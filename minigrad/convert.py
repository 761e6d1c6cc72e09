"""What the engine makes of arrays that are no plain ones: the only place that knows of them.

It goes by what they offer, and imports none of the libraries that they come from.
"""

from typing import Any

import numpy as np

from minigrad.backend import Array, xp

REAL = frozenset("?bBhHiIlLqQefd")  # the codes of the dtypes that arithmetic is done in


def plain(value: Any) -> Any:
    """An array of real numbers as a plain one; what is no array (a number, a list, None) as it is.

    Arrays of other libraries, series and frames are taken by position, whatever their labels say;
    objects that are all numbers are taken for numbers. Raises TypeError for what is sparse, masked
    or complex, has missing values, or does not convert itself to NumPy.
    """
    kind = type(value)
    if kind is not xp.ndarray and kind is not np.ndarray and not isinstance(value, np.generic):
        if hasattr(value, "toarray") or hasattr(value, "todense"):
            raise TypeError(f"{_kind(value)} is sparse; make it dense, with .toarray() say.")
        if kind is complex:
            raise TypeError(f"{value} is complex; give real numbers.")
        if not hasattr(value, "__array__") or isinstance(value, type):
            return value
        value = _converted(value)
    if value.dtype.char == "O":
        value = _of_objects(value)
    if value.dtype.char not in REAL:
        raise TypeError(f"the dtype is {value.dtype}; give real numbers, of float64 at most.")
    return value


def array_of(value: Any) -> Array:
    """`value` as `plain` gives it, and a number or a list, of arrays too, as an array."""
    value = _parts(value) if isinstance(value, (list, tuple)) else plain(value)
    return value if hasattr(value, "dtype") else plain(np.asarray(value))


def _parts(values: Any) -> list[Any]:
    """A list, and the lists in it, with plain arrays."""
    return [
        _parts(part)
        if isinstance(part, (list, tuple))
        else plain(part)
        if hasattr(part, "__array__")
        else part
        for part in values
    ]


def _converted(value: Any) -> Any:
    """What has `__array__` as a NumPy array."""
    if isinstance(value, np.ndarray) and hasattr(value, "mask"):
        raise TypeError(
            f"{_kind(value)} has a mask, which would be lost; fill it: .filled(0), say."
        )
    try:
        missing, array = _has_missing(value), np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{_kind(value)} does not convert to NumPy: {error}") from error
    if missing:
        raise TypeError(f"{_kind(value)} has missing values; fill them, or drop their rows.")
    return array


def _has_missing(value: Any) -> bool:
    """Whether a series or a frame says so; its array may say it by NaN alone."""
    if hasattr(value, "isna"):
        return bool(np.any(value.isna()))
    count = getattr(value, "null_count", 0)
    return bool(np.any(count() if callable(count) else count))


def _of_objects(value: Any) -> Any:
    """An array of objects in the dtype that NumPy finds for them."""
    try:
        return np.array(value.tolist())
    except ValueError:  # sequences of several lengths
        return value


def _kind(value: Any) -> str:
    kind = type(value)
    return f"a {kind.__module__.partition('.')[0]}.{kind.__qualname__}"
