"""A pass of a rule: one function, over all coordinates or over one tensor after the other.

Its signature is its schema. Before the * come arrays and numbers of the state, after it the
step's scalars; ** takes the hyperparameters that are not named.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np

from minigrad.arena import Parameters
from minigrad.backend import Array, current
from optim.engine.eager import Number, coordinates
from optim.engine.functions import ROUNDED_ANYHOW
from optim.engine.hoist import Hoisted, shape_of
from optim.engine.playback import Playback
from optim.engine.program import places
from optim.engine.settings import Places
from optim.engine.signature import signature_of
from optim.engine.state import State
from optim.engine.threads import block_length, useful_threads
from optim.engine.trace import check_literals, trace

Function = Callable[..., Any]
Scalars = dict[str, int]  # by name: of how many parts it is a tuple, or 0


def accepted(function: Function, hyperparameters: Scalars, others: Iterable[str]) -> Scalars:
    """The scalars that a function takes, of the hyperparameters and of others, as t.

    Raises TypeError for one that is neither.
    """
    _, keywords, takes_rest = signature_of(function)
    known = hyperparameters | dict.fromkeys(others, 0)
    if unknown := [name for name in keywords if name not in known]:
        raise TypeError(
            f"{getattr(function, '__qualname__', function)} takes the scalar {unknown[0]!r}, but "
            f"the step has {list(known)}; declare it as a hyperparameter, as lr: optim.Rate = 0.1, "
            "or list it in `given`, and give it in `update`."
        )
    rest = [n for n in hyperparameters if n not in keywords] if takes_rest else []
    return {name: known[name] for name in (*keywords, *rest)}


class FlatPass:
    """A traced function of every coordinate, and what runs it on this backend.

    With `quiet` its loop may divide by zero, and overflow.
    """

    def __init__(
        self,
        function: Function,
        names: tuple[str, ...],
        scalars: Scalars,
        state: State,
        params: Parameters,
        quiet: bool = False,
    ):
        self._state, self._params, self._quiet = state, params, quiet
        numbers = frozenset(state.numbers.intersection(names))
        self.program = trace(function, names, numbers, tuple(scalars.items()))
        check_literals(function, self.program, params.dtype)
        self._arithmetic: Any = Hoisted(self.program)
        arguments = self._arithmetic.arguments
        self._scalars = [name for name in arguments if name not in numbers]
        self._numbers = [name for name in arguments if name in numbers]
        if not current().on_host:
            from optim.engine.cuda import Arithmetic

            self._arithmetic = Arithmetic(self.program)
        self._met, self._changed = len(self.program.met), tuple(self.program.changed)
        self._length, self.threads = block_length(params), useful_threads(params)
        self._begin: Any = _nothing if quiet else state.begun.append  # before the first write
        self._executors: dict[Any, Any] = {}

    @property
    def used(self) -> set[str]:
        """The places of the scalars that it reads."""
        return self.program.used

    def numbers(self, values: Places) -> list[Any]:
        """The numbers that the loop meets, then those that the state keeps; changes nothing.

        Raises FloatingPointError for what overflows.
        """
        arguments = []
        for name in self._numbers:
            value = self._state.arrays[name]
            plain = not value.ndim and type(value) is np.ndarray
            arguments.append(value.item() if plain else value)
        arguments += [values[name] for name in self._scalars]  # which come after, in a program
        numbers: list[Any] = self._arithmetic(arguments)
        return numbers

    def run(self, numbers: list[Any]) -> None:
        """Do the loop with the numbers that it meets, and keep those that are the state's."""
        kept, numbers = numbers[self._met :], numbers[: self._met]
        shapes = None  # of numbers, for most steps
        for x in numbers:
            if type(x) is not float:
                shapes = tuple(map(shape_of, numbers))
                break
        executor = self._executors.get(shapes)
        if executor is None:
            executor = self._executors[shapes] = self._executor(shapes or ((),) * len(numbers))
        executor(numbers, self._begin)
        if kept:
            self._begin(True)
            for name, value in zip(self._changed, kept, strict=True):
                self._state.set_number(name, value)

    def __call__(self, values: Places) -> None:
        """Compute the numbers, and run."""
        self.run(self.numbers(values))

    def _executor(self, shapes: tuple[tuple[int, ...] | None, ...]) -> Any:
        backend, dtype, size = current(), self._params.dtype, self._params.size
        if not (self.program.loop and size):
            return _nothing
        maker: Any = Playback
        threads, length = self.threads, self._length
        if not backend.on_host:
            from optim.engine.cuda import Cuda

            maker = Cuda
        elif backend.compiles and not (self._quiet or self.program.functions & ROUNDED_ANYHOW):
            from optim.engine.loop import Loop

            maker, length = Loop, -(-size // threads)
        blocks = list(self._state.blocks(self.program.arrays, length))
        return maker(self.program, blocks, list(shapes), dtype, threads)


def _nothing(*_: Any) -> None:
    """Run over no coordinate, or begin what writes no state."""


class CalledPass:
    """Base of the passes that call their function as it is, with arrays of a part at a time."""

    def __init__(
        self,
        function: Function,
        names: tuple[str, ...],
        scalars: Scalars,
        state: State,
        params: Parameters,
    ):
        self._function, self._names, self._scalars = function, names, scalars
        self._state, self._params, self._dtype = state, params, params.dtype
        self._numbers = [name for name in names if name in state.numbers]

    @property
    def used(self) -> set[str]:
        """The places of the scalars that it takes."""
        return {place for name, parts in self._scalars.items() for place in places(name, parts)}

    def numbers(self, values: Places) -> Places:
        """The scalars that the function takes, and the numbers of the state."""
        held = {name: self._state.arrays[name] for name in self._numbers}
        taken = {place: values[place] for place in self.used}
        return taken | {n: a.copy() if a.ndim else a.item() for n, a in held.items()}

    def _given(self, values: Places) -> dict[str, Any]:
        """The function's scalars by name."""
        return {
            name: tuple([values[place] for place in places(name, parts)]) if parts else values[name]
            for name, parts in self._scalars.items()
        }


class TensorPass(CalledPass):
    """A function of whole tensors, called with each.

    Numbers are Python's floats, which are exact among themselves, and rounded where they meet an
    array.
    """

    def __init__(self, *given: Any):
        super().__init__(*given)
        self._places = [i for i, name in enumerate(self._names) if name in self._numbers]
        self._tensors = [
            (here, shape, [views.get(name) for name in self._names])
            for (here, views), shape in zip(
                self._state.tensors(self._names), self._state.shapes, strict=True
            )
        ]

    def run(self, values: Places) -> None:
        """Call the function with every tensor."""
        self._state.begun.append(True)
        spread = {place: x for place, x in values.items() if getattr(x, "ndim", 0)}
        scalars = self._given(values)
        for here, shape, arguments in self._tensors:
            if spread:
                parts = {n: x[here].astype(self._dtype).reshape(shape) for n, x in spread.items()}
                values = values | parts
                scalars = self._given(values)
            for i in self._places:
                arguments[i] = values[self._names[i]]
            self._function(*arguments, **scalars)


class EagerPass(CalledPass):
    """A function of coordinates that is called with every block, for a debugger.

    It may change numbers, from the same values in each block.
    """

    def __init__(self, *given: Any):
        super().__init__(*given)
        self._blocks = list(self._state.blocks(self._names, block_length(self._params)))

    def run(self, values: Places) -> None:
        """Call the function with every block."""
        self._state.begun.append(True)
        changed: dict[str, list[Any]] = {name: [] for name in self._numbers}
        for here, views in self._blocks:
            arrays = {name: coordinates(a, self._dtype) for name, a in views.items()}
            numbers = {
                place: Number(x[here] if getattr(x, "ndim", 0) else x, self._dtype)
                for place, x in values.items()
            }
            arguments = [arrays[n] if n in arrays else numbers[n] for n in self._names]
            self._function(*arguments, **self._given(numbers))
            for name, found in changed.items():
                found.append(numbers[name].value)
        for name, found in changed.items():
            if found:
                self._state.set_number(
                    name, np.concatenate(found) if found[0].ndim else float(found[0])
                )


@cache
def then_projected(function: Function, place: int, project: Function) -> Function:
    """The function, and then the projection of its argument at that place, in one pass."""

    def projected(*arrays: Array, box_lo: Any, box_hi: Any, **scalars: Any) -> None:
        function(*arrays, **scalars)
        project(arrays[place], box_lo=box_lo, box_hi=box_hi)

    projected.__qualname__ = getattr(function, "__qualname__", "kernel")
    return projected
