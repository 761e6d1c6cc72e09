"""A kernel, traced once: what it does among numbers, and what it does on arrays.

The kernel is called with symbols that note what is done with them. Arithmetic among numbers is
hoisted: done once a step, in float64. What touches an array is the loop: done coordinate by
coordinate. Every machine gets a rule from these two lists.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from minigrad import backend
from optim.engine.program import Program, Value, places
from optim.engine.symbols import Tracer

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
    symbols = Tracer(program, fixed).symbols
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


def _name(kernel: Callable[..., Any]) -> str:
    return getattr(kernel, "__qualname__", repr(kernel))
