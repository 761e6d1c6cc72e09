"""State of an optimizer: arrays, cut into what its passes see, and numbers."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from minigrad.arena import Parameters
from minigrad.backend import Array, xp

Start = Callable[[Array], dict[str, Any]]
Block = tuple[slice, dict[str, Array]]  # coordinates, and the arrays' views of these


class State:
    """Arrays of zeros, or what `start` gives, by name; numbers are 0-d arrays of float64.

    Every array is flat. One of a flat rule has one value per coordinate, or rows of these. One of
    a rule that sees whole tensors has for each tensor an array of any shape, end to end.
    """

    def __init__(
        self,
        params: Parameters,
        names: Iterable[str],
        start: Start,
        per_tensor: bool = False,
        more: bool = False,  # whether start may give names that no pass takes
    ):
        self.params, self.names = params, list(names)
        self.fresh = True  # whether it is still what `start` gave
        self._tensors = [(xp.atleast_1d(t.data), xp.atleast_1d(t._grad)) for t in params if t.size]
        named = [name for name, t in params.items() if t.size] if per_tensor else []
        self._pieces = {name: p for name, (p, _) in zip(named, self._tensors, strict=False)}
        given = self._started(start)
        if more:
            self.names = list(dict.fromkeys((*self.names, *given[0])))
        if unknown := sorted(given[0].keys() - set(self.names)):
            raise TypeError(
                f"start gives {unknown}, but the state that the passes take is {self.names}."
            )
        self.given = given[0].keys()
        self.beside: dict[str, Array] = {}  # flat arrays that are no state
        self.on_device: set[str] = set()  # numbers that lie there
        self.begun: deque[bool] = deque(maxlen=1)  # holds True from a step's first write to its end
        self.numbers = {name for name, value in given[0].items() if _is_number(value)}
        self.arrays: dict[str, Array] = {}
        self._views: dict[str, list[Array]] = {}
        for name in self.names:
            if name in self.numbers:
                self.arrays[name] = np.array(float(given[0][name]))
            elif per_tensor:
                self._lay_out(name, [one.get(name) for one in given] if self._pieces else [])
            else:
                value = given[0].get(name)
                rows = () if value is None else value.shape[:-1]
                self.arrays[name] = array = xp.zeros((*rows, params.size), params.dtype)
                if value is not None:
                    array[...] = value

    def _started(self, start: Start) -> list[dict[str, Any]]:
        """What `start` gives of the parameters as they are, or of one tensor after the other."""
        self._seen = self.params.changes
        pieces = self._pieces or {"all parameters": self.params.gathered()}
        return [_started(start, name, p) for name, p in pieces.items()]

    def follow(self, start: Start) -> None:
        """Take what `start` gives again, where it is fresh and the parameters were set since."""
        if not self.fresh or self._seen == self.params.changes or self.params.are_shown:
            return
        given = self._started(start)
        for name, value in given[0].items():
            if name in self.numbers:
                self.set_number(name, float(value))
            elif name not in self._views:
                self.arrays[name][...] = value
        for name, views in self._views.items():
            for view, one in zip(views, given, strict=False):
                if name in one:  # not each tensor has each array
                    view[...] = one[name]

    def settle(self, fresh: bool) -> None:
        """Take the state for that of the parameters as they are; a fresh one follows them still."""
        self.fresh, self._seen = fresh, self.params.changes

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Those of the tensors that have values, as passes see them."""
        return [p.shape for p, _ in self._tensors]

    def move_to_device(self, names: Iterable[str]) -> None:
        """Let the numbers of these names lie on the device from now on."""
        self.on_device = self.numbers.intersection(names)
        for name in self.on_device:
            self.load_number(name, self.arrays[name])

    def load_number(self, name: str, value: Any) -> None:
        """Take a number, or an array of one value per coordinate, from the host."""
        there = value.ndim or name in self.on_device
        self.arrays[name] = (xp if there else np).array(value, "float64")

    def set_number(self, name: str, value: Any) -> None:
        """Keep a number: in the array that it has, but in one of its own where it becomes one value
        per coordinate, and as it is where it lies on a device."""
        held = self.arrays[name]
        if isinstance(value, float) and not held.ndim:
            held.fill(value)
        elif isinstance(value, float | np.ndarray) and held.shape == np.shape(value):
            held[...] = value
        else:
            self.arrays[name] = np.array(value) if isinstance(value, float) else value

    def blocks(self, names: Iterable[str], length: int) -> Iterator[Block]:
        """Views of at most `length` coordinates of the arrays, none across two spans."""
        names = [name for name in names if name not in self.numbers]
        offset = 0
        for span in self.params.spans:
            for start in range(span.start, span.stop, length):
                stop = min(start + length, span.stop)
                here = slice(offset, offset + stop - start)
                known = {"p": span.arena.data, "g": span.arena.grad}
                held = self.arrays | self.beside
                yield (
                    here,
                    {n: known[n][start:stop] if n in known else held[n][..., here] for n in names},
                )
                offset = here.stop

    def tensors(self, names: Iterable[str]) -> Iterator[Block]:
        """The arrays of one tensor after the other; a scalar is seen as a vector of one value."""
        names = [name for name in names if name not in self.numbers]
        offset = 0
        for i, (p, g) in enumerate(self._tensors):
            known = {"p": p, "g": g}
            here = slice(offset, offset + p.size)
            yield here, {n: known[n] if n in known else self._views[n][i] for n in names}
            offset = here.stop

    def _lay_out(self, name: str, given: list[Any]) -> None:
        """One flat array of those of all tensors, and the views of it."""
        values = [
            xp.zeros_like(p) if value is None else value
            for value, (p, _) in zip(given, self._tensors, strict=True)
        ]
        ends = [0]
        for value in values:
            ends.append(ends[-1] + value.size)
        flat = xp.zeros(ends[-1], self.params.dtype)
        self.arrays[name], self._views[name] = flat, []
        for value, (low, high) in zip(values, pairwise(ends), strict=True):
            view = flat[low:high].reshape(value.shape)
            view[...] = value
            self._views[name].append(view)


def _started(start: Start, name: str, p: Array) -> dict[str, Any]:
    try:
        return start(p)
    except MemoryError as error:
        raise MemoryError(f"the state of {name} does not fit in memory: {error}.") from error


def _is_number(value: Any) -> bool:
    return not getattr(value, "ndim", 0)
