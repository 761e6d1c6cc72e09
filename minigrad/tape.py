"""The tape: what makes an op of a function of arrays, and records it.

Every op is a function decorated with `@op` (see minigrad/ops.py). It computes on plain arrays and
returns its value with one pullback per operand; the decorator takes the arrays out of Tensors,
makes the value a Tensor, and records in it the operands and their pullbacks for `backward`.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.exceptions import AxisError

from minigrad.backend import Array, xp
from minigrad.convert import REAL
from minigrad.finite import check_value, checked
from minigrad.recording import is_looking, is_recording
from minigrad.tensor import Input, Pullback, Tensor, raw
from minigrad.walk import Borrowed

OPS: dict[str, Callable[..., Tensor]] = {}  # every op by name, filled by @op


def op(function: Any) -> Callable[..., Tensor]:
    """Make an op of a function of arrays that returns a tuple: its value, then the pullbacks.

    The operands are the positional arguments, or the elements of the first one where the function
    calls it `tensors`. The pullbacks are in their order, with None for an operand that has no
    gradient; they may end before the operands do. A pullback maps the gradient of the value to
    that of its operand; `backward` sums over the axes along which the operand was broadcast. Where
    it never is, the pullback may have a keyword `out=None`: an array of the operand's shape, to
    write the gradient to.

    The value is float32 or that of float64 operands, unless the function has a parameter `dtype`.
    """
    name = function.__name__
    parameters = inspect.unwrap(function).__code__.co_varnames
    takes_list, names_dtype = parameters[0] == "tensors", "dtype" in parameters

    @functools.wraps(function)
    def apply(*arguments: Any, **options: Any) -> Tensor:
        operands: Sequence[Any] = arguments
        if takes_list:
            tensors, *others = arguments or (options.pop("tensors", ()),)
            operands = list(tensors)
        try:
            arrays = [a._data if type(a) is Tensor else _operand(a) for a in operands]
            if options:
                options = {key: _option(value) for key, value in options.items()}
            given = [arrays, *others] if takes_list else arrays
            made = function(*given, **options)
        except (AttributeError, TypeError, ValueError) as error:
            _explain(
                error, name, operands, dict(zip(parameters, arguments, strict=False)) | options
            )
            raise
        if type(made) is not tuple:
            raise TypeError(
                f"{name} returns a {type(made).__name__}; return a tuple of the value and a "
                "pullback for each operand."
            )
        value, *pullbacks = made
        if type(value) is not xp.ndarray:  # but the scalar that NumPy makes of 0-d arrays, say
            value = xp.asarray(value)
        if value.dtype.char != "f":
            settled = _settled(value, name, operands, [*arrays, *options.values()])
            value = value if names_dtype else settled
        if is_looking():
            check_value(name, value, arrays)
            pullbacks = checked(name, pullbacks, arrays)
        inputs = _inputs(name, operands, arrays, pullbacks)
        tensor = Tensor.__new__(Tensor)
        tensor._set(value, bool(inputs), inputs, name)
        return tensor

    OPS[name] = apply
    return apply


def _operand(value: Any) -> Any:
    """The array or number of an operand. Labels, masks and indices are copied where a pullback may
    need them: the next batch may be written over them before `backward`."""
    array = raw(value)
    if type(array) is np.ndarray and array.dtype.kind != "f" and is_recording():
        array = array.copy()
    return array


def _option(value: Any) -> Any:
    """The same for what is passed by keyword, where floats are copied as well."""
    if isinstance(value, Tensor):
        raise TypeError("pass Tensors by position, not by keyword.")
    value = raw(value)
    return value.copy() if type(value) is np.ndarray else value


def _settled(value: Array, name: str, operands: Sequence[Any], arrays: Sequence[Any]) -> Array:
    """A value in the dtype that it should have: float64 only where an operand has it, not because
    NumPy promotes integers to it. `arrays` are those of the operands, and further ones."""
    code = value.dtype.char
    if code not in REAL:
        raise TypeError(f"{name} gives the dtype {value.dtype}; give it real numbers.")
    if code == "d":
        for operand, array in zip_longest(operands, arrays):
            if hasattr(array, "dtype") and array.dtype.char == "d":
                if isinstance(operand, Tensor) or array.ndim:
                    return value
        return value.astype("float32")
    return value


def _inputs(
    name: str, operands: Sequence[Any], arrays: Sequence[Any], pullbacks: list[Pullback]
) -> list[Input]:
    """What `backward` needs of each operand; nothing where none requires a gradient.

    A Tensor that requires none itself is kept, without its pullback, since the pullbacks of the
    others may use its data: `backward` looks whether it has changed. So are arrays that are not
    ours, and constant Tensors that may be views of such an array.
    """
    inputs: list[Input] = []
    borrowed: list[Array] = []
    differentiable = False
    for operand, array, pullback in zip_longest(operands, arrays, pullbacks[: len(operands)]):
        if isinstance(operand, Tensor):
            if not operand.requires_grad:
                pullback = None
                if type(array) is np.ndarray and array.base is not None:
                    borrowed.append(array)
            elif pullback:
                differentiable = True
            inputs.append((operand, operand._version, pullback))
        elif type(array) is np.ndarray:
            borrowed.append(array)
        elif pullback and hasattr(operand, "__len__"):
            _refuse_lists(name, [operand])  # NumPy took it for an array
    if not differentiable or not is_recording():
        return []
    for array in borrowed:
        if array.dtype.kind == "f":
            one = Borrowed(array)
            inputs.append((one, one._version, None))
    return inputs


def _explain(
    error: Exception, name: str, operands: Sequence[Any], arguments: dict[str, Any]
) -> None:
    """Raise an error that says more than `error` does, of its type: the op, and the shapes; or the
    list that an array is needed for, or a tuple. An AttributeError may have no such cause."""
    if isinstance(error, ValueError):
        shapes = ", ".join(str(a.shape) for a in operands if hasattr(a, "shape"))
        kind = AxisError if isinstance(error, AxisError) else ValueError  # which is an IndexError
        raise kind(f"{name} of shapes {shapes}: {error}") from error
    axis = arguments.get("axis")
    if isinstance(axis, list):
        raise TypeError(f"{name}: axis={axis} is a list; give a tuple, {tuple(axis)}.") from error
    _refuse_lists(name, operands, error if isinstance(error, TypeError) else None)
    for operand in operands:
        if operand is None or isinstance(operand, (Mapping, Set, Iterator)):
            if isinstance(error, AttributeError) or "operand" in str(error):
                raise TypeError(
                    f"{name}: {operand!r:.60} is no operand; give a Tensor, an array or a number."
                ) from error
    if isinstance(error, TypeError) and not str(error).startswith(name):
        raise TypeError(f"{name}: {error}") from error


def _refuse_lists(name: str, operands: Iterable[Any], error: Exception | None = None) -> None:
    """Raise TypeError for operands that are lists, which may be what the error comes from."""
    for operand in operands:
        if isinstance(operand, Sequence) and not isinstance(operand, str):
            cure = f"make the operand {operand!r:.60} a Tensor."
            raise TypeError(f"{name}: {error}; or {cure}" if error else f"{name}: {cure}")
