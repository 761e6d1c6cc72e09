"""What a kernel is called with while it is traced: symbols, which note what is done with them."""

import sys
from collections.abc import Collection, Iterable
from numbers import Real
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

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
from optim.engine.program import Entry, Program, Value

LOOK = "write xp's functions in place of Python's; to print or to debug, build it with eager=True"


class Symbol(NDArrayOperatorsMixin):
    """Stands for an array or a number while a kernel is traced.

    A name that a kernel gives to a number is one more name of the same symbol, as with an array.
    """

    def __init__(self, tracer: "Tracer", value: Value):
        self._tracer, self._value = tracer, value

    def copy(self) -> "Symbol":
        """The value as it is now."""
        if self._value.is_array:
            return self._tracer.note("copy", (self,))
        return self._tracer.symbol(self._tracer, self._value)

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


class Tracer:
    """Notes what a kernel does."""

    symbol = Symbol
    extra: Collection[str] = ()  # functions that it takes beside those of a kernel

    def __init__(self, program: Program, fixed: Iterable[str]):
        self.name = program.name
        self.program, self.fixed = program, set(fixed)
        self.symbols = {
            name: self.symbol(self, value)
            for name, value in (program.arrays | program.numbers).items()
        }

    def note(self, function: str, inputs: tuple[Any, ...], out: Symbol | None = None) -> Symbol:
        """Add an entry, and give what stands for its result."""
        if function in BITWISE and not all(self._is_flag(x) for x in inputs):
            self.refuse(f"{function} of what is no comparison", f"write xp.{BITWISE[function]}")
        function = SAME.get(function, function)
        if function not in CALLS and function not in OPERATORS and function not in self.extra:
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
            out = self.symbol(self, Value(None, is_array, gives_flag))
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
            f"{self.name} uses {what}, in {Entry('', (), NOTHING, _line()).line!r}; {cure}."
        )


NOTHING = Value(None, False)
CALLED_BY_FLAGS = {"where", "copy", *COMPARISONS, *LOGICAL}


def _line() -> tuple[str, int]:
    """The file and the line of the kernel that is traced."""
    frame = sys._getframe(1)
    while _is_ours(frame.f_globals.get("__name__", "")) and frame.f_back:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def _is_ours(module: str) -> bool:
    return module == __name__ or module.partition(".")[0] == "numpy"
