"""State arrays of an optimizer, all arrays cut into the pieces that its passes see, and the check
of a state that was saved."""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise, zip_longest
from typing import Any

from minigrad.arena import Parameters, check_like
from minigrad.backend import Array, xp

Start = Callable[[Array], dict[str, Any]]
Block = tuple[slice, list[Array]]  # (coordinates, views of the arrays asked for)
Pieces = Iterator[Block]


class FlatState:
    """One value per coordinate, rows of these, or a single number, for each name."""

    def __init__(self, params: Parameters, names: Iterable[str], start: Start):
        self.params = params
        p = params.gathered()
        names = list(names)
        given = _known(start(p), names)
        self.arrays = {}
        for name in names:
            value = given.get(name, 0)
            if getattr(value, "ndim", None) == 0:
                self.arrays[name] = xp.array(value, dtype=p.dtype)
            else:
                rows = getattr(value, "shape", (0,))[:-1]
                self.arrays[name] = array = xp.zeros((*rows, p.size), p.dtype)
                array[...] = value

    def pieces(self, names: Iterable[str], length: int) -> Pieces:
        """Views of at most `length` coordinates, none across two spans.

        Names of single numbers alone are one piece.
        """
        if all(name in self.arrays and not self.arrays[name].ndim for name in names):
            yield slice(0, 0), [self.arrays[name] for name in names]
            return
        offset = 0
        for span in self.params.spans:
            for start in range(span.start, span.stop, length):
                stop = min(start + length, span.stop)
                here = slice(offset, offset + stop - start)
                known = {"p": span.arena.data, "g": span.arena.grad}
                yield (
                    here,
                    [
                        known[name][start:stop]
                        if name in known
                        else self.arrays[name][(..., here) if self.arrays[name].ndim else ...]
                        for name in names
                    ],
                )
                offset = here.stop


class ShapedState:
    """An array of any shape per tensor for each name, end to end in one flat array per name.

    Passes see a scalar as a vector of one value, and no tensor without values.
    """

    def __init__(self, params: Parameters, names: Iterable[str], start: Start):
        self._tensors = [(xp.atleast_1d(t.data), xp.atleast_1d(t._grad)) for t in params if t.size]
        names = list(names)
        given = [_known(start(p), names) for p, _ in self._tensors]
        self.arrays = {}
        self._views: dict[str, list[Array]] = {}
        for name in names:
            values = [
                _like(one.get(name, 0), p) for one, (p, _) in zip(given, self._tensors, strict=True)
            ]
            ends = [0]
            for value in values:
                ends.append(ends[-1] + value.size)
            flat = xp.zeros(ends[-1], params.dtype)
            self.arrays[name] = flat
            self._views[name] = []
            for value, (low, high) in zip(values, pairwise(ends), strict=True):
                view = flat[low:high].reshape(value.shape)
                view[...] = value
                self._views[name].append(view)

    def pieces(self, names: Iterable[str], length: int) -> Pieces:
        """Whole tensors, whatever the length."""
        offset = 0
        for i, (p, g) in enumerate(self._tensors):
            known = {"p": p, "g": g}
            here = slice(offset, offset + p.size)
            yield here, [known[n] if n in known else self._views[n][i] for n in names]
            offset = here.stop


def check_saved(saved: dict[str, Any], rule: str, parts: tuple[str, ...], live: Any) -> None:
    """Raise ValueError unless a state is one of that rule, whole, with arrays like the live."""
    if missing := [part for part in parts if part not in saved]:
        raise ValueError(f"the state of {rule} lacks {missing}; load one that state_dict() gave.")
    if saved["rule"] != rule:
        raise ValueError(
            f"the state is one of {saved['rule']}, not of {rule}; build what was saved."
        )
    state = saved.get("state", {})
    lacks, extra = sorted(set(live) - set(state)), sorted(set(state) - set(live))
    if lacks or extra:
        raise ValueError(f"the saved state of {rule} lacks {lacks} and has {extra} too many.")
    for name, array in live.items():
        check_like(state[name], array, f"state {name!r} of {rule}")


def check_shapes(saved: dict[str, Any], params: Parameters) -> None:
    """Raise ValueError unless the names and shapes are those of the parameters, in their order."""
    live = [(name, tensor.shape) for name, tensor in params.items()]
    given = [(name, tuple(shape)) for name, shape in saved.items()]
    for one, other in zip_longest(live, given):
        if one != other:
            raise ValueError(
                f"parameter {one} comes where the saved state has {other}; build the optimizer "
                "with the same parameters in the same order."
            )


def _known(given: dict[str, Any], names: list[str]) -> dict[str, Any]:
    if unknown := sorted(given.keys() - names):
        raise TypeError(f"start gives {unknown}, but the state that the passes take is {names}.")
    return given


def _like(value: Any, p: Array) -> Array:
    return value if hasattr(value, "ndim") else xp.full(p.shape, value, p.dtype)
