"""The text of a whole run, in the parts that a loop over time and coordinates is made of.

Python and C++ share it, but for how an element of an array is written, and for declarations.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from optim.engine.printing import identifiers, statements
from optim.engine.program import Entry, Value
from optim.engine.whole import Timed

At = Callable[[str, str], str]  # an element: of which array, and by "i", "k" or "ki"


class Line(NamedTuple):
    """target = expression, of a type: "double" among numbers, else "T" or "bool"."""

    target: str
    expression: str
    type: str

    def __str__(self) -> str:
        return f"{self.target} = {self.expression}"


class Run(NamedTuple):
    """What is done before the run, in each step, for each coordinate of it, and at its end.

    Arrays of the state are a0, a1, ..., given numbers v0, v1, ...; `kept` are the numbers of the
    state after a step, none of which may see that another has changed.
    """

    arrays: list[str]  # their names
    before: list[Line]
    load: list[Line]
    step: list[Line]
    coordinate: list[Line]
    store: list[Line]
    kept: list[Line]
    after: list[Line]


def run_of(cut: Timed, at: At, shared: bool, metric: bool, literal: str = "{}") -> Run:
    """The parts of a run; `shared` says that all coordinates have the same gradient, `literal` how
    one reads among numbers."""
    program = cut.program
    arrays = {n: v for n, v in program.arrays.items() if n not in ("g", "metric")}
    leaves = [program.numbers[name] for name in cut.numbers]
    entries = (*cut.of_step, *cut.of_coordinate, *program.loop)
    results = (entry.out for entry in entries)
    names = identifiers([*program.arrays.values(), *leaves, *cut.given, *results])
    inner = {entry.out for entry in cut.of_coordinate} | cut.given_of("ti")
    rounded = {v: f"r{i}" for i, v in enumerate(program.met)}  # as the loop meets numbers

    def of_kind(kind: str) -> list[Line]:
        every = enumerate(zip(cut.given, cut.kinds, strict=True))
        indices = {"": "", "t": "k", "ti": "ki"}[kind]
        return [
            Line(names[v], at(f"v{i}", indices) if indices else f"v{i}", "double")
            for i, (v, one) in every
            if one == kind
        ]

    def among_numbers(some: Iterable[Entry]) -> list[Line]:
        printed = statements(some, names, literal)
        return [Line(names[out], x, _type(out, "double")) for out, x in printed]

    def rounding(coordinate: bool) -> list[Line]:
        return [
            Line(r, f"T({names[v]})", "T") for v, r in rounded.items() if (v in inner) == coordinate
        ]

    loop_names = names | rounded
    known = set(program.arrays.values())
    loop = []
    for out, x in statements(program.loop, loop_names, "T({})"):
        loop.append(Line(loop_names[out], x, "" if out in known else _type(out, "T")))
        known.add(out)
    g = program.arrays.get("g")
    seen = [Line(names[g], at("gradients", "k" if shared else "ki"), "T")] if g else []
    seen.append(Line(at("played", "ki"), names[program.arrays["p"]], ""))
    if metric:
        loop.append(Line(at("metrics", "ki"), names[program.arrays["metric"]], ""))
        seen.append(Line(names[program.arrays["metric"]], "T(0)", "T"))
    written = set(program.written)
    pairs = list(enumerate(arrays.items()))
    return Run(
        list(arrays),
        [*(Line(names[v], f"numbers[{i}]", "double") for i, v in enumerate(leaves)), *of_kind("")],
        [Line(names[v], at(f"a{i}", "i"), "T") for i, (_, v) in pairs],
        [*of_kind("t"), *among_numbers(cut.of_step), *rounding(False)],
        [*seen, *of_kind("ti"), *among_numbers(cut.of_coordinate), *rounding(True), *loop],
        [Line(at(f"a{i}", "i"), names[v], "") for i, (n, v) in pairs if n in written],
        [Line(names[program.numbers[n]], names[v], "") for n, v in program.changed.items()],
        [Line(f"numbers[{i}]", names[v], "") for i, v in enumerate(leaves)],
    )


def _type(value: Value, number: str) -> str:
    return "bool" if value.is_flag else number
