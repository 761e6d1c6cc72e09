"""Playback: a traced loop as calls of NumPy, block by block, with temporaries that are kept.

NumPy takes new memory for the result of every operator, and Python looks every name up again;
both cost as much as many of the calls. Here a call writes into memory that is known beforehand,
and no Python runs between two calls, so that Ctrl-C is heard when all have been made.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, starmap
from operator import call
from typing import Any

import numpy as np

from minigrad.backend import Array
from optim.engine.functions import numpy_function
from optim.engine.program import Program, Value
from optim.engine.state import Block
from optim.engine.threads import exhaust, share

PAIR = 2  # NumPy takes twice as long in place on one element as on two


class Playback:
    """The calls of a loop on each block, bound to their arrays.

    `shapes` says of each number that the loop meets whether it is one, (), or one per coordinate.
    """

    def __init__(
        self,
        program: Program,
        blocks: list[Block],
        shapes: list[tuple[int, ...]],
        dtype: Any,
        threads: int,
    ):
        self._slots, self._kinds = allocated(program, dtype)
        self._literals: dict[str, Array] = {}
        self._program, self._dtype = program, dtype
        self.numbers = [np.empty(shape, dtype) for shape in shapes]  # rounded to the arena's dtype
        self._last: list[float | None] = [None] * len(shapes)
        length = max((here.stop - here.start for here, _ in blocks), default=0)
        self._bound = []  # for each thread the calls on each block
        for _ in range(threads):
            memory = [np.empty(max(PAIR, length), kind) for kind in self._kinds]
            self._bound.append([self._bind(block, memory) for block in blocks])
        self._all = list(chain.from_iterable(self._bound[0]))

    def __call__(self, numbers: list[Any], begin: Callable[[bool], None]) -> None:
        """Make the calls on every block, with these numbers, and before them begin(True)."""
        for i, value in enumerate(numbers):
            if type(value) is not float:
                self.numbers[i][...] = value
            elif value != self._last[i] or not value:  # 0 may be -0
                self.numbers[i].fill(value)
                self._last[i] = value
        if len(self._bound) == 1:  # at once, since every layer of Python shows in small models
            calls = starmap(call, chain([(begin, True)], self._all))
            try:
                exhaust(calls)
            except KeyboardInterrupt:
                exhaust(calls)  # nothing, or all of them
                raise
        else:
            share(
                [partial(_calls, bound) for bound in self._bound], range(len(self._bound[0])), begin
            )

    def _bind(self, block: Block, memory: list[Array]) -> list[Any]:
        """The calls on one block: tuples of a function and what to call it with.

        A lone coordinate is read as a number, and written to both halves of a pair.
        """
        here, views = block
        length = here.stop - here.start
        lone = length == 1
        at: dict[Any, Array] = {
            value: views[name][0, ...] if lone else views[name]
            for name, value in self._program.arrays.items()
            if name in views
        }
        for value, held in zip(self._program.met, self.numbers, strict=True):
            at[value] = held[here] if held.ndim else held
            if lone and held.ndim:
                at[value] = at[value][0, ...]
        bound: list[Any] = []
        pairs = {}
        for function, inputs, out, _ in self._program.loop:
            given = [at[x] if isinstance(x, Value) else self._literal(x) for x in inputs]
            if out in self._slots:
                at[out] = memory[self._slots[out]][: max(PAIR, length) if lone else length]
            elif lone and out not in pairs:
                pairs[out] = at[out] = np.empty(PAIR, self._dtype)
            bound.append(_bound(function, given, at[out]))
        bound.extend((views[str(v.name)].fill, pair[0, ...]) for v, pair in pairs.items())
        return bound

    def _literal(self, x: float) -> Array:
        spelled = repr(x)  # -0.0 and 0.0 are equal
        if spelled not in self._literals:
            self._literals[spelled] = np.array(x, self._dtype)
        return self._literals[spelled]


def allocated(program: Program, dtype: Any) -> tuple[dict[Value, int], list[Any]]:
    """A slot of memory for each temporary of a loop, and the dtype of each slot.

    A temporary gets the slot of one that is no longer needed.
    """
    slots: dict[Value, int] = {}
    kinds: list[Any] = []
    free: dict[bool, list[int]] = defaultdict(list)
    last = {x: k for k, e in enumerate(program.loop) for x in (*e.inputs, e.out)}

    def take(value: Value) -> None:
        if value.name is not None or value in slots:
            return
        if not free[value.is_flag]:
            free[value.is_flag].append(len(kinds))
            kinds.append(bool if value.is_flag else dtype)
        slots[value] = free[value.is_flag].pop()

    for k, (function, inputs, out, _) in enumerate(program.loop):
        if function == "sign":  # ten times slower in place
            take(out)
        for x in {x: None for x in inputs if x in slots}:
            if last[x] == k:
                free[x.is_flag].append(slots[x])
        take(out)
    return slots, kinds


def _bound(function: str, given: list[Any], out: Array) -> tuple[Any, ...]:
    """A call that writes to `out`, which most functions take as their last argument, since that is
    faster than by keyword."""
    if function == "copy":
        return (out.__setitem__, ..., *given)
    if function == "where":
        return (_where, *given, out)
    called = numpy_function(function)
    if function in ("maximum", "minimum"):  # deprecated as the last argument
        return (partial(called, *given, out=out),)
    return (called, *given, out)


def _where(condition: Any, x: Any, y: Any, out: Array) -> None:
    out[...] = np.where(condition, x, y)


def _calls(bound: list[Any], blocks: Iterator[int]) -> Iterable[Any]:
    return chain.from_iterable(map(partial(starmap, call), map(bound.__getitem__, blocks)))
