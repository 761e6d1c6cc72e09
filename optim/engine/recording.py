"""A kernel as the calls of NumPy that it makes: recorded once, played with memory that is kept.

NumPy takes new memory for the result of every operator, and Python looks every name up again; both
cost as much as many of the calls. Those recorded are the same in the same order, and so are the
bits that they give.
"""

from collections import defaultdict
from collections.abc import Callable, Set
from functools import partial
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from minigrad.backend import Array
from optim.engine.threads import share

WIDTH = 2  # coordinates in the arrays to record with
REDUCTIONS = set(
    "sum prod mean var std min max amin amax argmin argmax any all dot vdot inner norm "
    "median cumsum count_nonzero".split()
)

Kind = tuple[tuple[int, ...], Any]  # the shape of a sample, and its dtype


class Unrecordable(Exception):
    """A kernel does more than elementwise calls on its arguments."""


class Operand(NDArrayOperatorsMixin):
    """Stands for an array or a scalar while a kernel is recorded."""

    def __init__(self, calls: list["Call"], sample: Any, place: str | None = None):
        self.calls = calls
        self.sample = np.asarray(sample)  # of the same dtype and number of axes
        self.place: str | int | None = place  # its name; of a temporary, which memory it is in

    @property
    def kind(self) -> Kind:
        return self.sample.shape, self.sample.dtype

    @property
    def is_number(self) -> bool:
        """Whether it is what NumPy makes of a 0-d result."""
        return self.place is None and not self.sample.ndim

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = (None,), **options: Any
    ) -> "Operand":
        if method != "__call__" or ufunc.signature:
            _refuse_reduction(ufunc.__name__)
        if options or ufunc.nout != 1:
            raise Unrecordable(ufunc.__name__)
        into = out[0]
        if isinstance(into, Operand) and into.is_number:
            into = None  # which += does not change but replaces
        return self._note(ufunc, inputs, into)

    def __array_function__(self, function: Any, _: Any, inputs: Any, options: Any) -> "Operand":
        if function.__name__ in REDUCTIONS:
            _refuse_reduction(function.__name__)
        if function is not np.where or options:
            raise Unrecordable(function.__name__)
        return self._note(np.where, inputs, None)

    def __setitem__(self, index: Any, value: Any) -> None:
        if index is not ... or self.is_number:
            raise Unrecordable("a part that is assigned, or a number")
        self._note(assign, (value,), self)

    def _note(self, function: Any, inputs: tuple[Any, ...], out: "Operand | None") -> "Operand":
        """Add a call, and give what stands for its result."""
        if any(isinstance(x, np.ndarray) for x in (*inputs, out)):
            raise Unrecordable("an array that is no argument")
        if out is None:
            samples = [x.sample if isinstance(x, Operand) else x for x in inputs]
            out = Operand(self.calls, function(*samples))
        self.calls.append(Call(function, inputs, out))
        return out

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # NumPy looks whether there are some
            raise AttributeError(name)
        if name in REDUCTIONS:
            _refuse_reduction(name)
        raise Unrecordable(name)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise Unrecordable("a look at the values")

    __array__ = __bool__ = __float__ = __int__ = __index__ = _refuse
    __getitem__ = __iter__ = __len__ = __contains__ = __repr__ = __format__ = _refuse
    __pow__ = __rpow__ = __ipow__ = _refuse  # of which arrays take some for squares and roots


class Call(NamedTuple):
    """out = function(*inputs), where an input is an Operand or a constant."""

    function: Any
    inputs: tuple[Any, ...]
    out: Operand

    def __str__(self) -> str:
        return f"{self.function.__name__}({', '.join(map(_name, self.inputs))})"


class Recording:
    """The calls of a kernel, whose temporaries take turns in as little memory as they need."""

    def __init__(self, calls: list[Call]):
        self.calls = calls
        self.temporaries: list[Kind] = []
        last_use = {
            id(x): k for k, call in enumerate(calls) for x in (*_operands(call.inputs), call.out)
        }
        free: dict[Kind, list[int]] = defaultdict(list)

        def place(x: Operand) -> None:
            if x.place is None:
                if not free[x.kind]:
                    free[x.kind].append(len(self.temporaries))
                    self.temporaries.append(x.kind)
                x.place = free[x.kind].pop()

        for k, (function, inputs, out) in enumerate(calls):
            if function is np.sign:  # ten times slower in place
                place(out)
            for x in {id(x): x for x in _operands(inputs)}.values():
                if isinstance(x.place, int) and last_use[id(x)] == k:
                    free[x.kind].append(x.place)
            place(out)

    def check(self, kernel: str, numbers: Set[str]) -> None:
        """Raise TypeError where a result is dropped, or one of the single numbers is changed."""
        used = {id(x) for call in self.calls for x in _operands(call.inputs)}
        for call in self.calls:
            if isinstance(call.out.place, int) and id(call.out) not in used:
                raise TypeError(
                    f"{kernel} computes {call} and drops it; to change an array, write p -= ... or "
                    "p[...] = ..., not p = ...."
                )
            if call.out.place in numbers:
                name = call.out.place
                raise TypeError(
                    f"{kernel} changes {name}, a single number that other blocks read too; give "
                    f"the result a name of its own, as half = 0.5 * {name}, or change state in a "
                    "pass of single numbers alone."
                )

    def arguments(self) -> set[Any]:
        """The names of the arrays and scalars that have a part in it."""
        every = {x.place for call in self.calls for x in (*_operands(call.inputs), call.out)}
        return {place for place in every if isinstance(place, str)}

    def memory(self, length: int) -> list[Array]:
        """Memory for the temporaries of a block of so many coordinates."""
        return [np.empty((*s[:-1], length) if s else (), dtype) for s, dtype in self.temporaries]

    def bind(self, arguments: dict[str, Array], memory: list[Array]) -> list[Any]:
        """The calls on one block: functions, each with what to call it with.

        A lone coordinate is read as a number, and written to both halves of a pair: NumPy takes
        twice as long in place on one element as on two.
        """
        length = _length(arguments)
        lone = {}
        if length == 1 and all(a.ndim < 2 for a in arguments.values()):
            length, lone = 2, {n: a for n, a in arguments.items() if a.ndim}
        at: dict[Any, Array] = {**arguments, **{n: a[0, ...] for n, a in lone.items()}}
        at.update((i, a[..., :length] if a.ndim else a) for i, a in enumerate(memory))
        bound: list[Any] = []
        for function, inputs, out in self.calls:
            given = [at[x.place] if isinstance(x, Operand) else x for x in inputs]
            if out.place in lone and not at[out.place].ndim:
                at[out.place] = np.empty(2, at[out.place].dtype)
            bound.append((PLAYED.get(function, function), [*given, at[out.place]]))
        bound.extend((a.fill, [at[n][0, ...]]) for n, a in lone.items() if at[n].ndim)
        return bound

    def __str__(self) -> str:
        return "\n".join(f"{_name(call.out)} = {call}" for call in self.calls)


class Playback:
    """A recording bound to blocks, with memory for each thread.

    With `live` it reads these very scalars, as they will be then; else copies of those it is given.
    """

    def __init__(
        self,
        recording: Recording,
        blocks: list[dict[str, Array]],
        scalars: dict[str, Any],
        threads: int,
        live: bool = False,
    ):
        used = recording.arguments() & scalars.keys()
        self.scalars = {n: scalars[n] if live else np.empty_like(scalars[n]) for n in used}
        length = max(2, *map(_length, blocks))
        self.bound = []  # for each thread the calls on each block
        for _ in range(threads):
            memory = recording.memory(length)
            self.bound.append(
                [recording.bind({**block, **self.scalars}, memory) for block in blocks]
            )

    def __call__(self, scalars: dict[str, Any]) -> None:
        """Make the calls on every block."""
        for name, held in self.scalars.items():
            value = scalars[name]
            if value is not held:
                held.fill(value)
        if len(self.bound) == 1:  # at once, since every layer of Python shows in small models
            for calls in self.bound[0]:
                for function, arguments in calls:
                    function(*arguments)
        else:
            share([partial(_play, bound) for bound in self.bound], range(len(self.bound[0])))


def record(
    function: Callable[..., Any], arrays: dict[str, Array], scalars: dict[str, Any]
) -> Recording | None:
    """What the function does with arguments like these; None where that cannot be recorded.

    The function must depend on nothing but its arguments; it is called once.
    """
    if not all(hasattr(scalar, "dtype") for scalar in scalars.values()):
        return None
    calls: list[Call] = []

    def operand(name: str, like: Any) -> Operand:
        shape = (*like.shape[:-1], WIDTH) if like.ndim else ()
        return Operand(calls, np.ones(shape, like.dtype), name)

    try:
        with np.errstate(all="ignore"):
            function(
                *(operand(name, array) for name, array in arrays.items()),
                **{name: operand(name, scalar) for name, scalar in scalars.items()},
            )
    except Unrecordable:
        return None
    return Recording(calls)


def assign(x: Any, out: Array) -> None:
    """out[...] = x"""
    out[...] = x


def _where(condition: Any, x: Any, y: Any, out: Array) -> None:
    out[...] = np.where(condition, x, y)


def _maximum(x: Any, y: Any, out: Array) -> None:
    np.maximum(x, y, out=out)


def _minimum(x: Any, y: Any, out: Array) -> None:
    np.minimum(x, y, out=out)


# Others take `out` as their last argument, which is faster than by keyword
PLAYED: dict[Any, Any] = {np.where: _where, np.maximum: _maximum, np.minimum: _minimum}


def _play(bound: list[Any], block: int) -> None:
    for function, arguments in bound[block]:
        function(*arguments)


def _refuse_reduction(name: str) -> NoReturn:
    raise TypeError(
        f"a kernel sees a block of coordinates at a time, so {name} would be of that block; set "
        "per_tensor = True to see whole tensors, or take a `total` in `update`."
    )


def _operands(inputs: tuple[Any, ...]) -> list[Operand]:
    return [x for x in inputs if isinstance(x, Operand)]


def _length(arrays: dict[str, Array]) -> int:
    return max(a.shape[-1] if a.ndim else 1 for a in arrays.values())


def _name(x: Any) -> str:
    if isinstance(x, Operand):
        return f"t{x.place}" if isinstance(x.place, int) else str(x.place)
    return str(x)
