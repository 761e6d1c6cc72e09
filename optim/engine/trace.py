"""A kernel, traced once: what it does among numbers, and what it does on arrays.

The kernel is called with symbols that note what is done with them. Arithmetic among numbers is
hoisted: done once a step, in float64. What touches an array is the loop: done coordinate by
coordinate. Every machine gets a rule from these two lists.
"""

import linecache
import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import nullcontext
from functools import cache
from itertools import count
from numbers import Real
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from minigrad import backend
from optim.engine.functions import (
    BITWISE,
    CALLS,
    COMPARISONS,
    LOGICAL,
    OPERATORS,
    POWERS,
    SAME,
    UNKNOWN,
    known,
)

LOOK = "write xp's functions in place of Python's; to print or to debug, build it with eager=True"


class Value:
    """What an entry reads or writes: an argument of the kernel by its name, or a result.

    A number that changes becomes another Value; an array is changed in place. What a comparison
    gives is a flag.
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
        lines = [
            f"{names[e.out]} = {e.function}"
            f"({', '.join(names[x] if isinstance(x, Value) else str(x) for x in e.inputs)})"
            for e in (*self.hoisted, *self.loop)
        ]
        return "\n".join((*lines, *(f"{name} = {names[v]}" for name, v in self.changed.items())))


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
        if method != "__call__":
            self._tracer.beyond(f"{ufunc.__name__}.{method}")
        if ufunc.signature:
            self._tracer.beyond(ufunc.__name__)
        if options:
            self._tracer.refuse(f"{ufunc.__name__} with {', '.join(options)}=", "write xp.where")
        return self._tracer.note(ufunc.__name__, inputs, out[0])

    def __array_function__(self, function: Any, _: Any, inputs: Any, options: Any) -> "Symbol":
        if function is np.where and len(inputs) == 3:
            return self._tracer.note("where", inputs)
        if function is np.copy:
            return self.copy()
        self._tracer.unknown(f"xp.{function.__name__}", function.__name__)

    def __getitem__(self, index: Any) -> "Symbol":
        if not _is_whole(index):
            self._tracer.beyond("indexing")
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        if not _is_whole(index):
            self._tracer.refuse(
                "indexing, which looks at its coordinate's place or value",
                "write p[...] = xp.where(condition, new, p)",
            )
        if value is not self:  # as after p[...] -= 1
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
        if name in ("item", "tolist"):
            self._look()
        self._tracer.unknown(f".{name}", name)

    def __bool__(self) -> NoReturn:
        self._tracer.refuse("`if`, `and`, min or max on its values", "write xp.where")

    def __round__(self, _: Any = None) -> NoReturn:
        self._tracer.unknown("round", "round")

    def _look(self, *_: Any, **__: Any) -> NoReturn:
        self._tracer.refuse("a look at its values", LOOK)

    def _beyond(self, *_: Any, **__: Any) -> NoReturn:
        self._tracer.beyond("len or iteration")

    __array__ = __float__ = __int__ = __index__ = __repr__ = __str__ = __format__ = _look
    __hash__ = __reduce_ex__ = _look
    __iter__ = __len__ = __contains__ = __reversed__ = __delitem__ = _beyond


def _is_whole(index: Any) -> bool:
    return index is ... or (isinstance(index, slice) and index == slice(None))


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
        if function in BITWISE and not all(self._is_flag(x) for x in inputs):
            self.refuse(f"{function} of what is no comparison", f"write xp.{BITWISE[function]}")
        function = SAME.get(function, function)
        if function not in CALLS and function not in OPERATORS:
            self.refuse(f"{function}", f"it may use {known()}")
        gives_flag = function in COMPARISONS or function in LOGICAL
        if function == "copy":
            gives_flag = self._is_flag(inputs[0] if out is None else out)
        if out is not None and gives_flag != self._is_flag(out):
            if not gives_flag:
                self.refuse("arithmetic written to a comparison", "give the result another name")
            inputs, function, gives_flag = (self.note(function, inputs),), "copy", False
        operands = self._operands(function, inputs, gives_flag)
        is_array = any(isinstance(x, Value) and x.is_array for x in operands)
        if out is None:
            out = Symbol(self, Value(None, is_array, gives_flag))
        elif not isinstance(out, Symbol):
            self.refuse("an array that is no argument", "declare it as state")
        elif not out._value.is_array:
            if is_array:
                self.refuse(
                    "an array written to a number", "give it a name of its own, or make it state"
                )
            if any(out is self.symbols[place] for place in self.fixed):
                name = out._value.name
                self.refuse(
                    f"a change of {name}, which others read too",
                    f"give the result a name of its own, as half = 0.5 * {name}",
                )
            out._value = Value(None, False, gives_flag)
        lists = self.program.loop if out._value.is_array else self.program.hoisted
        lists.append(Entry(function, operands, out._value, _line()))
        return out

    def _is_flag(self, x: Any) -> bool:
        return isinstance(x, Symbol) and x._value.is_flag

    def _operands(
        self, function: str, inputs: tuple[Any, ...], gives_flag: bool
    ) -> tuple[Value | float, ...]:
        """The inputs, where a flag among numbers counts as 0 or 1, and a number that is asked
        whether it holds as whether it is not 0."""
        if function not in CALLED_BY_FLAGS and all(self._is_flag(x) for x in inputs):
            self.refuse(
                f"{function} of comparisons alone", "write &, | or ~, or xp.where(..., 1.0, 0.0)"
            )
        operands = []
        for i, x in enumerate(inputs):
            operand = self._operand(x)
            asked = i == 0 if function == "where" else gives_flag and function not in COMPARISONS
            if self._is_flag(x) and not asked:
                operand = self.note("where", (x, 1.0, 0.0))._value
            elif asked and not self._is_flag(x):
                operand = self.note("not_equal", (x, 0.0))._value
            operands.append(operand)
        return tuple(operands)

    def _operand(self, x: Any) -> Value | float:
        if isinstance(x, Symbol):
            return x._value
        if isinstance(x, Real | np.bool_) or (isinstance(x, np.ndarray) and x.ndim == 0):
            return float(x)
        kind = f"an array of shape {x.shape}" if hasattr(x, "shape") else f"a {type(x).__name__}"
        self.refuse(f"{kind} that is no argument", "declare it as state, and give it in `start`")

    def unknown(self, what: str, name: str) -> NoReturn:
        """Raise TypeError for a function or a method of NumPy's."""
        if name in UNKNOWN:
            self.refuse(what, f"it may use {known()}")
        self.beyond(what)

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
CALLED_BY_FLAGS = {"where", "copy", *COMPARISONS, *LOGICAL}


def _line() -> tuple[str, int]:
    """The file and the line of the kernel that is traced."""
    frame = sys._getframe(1)
    while _is_ours(frame.f_globals.get("__name__", "")) and frame.f_back:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def _is_ours(module: str) -> bool:
    return module == __name__ or module.partition(".")[0] == "numpy"


_traces: dict[Any, Program] = {}


def trace(
    kernel: Callable[..., Any],
    positional: tuple[str, ...],
    numbers: frozenset[str],
    scalars: tuple[tuple[str, int], ...],
) -> Program:
    """What the kernel does with its positional arguments, by name, of which some are numbers, and
    with the step's scalars: each a name, and of how many parts it is a tuple, or 0.

    What was traced before is given again, unless the kernel has changed, as where it reads a
    variable of its module. Raises TypeError for what would be wrong or lost.
    """
    program = _traced(kernel, positional, numbers, scalars)
    key = kernel, positional, numbers, scalars, str(program)
    if key not in _traces:
        if str(_traced(kernel, positional, numbers, scalars)) != str(program):
            raise TypeError(
                f"{_name(kernel)} does not do the same when it is called twice; what changes from "
                "step to step, such as random numbers, belongs into `update`, which may give it as "
                "a number."
            )
        _check(kernel, program)
        _traces[key] = program
    return _traces[key]


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
    takes_symbols = backend.current().namespace is np
    with nullcontext() if takes_symbols else backend.temporarily(backend.Backend()):
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


def check_literals(kernel: Callable[..., Any], program: Program, dtype: Any) -> None:
    """Raise ValueError for a literal that is too large for the arena's dtype."""
    largest = float(np.finfo(dtype).max)
    for entry in program.loop:
        for x in entry.inputs:
            if not isinstance(x, Value) and largest < abs(x) < np.inf:
                raise ValueError(
                    f"{_name(kernel)} has {x:g}, in {entry.line!r}, which overflows in {dtype}; "
                    f"write xp.inf, or at most {largest:.1e}."
                )


def assigned(kernel: Callable[..., Any]) -> set[str]:
    """The names that a kernel assigns to, by x = ... or by x += ...."""
    import dis

    found: set[str] = set()
    for instruction in dis.get_instructions(kernel):
        names, does = instruction.argval, instruction.opname
        if does.startswith(("STORE_FAST", "STORE_DEREF")):
            pair = names[:1] if does == "STORE_FAST_LOAD_FAST" else names
            found.update([names] if isinstance(names, str) else pair)
    return found


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
