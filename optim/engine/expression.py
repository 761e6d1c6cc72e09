"""Functions of numbers, traced as kernels are: a schedule of t, or a loss of a few coordinates.

Unlike a kernel, such a function may branch: it is called once for each way through it. What
minigrad's backward pass computes is traced with a loss, since a Tensor may hold a symbol.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import fields
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from minigrad import Tensor, backend
from optim.engine.functions import OF_NUMBERS
from optim.engine.program import Entry, Program, Value
from optim.engine.settings import leaves
from optim.engine.symbols import Symbol, Tracer

MOST = 12  # decisions on a way through a function


class Expression(NamedTuple):
    """What a function of named numbers does, one entry after the other, and what it gives.

    Both sides of a branch are computed.
    """

    name: str
    arguments: dict[str, Value]
    entries: list[Entry]
    results: list[Value | float]

    @property
    def functions(self) -> set[str]:
        """The functions that it calls."""
        return {entry.function for entry in self.entries}


def traced(name: str, function: Callable[..., Any], names: Iterable[str]) -> Expression:
    """What `function` does with numbers of these names, given by position.

    It may use the functions of a kernel, those of OF_NUMBERS, `if`, min and max. Raises TypeError
    for what cannot be traced, such as a loop whose length depends on its arguments.
    """
    tracer = _Tracer(name, names)
    return _expression(tracer, [tracer.follow(lambda: function(*tracer.numbers))])


def gradient(
    name: str, loss: Callable[..., Any], names: Iterable[str], others: Iterable[str] = ()
) -> Expression:
    """The derivatives of a loss in the numbers of these names, as minigrad has them.

    `others` come after them, and are no Tensors.
    """
    names = list(names)
    tracer = _Tracer(name, [*names, *others])
    with backend.temporarily(backend.Backend(name="traced", namespace=_NAMESPACE)):
        numbers, rest = tracer.numbers[: len(names)], tracer.numbers[len(names) :]
        leaves = [Tensor(x, requires_grad=True, dtype="float64") for x in numbers]
        loss(*leaves, *rest).backward()
        return _expression(tracer, [leaf.grad for leaf in leaves])


def of_schedule(schedule: Any, fixed: Collection[str] = ()) -> Expression:
    """What a schedule does with t and with the numbers that it is made of, by place; those at the
    places in `fixed` stay as they are."""
    places = [place for place in numbers_of(schedule) if place not in fixed]

    def called(t: Any, *values: Any) -> Any:
        given = dict(zip(places, values, strict=True))
        return with_numbers(schedule, given.get)(t)

    return traced(type(schedule).__name__, called, ["t", *places])


def numbers_of(schedule: Any) -> dict[str, Any]:
    """The numbers that a schedule is made of, by place: "value", "schedules[0].steps"."""
    found: dict[str, Any] = {}
    with_numbers(schedule, found.setdefault)
    return found


def with_numbers(schedule: Any, number: Callable[[str, Any], Any], within: str = "") -> Any:
    """A copy of a schedule that has number(place, x) in place of each number x; none is checked."""

    def part(place: str, x: Any) -> Any:
        return with_numbers(x, number, f"{place}.") if callable(x) else number(place, x)

    copy = object.__new__(type(schedule))
    for f in fields(schedule):
        field = getattr(schedule, f.name)
        parts = [part(within + place, x) for place, x in leaves(f.name, field)]
        vars(copy)[f.name] = tuple(parts) if isinstance(field, tuple) else parts[0]
    return copy


class _Number(Symbol):
    """A symbol that a Tensor may hold: to minigrad it is an array of no axis, of float64."""

    shape: tuple[int, ...] = ()
    ndim, size, dtype = 0, 1, np.dtype("float64")

    def fill(self, value: float) -> None:
        self[...] = value

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented  # it is an op
        return super().__array_ufunc__(ufunc, method, *inputs, **options)

    # what a rule's Symbol refuses, and is followed both ways here
    def __bool__(self) -> bool:  # type: ignore[override]
        tracer: Any = self._tracer
        decided: bool = tracer.decide(self)
        return decided

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        return self // other, self % other


class _Fork(Exception):
    """A condition was asked for that is not decided yet."""


class _Tracer(Tracer):
    symbol = _Number
    extra = OF_NUMBERS

    def __init__(self, name: str, names: Iterable[str]):
        super().__init__(Program(name, {}, {n: Value(n, False) for n in names}), names := [*names])
        self.numbers = [self.symbols[n] for n in names]
        self._way: list[bool] = []  # what is decided, in the order in which it is asked for
        self._asked = 0

    def follow(self, function: Callable[[], Any]) -> Any:
        """What the function gives, on every way through it."""
        self._asked = 0
        try:
            return function()
        except _Fork as fork:
            (condition,) = fork.args
        if len(self._way) == MOST:
            self.refuse(f"`if` or `while` more than {MOST} times", "write it without")
        way, sides = self._way, []
        for side in (True, False):
            self._way = [*way, side]
            sides.append(self.follow(function))
        self._way = way
        return self.note("where", (condition, *sides))

    def decide(self, condition: Symbol) -> bool:
        """Which side of a branch this way takes."""
        if self._asked == len(self._way):
            raise _Fork(condition.copy())
        self._asked += 1
        return self._way[self._asked - 1]


def _copy(number: Any, dtype: Any = None) -> Any:
    return number.copy()


# What minigrad asks of a namespace to hold a number and to go backward from it
_NAMESPACE = SimpleNamespace(ndarray=_Number, array=_copy, empty_like=_copy)


def _expression(tracer: _Tracer, given: Iterable[Any]) -> Expression:
    """What the results need, with nothing computed twice."""
    program = tracer.program
    first: dict[Any, Value] = {}  # what computes something, by what it does
    known: dict[Any, Any] = {}  # what a Value is the same as
    entries = []
    for function, inputs, out, where in program.hoisted:
        operands = tuple([known.get(x, x) for x in inputs])
        key = (function, *(x if isinstance(x, Value) else repr(x) for x in operands))
        if function == "copy":
            known[out] = operands[0]
        elif key in first:
            known[out] = first[key]
        else:
            first[key] = out
            entries.append(Entry(function, operands, out, where))
    results = [x._value if isinstance(x, Symbol) else float(x) for x in given]
    results = [known.get(x, x) for x in results]
    needed, kept = set(results), []
    for entry in reversed(entries):
        if entry.out in needed:
            needed.update(entry.inputs)
            kept.append(entry)
    return Expression(program.name, program.numbers, kept[::-1], results)
