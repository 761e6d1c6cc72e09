"""A traced loop as one CUDA kernel, whose text CuPy compiles; the text needs no CuPy.

The bits are NumPy's, but for what no compiler here can promise: CuPy has float32 numbers below the
smallest normal one taken for zero, and a device has powers, exp, log and tanh of its own.
"""

import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from minigrad.backend import xp
from optim.engine.hoist import Hoisted, shape_of
from optim.engine.printing import Names, identifiers, statements
from optim.engine.state import Block
from optim.engine.trace import Entry, Program, Value

OPTIONS = ("--fmad=false",)  # products are rounded before they are added

C_TYPES = {"float32": "float", "float64": "double"}

# What the printed text calls beside sqrt, exp, log and tanh, as comparisons: zeros of either sign,
# infinities and NaN come out as NumPy's
FUNCTIONS = {
    "inf": "#define inf (T(1) / T(0))",
    "nan": "#define nan (T(0) / T(0))",
    "negative": "T negative(T x) { return -x; }",
    "absolute": "T absolute(T x) { return fabs(x); }",
    "square": "T square(T x) { return x * x; }",
    "reciprocal": "T reciprocal(T x) { return T(1) / x; }",
    "sign": ("T sign(T x) { return x > T(0) ? T(1) : x < T(0) ? T(-1) : x == T(0) ? T(0) : x; }"),
    "maximum": "T maximum(T x, T y) { return x > y || x != x ? x : y; }",
    "minimum": "T minimum(T x, T y) { return x < y || x != x ? x : y; }",
    "where": "T where(bool c, T x, T y) { return c ? x : y; }",
    "logical_and": "bool logical_and(bool x, bool y) { return x && y; }",
    "logical_or": "bool logical_or(bool x, bool y) { return x || y; }",
    "logical_not": "bool logical_not(bool x) { return !x; }",
    "power": "T power(T x, T y) { return pow(x, y); }",
}


class Kernel(NamedTuple):
    """What cupy.ElementwiseKernel takes. T is the dtype of the arena; among numbers, float64.

    An array that is written is an out parameter alone, also where it is read.
    """

    in_params: str
    out_params: str
    operation: str
    name: str
    preamble: str

    def __str__(self) -> str:
        """A function of C++ that does it for one coordinate, but for what T is."""
        read = [f"const {p}" for p in self.in_params.split(", ") if p]
        written = [p.replace(" ", " &") for p in self.out_params.split(", ")]
        body = "".join(f"    {line}\n" for line in self.operation.splitlines())
        operands = ", ".join([*read, *written]).replace("float64", "double")
        return f"{self.preamble}\n__device__ void {self.name}({operands}) {{\n{body}}}\n".lstrip()

    def made(self, **options: Any) -> Any:
        """As CuPy's, which compiles it when it is called for the first time."""
        return xp.ElementwiseKernel(
            self.in_params,
            self.out_params,
            self.operation,
            self.name,
            preamble=self.preamble,
            options=OPTIONS,
            **options,
        )


class Cuda:
    """A launch over each span of the arena; `shapes` are those of the numbers that the loop meets:
    (n,) for one per coordinate, None for one that lies on the device."""

    def __init__(
        self,
        program: Program,
        blocks: list[Block],
        shapes: list[tuple[int, ...] | None],
        dtype: Any,
        threads: int,
    ):
        there = {v for v, shape in zip(program.met, shapes, strict=True) if shape is None}
        self._kernel = loop_kernel(program, there).made(no_return=True)
        self._spread, self._dtype = [i for i, shape in enumerate(shapes) if shape], dtype
        read, written = operands(program)
        self._blocks = [
            (here, [views[name] for name in read], [views[name] for name in written])
            for here, views in blocks
        ]

    def __call__(self, numbers: list[Any]) -> None:
        """Launch, with these numbers."""
        for i in self._spread:
            numbers[i] = numbers[i].astype(self._dtype, copy=False)
        given = numbers
        for here, read, written in self._blocks:
            if self._spread:
                given = [x[here] if i in self._spread else x for i, x in enumerate(numbers)]
            self._kernel(*read, *given, *written)


class Arithmetic:
    """The numbers of a program, of which some may lie on the device: what comes of these is
    computed there, in one launch, and nobody waits for it."""

    def __init__(self, program: Program):
        self._program, self._hoisted = program, Hoisted(program)
        self._numbers: dict[tuple[str, ...], _Numbers] = {}  # by which of them lie there

    def __call__(self, arguments: list[Any]) -> list[Any]:
        """As those of Hoisted."""
        shapes = [shape_of(x) for x in arguments]
        if any(shapes):  # one value per coordinate
            return self._hoisted.one_by_one(arguments)
        names = zip(self._hoisted.arguments, shapes, strict=True)
        there = tuple([name for name, shape in names if shape is None])
        if not there:
            return self._hoisted(arguments)
        if there not in self._numbers:
            self._numbers[there] = _Numbers(self._program, there)
        return self._numbers[there](
            dict(zip(self._hoisted.arguments.values(), arguments, strict=True))
        )


class _Numbers:
    """Those of a program where the numbers of these names lie on the device."""

    def __init__(self, program: Program, names: Collection[str]):
        there = program.come_of(names)
        self._hoisted = Hoisted(program, there)
        self._results = (*program.met, *program.changed.values())
        self._read, self._made = read_and_made(program, there)
        self._kernel = (
            numbers_kernel(program, there).made(return_tuple=True) if self._made else None
        )

    def __call__(self, known: dict[Value, Any]) -> list[Any]:
        results = self._hoisted([known[value] for value in self._hoisted.arguments.values()])
        known.update(zip(self._hoisted.results, results, strict=True))
        if self._kernel:
            made = self._kernel(*[known[value] for value in self._read])
            known.update(zip(self._made, made, strict=True))
        return [known[value] for value in self._results]


def operands(program: Program) -> tuple[list[str], list[str]]:
    """The names of the arrays that a loop only reads, and of those that it writes."""
    used, written = program.used, program.written
    return [n for n in program.arrays if n in used and n not in written], written


def loop_kernel(program: Program, there: Collection[Value] = ()) -> Kernel:
    """The loop, for one coordinate; of the numbers it meets, those `there` lie on the device."""
    read, written = operands(program)
    arrays = {name: program.arrays[name] for name in (*read, *written)}
    names = identifiers([*arrays.values(), *program.met, *(entry.out for entry in program.loop)])
    ins, before, after = [f"T {names[arrays[name]]}" for name in read], [], []
    for value in program.met:
        name = names[value]
        ins.append(f"float64 at_{name}" if value in there else f"T {name}")
        if value in there:
            before.append(f"T {name} = T(at_{name});")
    for name in [names[arrays[name]] for name in written]:
        before.append(f"T {name} = at_{name};")
        after.append(f"at_{name} = {name};")
    outs = [f"T at_{names[arrays[name]]}" for name in written]
    body = declared(program.loop, names, {*arrays.values()})
    return _kernel(program.name, ins, outs, [*before, *body, *after])


def numbers_kernel(program: Program, there: Collection[Value]) -> Kernel:
    """The arithmetic among numbers that gives those `there`, which lie on the device."""
    read, made = read_and_made(program, there)
    entries = [entry for entry in program.hoisted if entry.out in there]
    names = identifiers([*read, *(entry.out for entry in entries)])
    body = [*declared(entries, names, ()), *(f"at_{names[v]} = {names[v]};" for v in made)]
    ins, outs = [f"T {names[v]}" for v in read], [f"T at_{names[v]}" for v in made]
    return _kernel(f"numbers of {program.name}", ins, outs, body)


def read_and_made(program: Program, there: Collection[Value]) -> tuple[list[Value], list[Value]]:
    """What the arithmetic of those `there` reads, and what it gives to the loop and the state."""
    entries = [entry for entry in program.hoisted if entry.out in there]
    outs = {entry.out for entry in entries}
    read = dict.fromkeys(x for e in entries for x in e.inputs if isinstance(x, Value))
    wanted = dict.fromkeys((*program.met, *program.changed.values()))
    return [v for v in read if v not in outs], [v for v in wanted if v in outs]


def declared(entries: Iterable[Entry], names: Names, known: Collection[Value]) -> list[str]:
    """The entries as statements of C++, each of which declares what it gives, if it is unknown."""
    lines, seen = [], set(known)
    for value, expression in statements(entries, names, "T({})"):
        kind = "" if value in seen else "bool " if value.is_flag else "T "
        lines.append(f"{kind}{names[value]} = {expression};")
        seen.add(value)
    return lines


def _kernel(name: str, ins: list[str], outs: list[str], lines: list[str]) -> Kernel:
    operation = "\n".join(lines)
    called = set(re.findall(r"\b[a-z_]+\b", operation))
    preamble = [
        text if text[0] == "#" else f"__device__ inline {text}"
        for function, text in FUNCTIONS.items()
        if function in called
    ]
    return Kernel(
        ", ".join(ins),
        ", ".join(outs),
        operation,
        "x_" + re.sub(r"\W+", "_", name, flags=re.ASCII),
        "\n".join(preamble),
    )


def kernel_text(program: Program, dtype: Any, from_sums: Collection[str] = ()) -> str:
    """What a device does of a pass, in C++, where the numbers of these names come from sums."""
    there = program.come_of(from_sums)
    parts = []
    if read_and_made(program, there)[1]:
        parts.append(f"typedef double T;\n{numbers_kernel(program, there)}")
    if program.loop:
        parts.append(f"typedef {C_TYPES[str(dtype)]} T;\n{loop_kernel(program, there)}")
    return "\n".join(parts)
