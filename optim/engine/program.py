"""What a kernel does, as two lists: what is done among numbers, and what is done on arrays."""

import linecache
from collections.abc import Collection, Iterable
from itertools import count
from typing import NamedTuple


class Value:
    """What an entry reads or writes: an argument of the kernel by its name, or a result.

    A number that changes becomes another Value; an array is changed in place. What a comparison
    gives is a flag.
    """

    __slots__ = ("is_array", "is_flag", "name")

    def __init__(self, name: str | None, is_array: bool, is_flag: bool = False):
        self.name, self.is_array, self.is_flag = name, is_array, is_flag


class Entry(NamedTuple):
    """out = function(*inputs), where an input is a Value or a literal; `where` is its line."""

    function: str
    inputs: tuple[Value | float, ...]
    out: Value
    where: tuple[str, int]

    @property
    def line(self) -> str:
        """The line of the kernel that asked for it."""
        file, number = self.where
        return linecache.getline(file, number).strip() or f"{file}:{number}"


class Program:
    """The two lists of a kernel, and the names that its arguments have in them."""

    def __init__(
        self,
        name: str,
        arrays: dict[str, Value],
        numbers: dict[str, Value],
        state: Iterable[str] = (),
    ):
        self.name, self.arrays, self.numbers = name, arrays, numbers
        self.state = set(state)  # the names of those numbers that continue from step to step
        self.hoisted: list[Entry] = []
        self.loop: list[Entry] = []
        self.changed: dict[str, Value] = {}  # numbers of the state, as the kernel leaves them

    @property
    def met(self) -> list[Value]:
        """The numbers that the loop reads, in the order in which it meets them."""
        read = (x for entry in self.loop for x in entry.inputs if isinstance(x, Value))
        return list(dict.fromkeys(x for x in read if not x.is_array))

    @property
    def written(self) -> list[str]:
        """The names of the arrays that the loop writes."""
        outs = {entry.out for entry in self.loop}
        return [name for name, value in self.arrays.items() if value in outs]

    @property
    def used(self) -> set[str]:
        """The names of all arguments that have a part in it."""
        every = [*self.hoisted, *self.loop]
        values = {x for e in every for x in (*e.inputs, e.out) if isinstance(x, Value)}
        return {x.name for x in (*values, *self.changed.values()) if x.name}

    @property
    def functions(self) -> set[str]:
        """The functions that the loop calls."""
        return {entry.function for entry in self.loop}

    def come_of(self, names: Collection[str]) -> set[Value]:
        """The numbers of these names, and all that come of them."""
        found = {value for name, value in self.numbers.items() if name in names}
        for entry in self.hoisted:
            if found.intersection(x for x in entry.inputs if isinstance(x, Value)):
                found.add(entry.out)
        return found

    def names(self) -> dict[Value, str]:
        """Every Value by its own name, or as a result by its place: t1, t2, ..."""
        found = {v: str(v.name) for v in (*self.arrays.values(), *self.numbers.values())}
        results = count(1)
        for entry in (*self.hoisted, *self.loop):
            if entry.out not in found:
                found[entry.out] = f"t{next(results)}"
        return found

    def __str__(self) -> str:
        names = self.names()
        lines = [
            f"{names[e.out]} = {e.function}"
            f"({', '.join(names[x] if isinstance(x, Value) else str(x) for x in e.inputs)})"
            for e in (*self.hoisted, *self.loop)
        ]
        return "\n".join((*lines, *(f"{name} = {names[v]}" for name, v in self.changed.items())))


def places(name: str, parts: int) -> list[str]:
    """What a scalar consists of: "lr" of one number, "betas[0]" and "betas[1]" of two."""
    return [f"{name}[{i}]" for i in range(parts)] if parts else [name]
