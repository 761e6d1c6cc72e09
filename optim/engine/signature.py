"""What a kernel names: its arguments, and what it assigns to."""

from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple


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


class Signature(NamedTuple):
    """The names of a kernel's arguments: arrays and numbers before the *, scalars after it."""

    positional: tuple[str, ...]
    keywords: tuple[str, ...]
    takes_rest: bool  # whether it has a **, for the hyperparameters that it does not name


def signature_of(function: Callable[..., Any]) -> Signature:
    """The names that a function takes.

    They are looked up by its code, which is one for all lambdas of a line: to keep each that an
    `update` makes would take more memory at every step.
    """
    key: Any = function
    if isinstance(function, FunctionType) and not hasattr(function, "__wrapped__"):
        key = function.__code__
    if key not in _signatures:
        _signatures[key] = _signature(function)
    return _signatures[key]


_signatures: dict[Any, Signature] = {}


def _signature(function: Callable[..., Any]) -> Signature:
    import inspect

    every = inspect.signature(function).parameters.values()

    def named(*kinds: Any) -> tuple[str, ...]:
        return tuple(p.name for p in every if p.kind in kinds)

    return Signature(
        named(inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY),
        named(inspect.Parameter.KEYWORD_ONLY),
        bool(named(inspect.Parameter.VAR_KEYWORD)),
    )
