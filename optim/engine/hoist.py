"""Arithmetic among numbers: done once a step, in float64, before the loop.

For plain numbers it is a Python function made from the entries. Where a number is an array of one
value per coordinate, or where something overflows, NumPy does them one by one.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cached_property
from math import isfinite, sqrt
from typing import Any

import numpy as np

from minigrad.backend import xp
from optim.engine.functions import numpy_function
from optim.engine.printing import identifiers, statements
from optim.engine.trace import Entry, Program, Value

Numbers = dict[Value, Any]


class Unusual(Exception):
    """A result is not finite, so that NumPy has to say why."""


class Hoisted:
    """The numbers that a loop meets and those that the state keeps, from numbers of the step."""

    def __init__(self, program: Program):
        self.entries = program.hoisted
        self.results = (*program.met, *program.changed.values())
        used = {x for entry in self.entries for x in entry.inputs} | set(self.results)
        self.arguments = {name: v for name, v in program.numbers.items() if v in used}

    def __call__(self, values: dict[str, Any]) -> list[Any]:
        """The results for these arguments by name, all of them plain floats.

        Raises FloatingPointError, with the line of the kernel, for what overflows.
        """
        arguments = [values[name] for name in self.arguments]
        with suppress(Unusual, ArithmeticError, ValueError):
            return self._python(*arguments)
        return [float(x) for x in self.one_by_one(values)]

    def one_by_one(self, values: dict[str, Any], namespace: Any = np) -> list[Any]:
        """The same by the functions of NumPy, for numbers of which some are arrays."""
        known: Numbers = {v: _wide(values[name]) for name, v in self.arguments.items()}
        for entry in self.entries:
            operands = [known[x] if isinstance(x, Value) else np.float64(x) for x in entry.inputs]
            known[entry.out] = evaluate(entry, operands, namespace)
        return [known[v] for v in self.results]

    @cached_property
    def _python(self) -> Callable[..., Any]:
        names = identifiers([*self.arguments.values(), *(entry.out for entry in self.entries)])
        body = [f"{names[out]} = {value}" for out, value in statements(self.entries, names)]
        checked = [names[e.out] for e in self.entries if not e.out.is_flag]
        if checked:  # a sum is finite only if each of them is
            body += [f"if not isfinite({' + '.join(checked)}):", "    raise Unusual"]
        given = ", ".join(names[v] for v in self.arguments.values())
        body.append(f"return [{', '.join(names[v] for v in self.results)}]")
        source = f"def hoisted({given}):\n    " + "\n    ".join(body)
        namespace = {**PYTHON, "Unusual": Unusual}
        exec(compile(source, "<hoisted>", "exec"), namespace)
        return namespace["hoisted"]  # type: ignore[no-any-return]


def evaluate(entry: Entry, operands: list[Any], namespace: Any) -> Any:
    """The result of an entry; a FloatingPointError says its line too."""
    on_device = any(getattr(x, "ndim", 0) and not isinstance(x, np.ndarray) for x in operands)
    if entry.function == "copy":
        return operands[0]
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            return numpy_function(entry.function, namespace if on_device else np)(*operands)
    except FloatingPointError as error:
        raise FloatingPointError(f"{error}, in {entry.line!r}") from None


def _wide(value: Any) -> Any:
    return value if getattr(value, "ndim", 0) else np.float64(value)


def _power(x: float, y: float) -> float:
    return float(np.power(x, y))  # not Python's, so that arrays give the same


PYTHON: dict[str, Any] = {
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
