"""The tape: what makes an op of a function of arrays, and records it.

Every op is a function decorated with `@op` (see minigrad/ops.py). It computes on plain arrays and
returns its value with one pullback per operand; the decorator boxes, records, and leaves the rest
to `backward`.
"""

import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import numpy as np

from minigrad.backend import Array
from minigrad.tensor import Tensor, raw

OPS: dict[str, Callable[..., Tensor]] = {}  # every op by name, filled by @op


class _Mode(threading.local):
    """Whether ops record, in each thread."""

    recording = True


_mode = _Mode()


@contextmanager
def no_grad() -> Iterator[None]:
    """Inside, ops record nothing; usable as `with no_grad():` and as `@no_grad()`."""
    outer, _mode.recording = _mode.recording, False
    try:
        yield
    finally:
        _mode.recording = outer


def op(function: Any) -> Callable[..., Tensor]:
    """Make an op of a function from arrays to (value, pullback of each leading operand).

    A pullback maps the gradient of the value to that of its operand, up to broadcasting, which
    `backward` undoes; None stands for that of an operand without one. With a keyword `out=None`,
    where the operand is never broadcast, it can write the gradient into a given array of its shape.
    Operands come first, or as one list where the first parameter is called `tensors`. Tensor
    arguments are unboxed.
    """
    takes_list = function.__code__.co_varnames[0] == "tensors"

    @functools.wraps(function)
    def apply(*arguments: Any, **options: Any) -> Tensor:
        if takes_list:
            arguments = arguments or (options.pop("tensors", ()),)
        operands = list(arguments[0]) if takes_list else arguments
        arrays = [a._data if type(a) is Tensor else raw(a) for a in operands]
        if options:
            if any(isinstance(a, Tensor) for a in options.values()):
                raise TypeError(f"{function.__name__}: pass Tensors by position, not by keyword.")
            options = {name: raw(value) for name, value in options.items()}
        try:
            if takes_list:
                made = function(arrays, *arguments[1:], **options)
            else:
                made = function(*arrays, **options)
        except ValueError as error:
            shapes = ", ".join(str(a.shape) for a in operands if hasattr(a, "shape"))
            raise ValueError(f"{function.__name__} of shapes {shapes}: {error}") from error
        except AttributeError:
            _refuse_lists(function.__name__, operands)
            raise
        except TypeError as error:
            _refuse_lists(function.__name__, operands, error)
            raise
        if type(made) is not tuple:
            raise TypeError(
                f"{function.__name__} returns a {type(made).__name__}; return a tuple of the value "
                "and a pullback for each operand."
            )
        value, *pullbacks = made
        inputs: list[Any] = []
        wanted = False
        for operand, pullback in zip_longest(operands, pullbacks[: len(operands)]):
            if isinstance(operand, Tensor):
                if pullback and operand.requires_grad:
                    wanted = True
                    inputs.append((operand, operand._version, pullback))
                elif operand._inputs == ():
                    inputs.append((operand, operand._version, None))
            elif pullback and isinstance(operand, (list, tuple)):
                _refuse_lists(function.__name__, [operand])
        if wanted and _mode.recording:
            return _box(value, True, inputs)
        return _box(value, False, ())

    OPS[function.__name__] = apply
    return apply


def _box(value: Array, requires_grad: bool, inputs: Any) -> Tensor:
    tensor = Tensor.__new__(Tensor)
    if isinstance(value, np.generic):  # what NumPy's arithmetic makes of 0-d arrays
        value = np.asarray(value)
    tensor._set(value, requires_grad, inputs)
    return tensor


def _refuse_lists(name: str, operands: Iterable[Any], error: Exception | None = None) -> None:
    """Raise TypeError for operands that are lists, which may be what the error comes from."""
    for operand in operands:
        if isinstance(operand, (list, tuple)):
            cure = f"make the operand {operand!r:.60} a Tensor."
            raise TypeError(f"{name}: {error}; or {cure}" if error else f"{name}: {cure}")
