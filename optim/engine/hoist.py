"""Arithmetic among numbers: done once a step, in float64, before the loop.

For plain numbers it is a Python function made from the entries. Where a number is an array of one
value per coordinate, or where something overflows, NumPy does them one by one; CuPy does where
such an array lies on a device.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cached_property
from math import isfinite, sqrt
from typing import Any

import numpy as np

from minigrad.backend import xp
from optim.engine.functions import CALLS, numpy_function
from optim.engine.printing import identifiers, statements
from optim.engine.program import Entry, Program, Value


class Unusual(Exception):
    """A result is not finite, so that NumPy has to say why."""


class Hoisted:
    """The numbers that a loop meets, and then those that the state keeps, from those of a step.

    Without those `elsewhere`, but also with what they are computed from.
    """

    def __init__(self, program: Program, elsewhere: Collection[Value] = ()):
        self.entries = [entry for entry in program.hoisted if entry.out not in elsewhere]
        others = [entry for entry in program.hoisted if entry.out in elsewhere]
        read = (x for entry in others for x in entry.inputs if isinstance(x, Value))
        wanted = (*program.met, *program.changed.values(), *read)
        self.results = [value for value in wanted if value not in elsewhere]
        used = {x for entry in self.entries for x in entry.inputs} | set(self.results)
        self.arguments = {name: v for name, v in program.numbers.items() if v in used}

    def __call__(self, arguments: list[Any]) -> list[Any]:
        """The results for these arguments, in the order of their names.

        Raises FloatingPointError, with the line of the kernel, for what overflows.
        """
        for x in arguments:
            if type(x) is not float:  # an array of one value per coordinate
                return self._by_numpy(arguments)
        try:  # costs nothing where all is well, as most steps are
            values: list[Any] = self._of_floats(*arguments)
            return values
        except (Unusual, ArithmeticError, ValueError):
            return self._by_numpy(arguments)

    def _by_numpy(self, arguments: list[Any]) -> list[Any]:
        numbers = [wide(x) for x in arguments]
        if all(isinstance(x, np.ndarray | np.generic) for x in numbers):
            with suppress(FloatingPointError), _raising():
                return [_plain(x) for x in self._of_arrays(*numbers)]
        return self.one_by_one(arguments)

    def one_by_one(self, arguments: list[Any]) -> list[Any]:
        """The same entry by entry, for arrays on a device and for an error, which has a line."""
        known = {v: wide(x) for v, x in zip(self.arguments.values(), arguments, strict=True)}
        for entry in self.entries:
            operands = [known[x] if isinstance(x, Value) else np.float64(x) for x in entry.inputs]
            known[entry.out] = evaluate(entry, operands)
        return [_plain(known[v]) for v in self.results]

    @cached_property
    def _of_floats(self) -> Callable[..., Any]:
        """A function of Python's floats; raises Unusual, or what Python does, for a result that is
        not finite."""
        return self._made(PYTHON, finite=True)

    @cached_property
    def _of_arrays(self) -> Callable[..., Any]:
        """A function of NumPy's arrays and numbers."""
        functions = {name: numpy_function(name) for name in CALLS - {"copy"}}
        return self._made({**functions, "copy": np.positive, "inf": np.inf, "nan": np.nan})

    def _made(self, functions: dict[str, Any], finite: bool = False) -> Callable[..., Any]:
        names = identifiers([*self.arguments.values(), *(entry.out for entry in self.entries)])
        body = []
        for entry, (out, value) in zip(self.entries, statements(self.entries, names), strict=True):
            copies = entry.function == "copy" and "copy" in functions
            body.append(f"{names[out]} = {f'copy({value})' if copies else value}")
        checked = [names[entry.out] for entry in self.entries if not entry.out.is_flag]
        if finite and checked:  # a sum is finite only if each of them is
            body += [f"if not isfinite({' + '.join(checked)}):", "    raise Unusual"]
        given = ", ".join(names[v] for v in self.arguments.values())
        body.append(f"return [{', '.join(names[v] for v in self.results)}]")
        source = f"def hoisted({given}):\n    " + "\n    ".join(body)
        namespace = dict(functions)
        exec(compile(source, "<hoisted>", "exec"), namespace)
        hoisted: Callable[..., list[Any]] = namespace["hoisted"]
        return hoisted


def shape_of(number: Any) -> tuple[int, ...] | None:
    """() of a Python number, None of a 0-d array, which lies on a device."""
    return (number.shape or None) if hasattr(number, "shape") else ()


def evaluate(entry: Entry, operands: list[Any]) -> Any:
    """The result of an entry; a FloatingPointError says its line too."""
    if entry.function == "copy":
        return operands[0].copy()
    on_device = any(not isinstance(x, np.ndarray | np.generic) for x in operands)
    if on_device and entry.function == "where" and isinstance(operands[0], np.generic):
        return _chosen(*operands)
    try:
        with _raising():
            result = numpy_function(entry.function, xp if on_device else np)(*operands)
            return result if on_device else result[()]  # no 0-d array, which a device refuses
    except FloatingPointError as error:
        raise FloatingPointError(f"{error}, in {entry.line!r}") from None


def _chosen(condition: Any, x: Any, y: Any) -> Any:
    """xp.where on a device, whose condition is a number."""
    result = xp.empty(np.broadcast_shapes(x.shape, y.shape), "float64")
    result[...] = x if condition else y
    return result


def wide(value: Any) -> Any:
    """A number as NumPy's; an array as it is, and what lies on a device."""
    return np.float64(value) if isinstance(value, float | int | np.generic) else value


def _raising() -> Any:
    return np.errstate(over="raise", divide="raise", invalid="raise")


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, (np.ndarray, np.generic)) and not value.ndim else value


def _power(x: float, y: float) -> float:
    return float(np.power(x, y))  # not Python's, so that arrays give the same


PYTHON: dict[str, Any] = {
    "Unusual": Unusual,
    "isfinite": isfinite,
    "inf": np.inf,
    "nan": np.nan,
    "sqrt": sqrt,
    "absolute": abs,
    "negative": lambda x: -x,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "sign": lambda x: 1.0 if x > 0 else -1.0 if x < 0 else 0.0 if x == 0 else x,
    "maximum": lambda x, y: x if x > y or x != x else y,
    "minimum": lambda x, y: x if x < y or x != x else y,
    "where": lambda c, x, y: x if c else y,
    "logical_and": lambda x, y: x and y,
    "logical_or": lambda x, y: x or y,
    "logical_not": lambda x: not x,
    "power": _power,
    "exp": lambda x: float(np.exp(x)),
    "log": lambda x: float(np.log(x)),
    "tanh": lambda x: float(np.tanh(x)),
}
