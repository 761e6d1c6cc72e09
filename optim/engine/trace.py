"""A kernel, traced once: what it does among numbers, and what it does on arrays.

The kernel is called with symbols that note what is done with them. Arithmetic among numbers is
hoisted: done once a step, in float64. What touches an array is the loop: done coordinate by
coordinate. Every machine gets a rule from these two lists.
"""

import linecache
import sys
from collections.abc import Callable, Collection, Iterable
from functools import cache
from itertools import count
from numbers import Real
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from minigrad import backend
from optim.engine.functions import CALLS, COMPARISONS, LOGICAL, OPERATORS, POWERS, SAME, known

EAGER = "build the optimizer inside `with optim.eager():`, where kernels see plain arrays"


class Value:
    """What an entry reads or writes: an argument of the kernel by its name, or a result.

    A number that changes becomes another Value; an array is changed in place.
    """

    __slots__ = ("is_array", "is_flag", "name")

    def __init__(self, name: str | None, is_array: bool, is_flag: bool = False):
        self.name, self.is_array, self.is_flag = name, is_array, is_flag


class Entry(NamedTuple):
    """out = function(*inputs), where an input is a Value or a literal; `where` is its line."""

    function: str
    inputs: tuple[Value | float, ...]
    out: Value
    where: tuple[str, int]

    @property
    def line(self) -> str:
        """The line of the kernel that asked for it."""
        file, number = self.where
        return linecache.getline(file, number).strip() or f"{file}:{number}"


class Program:
    """The two lists of a kernel, and the names that its arguments have in them."""

    def __init__(
        self,
        name: str,
        arrays: dict[str, Value],
        numbers: dict[str, Value],
        state: Iterable[str] = (),
    ):
        self.name, self.arrays, self.numbers = name, arrays, numbers
        self.state = set(state)  # the names of those numbers that continue from step to step
        self.hoisted: list[Entry] = []
        self.loop: list[Entry] = []
        self.changed: dict[str, Value] = {}  # numbers of the state, as the kernel leaves them

    @property
    def met(self) -> list[Value]:
        """The numbers that the loop reads, in the order in which it meets them."""
        read = (x for entry in self.loop for x in entry.inputs if isinstance(x, Value))
        return list(dict.fromkeys(x for x in read if not x.is_array))

    @property
    def written(self) -> list[str]:
        """The names of the arrays that the loop writes."""
        outs = {entry.out for entry in self.loop}
        return [name for name, value in self.arrays.items() if value in outs]

    @property
    def used(self) -> set[str]:
        """The names of all arguments that have a part in it."""
        every = [*self.hoisted, *self.loop]
        values = {x for e in every for x in (*e.inputs, e.out) if isinstance(x, Value)}
        return {x.name for x in (*values, *self.changed.values()) if x.name}

    @property
    def functions(self) -> set[str]:
        """The functions that the loop calls."""
        return {entry.function for entry in self.loop}

    def come_of(self, names: Collection[str]) -> set[Value]:
        """The numbers of these names, and all that come of them."""
        found = {value for name, value in self.numbers.items() if name in names}
        for entry in self.hoisted:
            if found.intersection(x for x in entry.inputs if isinstance(x, Value)):
                found.add(entry.out)
        return found

    def names(self) -> dict[Value, str]:
        """Every Value by its own name, or as a result by its place: t1, t2, ..."""
        found = {v: str(v.name) for v in (*self.arrays.values(), *self.numbers.values())}
        results = count(1)
        for entry in (*self.hoisted, *self.loop):
            if entry.out not in found:
                found[entry.out] = f"t{next(results)}"
        return found

    def __str__(self) -> str:
        names = self.names()
        return "\n".join(
            f"{names[e.out]} = {e.function}"
            f"({', '.join(names[x] if isinstance(x, Value) else str(x) for x in e.inputs)})"
            for e in (*self.hoisted, *self.loop)
        )


class Symbol(NDArrayOperatorsMixin):
    """Stands for an array or a number while a kernel is traced.

    A name that a kernel gives to a number is one more name of the same symbol, as with an array.
    """

    def __init__(self, tracer: "_Tracer", value: Value):
        self._tracer, self._value = tracer, value

    def copy(self) -> "Symbol":
        """The value as it is now."""
        if self._value.is_array:
            return self._tracer.note("copy", (self,))
        return Symbol(self._tracer, self._value)

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = (None,), **options: Any
    ) -> "Symbol":
        if method != "__call__" or ufunc.signature:
            self._tracer.beyond(f"{ufunc.__name__}.{method}" if ufunc.nin == 2 else ufunc.__name__)
        if options:
            self._tracer.refuse(f"{ufunc.__name__} with {', '.join(options)}=", "write xp.where")
        return self._tracer.note(ufunc.__name__, inputs, out[0])

    def __array_function__(self, function: Any, _: Any, inputs: Any, options: Any) -> "Symbol":
        if function is np.where and len(inputs) == 3:
            return self._tracer.note("where", inputs)
        if function is np.copy:
            return self.copy()
        self._tracer.beyond(f"xp.{function.__name__}")

    def __setitem__(self, index: Any, value: Any) -> None:
        if index is not ... and index != slice(None):
            self._tracer.beyond("indexing")
        self._tracer.note("copy", (value,), self)

    def __pow__(self, exponent: Any) -> "Symbol":
        if isinstance(exponent, Real) and float(exponent) in POWERS:
            return self._tracer.note(POWERS[float(exponent)], (self,))
        return self._tracer.note("power", (self, exponent))

    def __ipow__(self, exponent: Any) -> "Symbol":
        self[...] = self**exponent
        return self

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") or not hasattr(np.ndarray, name):
            raise AttributeError(f"an array in a kernel has no {name}.")
        self._tracer.beyond(f".{name}")

    def __bool__(self) -> NoReturn:
        self._tracer.refuse("`if`, `and`, min or max on its values", "write xp.where")

    def _look(self, *_: Any, **__: Any) -> NoReturn:
        self._tracer.refuse("a look at its values", EAGER)

    def _beyond(self, *_: Any, **__: Any) -> NoReturn:
        self._tracer.beyond("indexing, len or iteration")

    __array__ = __float__ = __int__ = __index__ = __repr__ = __str__ = __format__ = _look
    __getitem__ = __iter__ = __len__ = __contains__ = __reversed__ = _beyond


class _Tracer:
    """Notes what a kernel does."""

    def __init__(self, program: Program, fixed: Iterable[str]):
        self.name = program.name
        self.program, self.fixed = program, set(fixed)
        self.symbols = {
            name: Symbol(self, value) for name, value in (program.arrays | program.numbers).items()
        }

    def note(self, function: str, inputs: tuple[Any, ...], out: Symbol | None = None) -> Symbol:
        """Add an entry, and give what stands for its result."""
        function = SAME.get(function, function)
        if function not in CALLS and function not in OPERATORS:
            self.refuse(f"{function}", f"it may use {known()}")
        operands = self._operands(function, inputs)
        is_array = any(isinstance(x, Value) and x.is_array for x in operands)
        if out is None:
            is_flag = function in COMPARISONS or function in LOGICAL
            out = Symbol(self, Value(None, is_array, is_flag))
        elif not isinstance(out, Symbol):
            self.refuse("an array that is no argument", "declare it as state")
        elif not out._value.is_array:
            if is_array:
                self.refuse(
                    "an array written to a number", "give it a name of its own, or make it state"
                )
            if out._value.name in self.fixed:
                name = out._value.name
                self.refuse(
                    f"a change of {name}, which others read too",
                    f"give the result a name of its own, as half = 0.5 * {name}",
                )
            out._value = Value(None, False)
        lists = self.program.loop if out._value.is_array else self.program.hoisted
        lists.append(Entry(function, operands, out._value, _line()))
        return out

    def _operands(self, function: str, inputs: tuple[Any, ...]) -> tuple[Value | float, ...]:
        operands: list[Any] = [self._operand(x) for x in inputs]
        for i, x in enumerate(operands):
            is_flag = isinstance(x, Value) and x.is_flag
            wants = function in LOGICAL or (function == "where" and i == 0)
            if is_flag and not wants and function != "copy":  # a flag counts as 0 or 1
                operands[i] = self.note("where", (Symbol(self, x), 1.0, 0.0))._value
            elif wants and not is_flag:
                whole = x if isinstance(x, float) else Symbol(self, x)
                operands[i] = self.note("not_equal", (whole, 0.0))._value
        return tuple(operands)

    def _operand(self, x: Any) -> Value | float:
        if isinstance(x, Symbol):
            return x._value
        if isinstance(x, Real | np.bool_) or (isinstance(x, np.ndarray) and x.ndim == 0):
            return float(x)
        kind = f"an array of shape {x.shape}" if hasattr(x, "shape") else f"a {type(x).__name__}"
        self.refuse(f"{kind} that is no argument", "declare it as state, and give it in `start`")

    def beyond(self, what: str) -> NoReturn:
        """Raise TypeError for what looks further than a coordinate."""
        self.refuse(
            f"{what}, which looks beyond its coordinate",
            "sum it in `update` with sum_over, or list the pass in per_tensor to see whole tensors",
        )

    def refuse(self, what: str, cure: str) -> NoReturn:
        """Raise TypeError for what a kernel may not do."""
        raise TypeError(
            f"{self.name} uses {what}, in {Entry('', (), _NOTHING, _line()).line!r}; {cure}."
        )


_NOTHING = Value(None, False)
_OWN = {__file__, NDArrayOperatorsMixin.__add__.__code__.co_filename}


def _line() -> tuple[str, int]:
    """The file and the line of the kernel that is traced."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename in _OWN and frame.f_back:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


@cache
def trace(
    kernel: Callable[..., Any],
    positional: tuple[str, ...],
    numbers: frozenset[str],
    scalars: tuple[tuple[str, int], ...],
) -> Program:
    """What the kernel does with its positional arguments, by name, of which some are numbers, and
    with the step's scalars: each a name, and of how many parts it is a tuple, or 0.

    Raises TypeError for what would be wrong or lost.
    """
    first, again = (_traced(kernel, positional, numbers, scalars) for _ in range(2))
    if str(first) != str(again):
        raise TypeError(
            f"{_name(kernel)} does not do the same when it is called twice; what changes from step "
            "to step, such as random numbers, belongs into `update`, which may give it as a number."
        )
    _check(kernel, first)
    return first


def places(name: str, parts: int) -> list[str]:
    """What a scalar consists of: "lr" of one number, "betas[0]" and "betas[1]" of two."""
    return [f"{name}[{i}]" for i in range(parts)] if parts else [name]


def _traced(
    kernel: Callable[..., Any],
    positional: tuple[str, ...],
    numbers: frozenset[str],
    scalars: tuple[tuple[str, int], ...],
) -> Program:
    own = [name for name in positional if name in numbers]
    fixed = [place for name, parts in scalars for place in places(name, parts)]
    program = Program(
        _name(kernel),
        {name: Value(name, True) for name in positional if name not in numbers},
        {name: Value(name, False) for name in (*own, *fixed)},
        own,
    )
    symbols = _Tracer(program, fixed).symbols
    settings = {
        name: tuple(symbols[place] for place in places(name, parts)) if parts else symbols[name]
        for name, parts in scalars
    }
    with backend.temporarily(backend.Backend()):  # whose functions take symbols
        kernel(*[symbols[name] for name in positional], **settings)
    for name in own:
        if symbols[name]._value is not program.numbers[name]:
            program.changed[name] = symbols[name]._value
    return program


def _check(kernel: Callable[..., Any], program: Program) -> None:
    """Raise TypeError where an array is computed and dropped."""
    read = {x for entry in program.loop for x in entry.inputs}
    for entry in program.loop:
        if entry.out.name is None and entry.out not in read:
            raise TypeError(
                f"{_name(kernel)} computes {entry.function} in {entry.line!r} and drops it; to "
                "change an array, write p -= ... or p[...] = ..., not p = ...."
            )


def _name(kernel: Callable[..., Any]) -> str:
    return getattr(kernel, "__qualname__", repr(kernel))


class Signature(NamedTuple):
    """The names of a kernel's arguments: arrays and numbers before the *, scalars after it."""

    positional: tuple[str, ...]
    keywords: tuple[str, ...]
    takes_rest: bool  # whether it has a **, for the hyperparameters that it does not name


@cache
def signature_of(function: Callable[..., Any]) -> Signature:
    """The names that a function takes."""
    import inspect

    every = inspect.signature(function).parameters.values()

    def named(*kinds: Any) -> tuple[str, ...]:
        return tuple(p.name for p in every if p.kind in kinds)

    return Signature(
        named(inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY),
        named(inspect.Parameter.KEYWORD_ONLY),
        bool(named(inspect.Parameter.VAR_KEYWORD)),
    )
