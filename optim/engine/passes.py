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
from optim.engine.settings import Places
from optim.engine.state import State
from optim.engine.threads import block_length, useful_threads
from optim.engine.trace import places, signature_of, trace

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
        self._arithmetic: Any = Hoisted(self.program)
        self._arguments = [(name, name in numbers) for name in self._arithmetic.arguments]
        if not current().on_host:
            from optim.engine.cuda import Arithmetic

            self._arithmetic = Arithmetic(self.program)
        self._met, self._changed = len(self.program.met), tuple(self.program.changed)
        self._executors: dict[Any, Any] = {}

    @property
    def used(self) -> set[str]:
        """The places of the scalars that it reads."""
        return self.program.used

    def numbers(self, values: Places) -> list[Any]:
        """The numbers that the loop meets, then those that the state keeps; changes nothing.

        Raises FloatingPointError for what overflows.
        """
        arrays = self._state.arrays
        arguments = []
        for name, in_state in self._arguments:
            value = arrays[name] if in_state else values[name]
            plain = in_state and not value.ndim and type(value) is np.ndarray
            arguments.append(value.item() if plain else value)
        numbers: list[Any] = self._arithmetic(arguments)
        return numbers

    def run(self, numbers: list[Any]) -> None:
        """Keep the numbers that are the state's, and do the loop with the others."""
        if self._changed:
            for name, value in zip(self._changed, numbers[self._met :], strict=True):
                self._state.set_number(name, value)
            numbers = numbers[: self._met]
        shapes = None  # of numbers, for most steps
        for x in numbers:
            if type(x) is not float:
                shapes = tuple(map(shape_of, numbers))
                break
        executor = self._executors.get(shapes)
        if executor is None:
            executor = self._executors[shapes] = self._executor(shapes or ((),) * len(numbers))
        executor(numbers)

    def __call__(self, values: Places) -> None:
        """Compute the numbers, and run."""
        self.run(self.numbers(values))

    def _executor(self, shapes: tuple[tuple[int, ...] | None, ...]) -> Any:
        backend, dtype, size = current(), self._params.dtype, self._params.size
        if not (self.program.loop and size):
            return _nothing
        threads, length = useful_threads(self._params), block_length(self._params)
        maker: Any = Playback
        if not backend.on_host:
            from optim.engine.cuda import Cuda

            maker = Cuda
        elif backend.compiles and not (self._quiet or self.program.functions & ROUNDED_ANYHOW):
            from optim.engine.loop import Loop

            maker, length = Loop, -(-size // threads)
        blocks = list(self._state.blocks(self.program.arrays, length))
        return maker(self.program, blocks, list(shapes), dtype, threads)


def _nothing(numbers: list[Any]) -> None:
    """Run over no coordinate."""


class CalledPass:
    """A function that is called as it is: on whole tensors, or for a debugger on every block.

    Blocks see numbers that they may change, from the same values each. Tensors see Python's
    floats, which are exact among themselves, and rounded where they meet an array.
    """

    def __init__(
        self,
        function: Function,
        names: tuple[str, ...],
        scalars: Scalars,
        state: State,
        params: Parameters,
        per_tensor: bool,
    ):
        self._function, self._names, self._scalars = function, names, scalars
        self._state, self._dtype, self._per_tensor = state, params.dtype, per_tensor
        self._blocks = list(
            state.tensors(names) if per_tensor else state.blocks(names, block_length(params))
        )
        self._shapes = state.shapes if per_tensor else [()] * len(self._blocks)
        self._numbers = state.numbers.intersection(names)

    @property
    def used(self) -> set[str]:
        """The places of the scalars that it takes."""
        return {place for name, parts in self._scalars.items() for place in places(name, parts)}

    def numbers(self, values: Places) -> Places:
        """The scalars as they are, and the numbers of the state."""
        held = {name: self._state.arrays[name] for name in self._numbers}
        return values | {n: a.copy() if a.ndim else a.item() for n, a in held.items()}

    def run(self, values: Places) -> None:
        """Call the function on every block or tensor."""
        wanted = [*self.used, *self._numbers]
        changed: dict[str, list[Any]] = {name: [] for name in self._numbers}
        for (here, views), shape in zip(self._blocks, self._shapes, strict=True):
            made = {place: self._number(values[place], here, shape) for place in wanted}
            arrays = views
            if not self._per_tensor:
                arrays = {name: coordinates(a, self._dtype) for name, a in views.items()}
            scalars = {
                name: tuple([made[place] for place in places(name, parts)]) if parts else made[name]
                for name, parts in self._scalars.items()
            }
            self._function(*[arrays[n] if n in arrays else made[n] for n in self._names], **scalars)
            if not self._per_tensor:
                for name, found in changed.items():
                    found.append(made[name].value)
        for name, found in changed.items():
            if found:
                value = np.concatenate(found) if found[0].ndim else found[0]
                self._state.set_number(name, value)

    def _number(self, value: Any, here: slice, shape: tuple[int, ...]) -> Any:
        if self._per_tensor:
            if not getattr(value, "ndim", 0):
                return value
            return value[here].astype(self._dtype).reshape(shape)
        return Number(value[here] if getattr(value, "ndim", 0) else value, self._dtype)


@cache
def then_projected(function: Function, place: int, project: Function) -> Function:
    """The function, and then the projection of its argument at that place, in one pass."""

    def projected(*arrays: Array, box_lo: Any, box_hi: Any, **scalars: Any) -> None:
        function(*arrays, **scalars)
        project(arrays[place], box_lo=box_lo, box_hi=box_hi)

    projected.__qualname__ = getattr(function, "__qualname__", "kernel")
    return projected
