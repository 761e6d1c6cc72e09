"""The tape: what makes an op of a function of arrays, and records it.

Every op is a function decorated with `@op` (see minigrad/ops.py). It computes on plain arrays and
returns its value with one pullback per operand; the decorator takes the arrays out of Tensors,
makes the value a Tensor, and records in it the operands and their pullbacks for `backward`.
"""

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import numpy as np

from minigrad.backend import Array
from minigrad.tensor import Input, Pullback, Tensor, raw

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
    """Make an op of a function of arrays that returns a tuple: its value, then the pullbacks.

    The operands are the positional arguments, or the elements of the first one where the function
    calls it `tensors`. The pullbacks are in their order, with None for an operand that has no
    gradient; they may end before the operands do. A pullback maps the gradient of the value to
    that of its operand; `backward` sums over the axes along which the operand was broadcast. Where
    it never is, the pullback may have a keyword `out=None`: an array of the operand's shape, to
    write the gradient to.
    """
    name = function.__name__
    takes_list = function.__code__.co_varnames[0] == "tensors"

    @functools.wraps(function)
    def apply(*arguments: Any, **options: Any) -> Tensor:
        operands: Sequence[Any] = arguments
        if takes_list:
            tensors, *others = arguments or (options.pop("tensors", ()),)
            operands = list(tensors)
        arrays = [a._data if type(a) is Tensor else raw(a) for a in operands]
        if options:
            options = _unboxed_options(name, options)
        given = [arrays, *others] if takes_list else arrays
        try:
            made = function(*given, **options)
        except (AttributeError, TypeError, ValueError) as error:
            _explain(error, name, operands)
            raise
        if type(made) is not tuple:
            raise TypeError(
                f"{name} returns a {type(made).__name__}; return a tuple of the value and a "
                "pullback for each operand."
            )
        value, *pullbacks = made
        inputs = _inputs(name, operands, pullbacks)
        return _box(value, inputs if _mode.recording else ())

    OPS[name] = apply
    return apply


def _unboxed_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    if any(isinstance(value, Tensor) for value in options.values()):
        raise TypeError(f"{name}: pass Tensors by position, not by keyword.")
    return {key: raw(value) for key, value in options.items()}


def _inputs(name: str, operands: Sequence[Any], pullbacks: list[Pullback]) -> list[Input]:
    """What `backward` needs of each Tensor; nothing where none requires a gradient.

    A Tensor that requires none itself is kept, without its pullback, since the pullbacks of the
    others may use its data: `backward` looks whether it has changed.
    """
    inputs: list[Input] = []
    differentiable = False
    for operand, pullback in zip_longest(operands, pullbacks[: len(operands)]):
        if isinstance(operand, Tensor):
            if not operand.requires_grad:
                pullback = None
            elif pullback:
                differentiable = True
            inputs.append((operand, operand._version, pullback))
        elif pullback and isinstance(operand, (list, tuple)):  # NumPy took it for an array
            _refuse_lists(name, [operand])
    return inputs if differentiable else []


def _box(value: Array, inputs: Sequence[Input]) -> Tensor:
    tensor = Tensor.__new__(Tensor)
    if isinstance(value, np.generic):  # what NumPy's arithmetic makes of 0-d arrays
        value = np.asarray(value)
    tensor._set(value, bool(inputs), inputs)
    return tensor


def _explain(error: Exception, name: str, operands: Iterable[Any]) -> None:
    """Raise a clearer error than `error` where shapes, or lists as operands, may be its cause."""
    if isinstance(error, ValueError):
        shapes = ", ".join(str(a.shape) for a in operands if hasattr(a, "shape"))
        raise ValueError(f"{name} of shapes {shapes}: {error}") from error
    _refuse_lists(name, operands, error if isinstance(error, TypeError) else None)


def _refuse_lists(name: str, operands: Iterable[Any], error: Exception | None = None) -> None:
    """Raise TypeError for operands that are lists, which may be what the error comes from."""
    for operand in operands:
        if isinstance(operand, (list, tuple)):
            cure = f"make the operand {operand!r:.60} a Tensor."
            raise TypeError(f"{name}: {error}; or {cure}" if error else f"{name}: {cure}")
