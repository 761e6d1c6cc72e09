"""Sums over all coordinates, and the numbers that an update makes of them."""

from collections.abc import Callable
from typing import Any

from minigrad.arena import Parameters
from minigrad.backend import Array, current
from optim.engine.signature import signature_of
from optim.engine.state import State
from optim.engine.threads import summed_length


class Sums:
    """The sum of a function over pieces of the arrays that it names; see Optimizer.sum_over."""

    def __init__(self, state: State, params: Parameters):
        self._state, self._length = state, summed_length(params)
        self._pieces: dict[tuple[str, ...], list[list[Array]]] = {}  # by the names of arrays

    def __call__(self, function: Callable[..., Array]) -> Any:
        names = signature_of(function).positional
        if names not in self._pieces:
            blocks = self._state.blocks(names, self._length)
            self._pieces[names] = [[views[n] for n in names] for _, views in blocks]
        sums = [function(*arrays) for arrays in self._pieces[names]]
        if current().on_host:
            return float(sum(map(float, sums)))
        return sum(sums[1:], sums[0].astype("float64", copy=False))


def as_given(rule: Any, name: str, value: Any) -> Any:
    """A number as passes take it: a float, or on a device a 0-d array of float64.

    Raises TypeError for a name that the rule does not list in `given`.
    """
    if name not in rule.given:
        raise TypeError(
            f"the update of {rule.__name__} gives {name}, which is not in `given`; list it there, "
            f"as in given = ({name!r},)."
        )
    if hasattr(value, "ndim"):
        if not current().on_host:
            return value.astype("float64", copy=False)
        value = float(value)
    if value != value:
        raise FloatingPointError(f"{name} is NaN")
    return value
