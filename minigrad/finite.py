"""What `anomaly` looks at: where a value or a gradient stops being finite."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minigrad.backend import Array, xp

PACKAGE = str(Path(__file__).parent)


def check_value(name: str, value: Array, operands: Sequence[Any]) -> None:
    """Raise FloatingPointError where the value of an op is not finite."""
    if not _finite(value):
        raise FloatingPointError(
            f"{name} of {_shapes(operands)} gives {_bad(value)}{_already(operands)}; it was called "
            f"in {_caller()}."
        )


def checked(name: str, pullbacks: Sequence[Any], operands: Sequence[Any]) -> list[Any]:
    """The pullbacks, each of which raises FloatingPointError where its gradient is not finite."""
    caller, shapes = _caller(), _shapes(operands)

    def check(place: int, pullback: Callable[..., Array]) -> Callable[..., Array]:
        def looking(g: Array) -> Array:
            gradient = pullback(g)
            if not _finite(gradient):
                raise FloatingPointError(
                    f"the gradient of {name} of {shapes} in its operand {place} is "
                    f"{_bad(gradient)}{_already([g])}; it was called in {caller}."
                )
            return gradient

        return looking

    return [one and check(place, one) for place, one in enumerate(pullbacks)]


def _finite(array: Any) -> bool:
    return bool(xp.isfinite(array).all())


def _bad(array: Array) -> str:
    kinds = {"NaN": xp.isnan(array), "inf": xp.isinf(array)}
    return " and ".join(f"{int(at.sum())} x {kind}" for kind, at in kinds.items() if at.any())


def _already(arrays: Sequence[Any]) -> str:
    given = any(not _finite(one) for one in arrays if hasattr(one, "dtype"))
    return ", from what was not finite before" if given else ""


def _shapes(operands: Sequence[Any]) -> str:
    return ", ".join(str(one.shape) if hasattr(one, "shape") else repr(one) for one in operands)


def _caller() -> str:
    """The innermost line outside of minigrad."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}, {frame.f_code.co_name}"
