"""A traced loop as one CUDA kernel, whose text CuPy compiles; to print it takes no CuPy.

The bits are NumPy's, with two exceptions. A device has a power, exp, log and tanh of its own. And
CuPy compiles with -ftz=true, which takes float32 numbers below the smallest normal one for zero.
"""

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from minigrad.backend import xp
from optim.engine.hoist import Hoisted, shape_of
from optim.engine.printing import Names, identifiers, statements
from optim.engine.program import Entry, Program, Value
from optim.engine.state import Block

OPTIONS = ("--fmad=false",)  # a product is rounded before it is added
C_TYPES = {"float32": "float", "float64": "double"}

# What the text calls beside sqrt, exp, log and tanh. These are comparisons, so that zeros of either
# sign, infinities and NaN come out as NumPy's
FUNCTIONS = {
    "inf": "#define inf (T(1) / T(0))",
    "nan": "#define nan (T(0) / T(0))",
    "negative": "T negative(T x) { return -x; }",
    "absolute": "T absolute(T x) { return fabs(x); }",
    "square": "T square(T x) { return x * x; }",
    "reciprocal": "T reciprocal(T x) { return T(1) / x; }",
    "sign": "T sign(T x) { return x > T(0) ? T(1) : x < T(0) ? T(-1) : x == T(0) ? T(0) : x; }",
    "maximum": "T maximum(T x, T y) { return x > y || x != x ? x : y; }",
    "minimum": "T minimum(T x, T y) { return x < y || x != x ? x : y; }",
    "where": "T where(bool c, T x, T y) { return c ? x : y; }",
    "logical_and": "bool logical_and(bool x, bool y) { return x && y; }",
    "logical_or": "bool logical_or(bool x, bool y) { return x || y; }",
    "logical_not": "bool logical_not(bool x) { return !x; }",
    "power": "T power(T x, T y) { return pow(x, y); }",
}


class Cuda:
    """A launch over each span of the arena.

    `shapes` are those of the numbers that the loop meets: () of a Python number, (n,) of one per
    coordinate, None of one that lies on the device.
    """

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

    def __call__(self, numbers: list[Any], begin: Callable[[bool], None]) -> None:
        """Launch, with these numbers, after begin(True)."""
        begin(True)
        for i in self._spread:
            numbers[i] = numbers[i].astype(self._dtype, copy=False)
        given = numbers
        for here, read, written in self._blocks:
            if self._spread:
                given = [x[here] if i in self._spread else x for i, x in enumerate(numbers)]
            self._kernel(*read, *given, *written)


class Arithmetic:
    """The arithmetic among the numbers of a program, where some of them may lie on the device.

    What comes of these is computed there, in one launch, and nobody waits for it.
    """

    def __init__(self, program: Program):
        self._program, self._hoisted = program, Hoisted(program)
        self._split: dict[tuple[str, ...], _Split] = {}  # by the names of those that lie there

    def __call__(self, arguments: list[Any]) -> list[Any]:
        """The results for these arguments, as those of Hoisted."""
        shapes = list(map(shape_of, arguments))
        if any(shapes):
            return self._hoisted.one_by_one(arguments)
        names = zip(self._hoisted.arguments, shapes, strict=True)
        there = tuple([name for name, shape in names if shape is None])
        if not there:
            return self._hoisted(arguments)
        if there not in self._split:
            self._split[there] = _Split(self._program, there)
        values = self._hoisted.arguments.values()
        return self._split[there](dict(zip(values, arguments, strict=True)))


class _Split:
    """The arithmetic of a program in two parts: one of the host, and what comes of the numbers of
    these names, which lie on the device."""

    def __init__(self, program: Program, names: Collection[str]):
        there = program.come_of(names)
        self._hoisted = Hoisted(program, there)
        self._results = (*program.met, *program.changed.values())
        self._read, self._made = read_and_made(program, there)
        if self._made:
            self._kernel = numbers_kernel(program, there).made(return_tuple=True)

    def __call__(self, known: dict[Value, Any]) -> list[Any]:
        """The results, from the arguments."""
        of_host = self._hoisted([known[value] for value in self._hoisted.arguments.values()])
        known.update(zip(self._hoisted.results, of_host, strict=True))
        if self._made:
            made = self._kernel(*[known[value] for value in self._read])
            known.update(zip(self._made, made, strict=True))
        return [known[value] for value in self._results]


class Kernel(NamedTuple):
    """What cupy.ElementwiseKernel takes; T is the dtype of the arena, and float64 among numbers.

    Arrays and numbers of the host are of T; a number that lies on the device is of float64. An
    array that is written is an out parameter only, also where it is read.
    """

    in_params: str
    out_params: str
    operation: str
    name: str
    preamble: str

    def made(self, **options: Any) -> Any:
        """CuPy's kernel, which compiles when it is first called."""
        preamble = {"preamble": self.preamble, "options": OPTIONS}
        return xp.ElementwiseKernel(*self[:4], **preamble, **options)

    def __str__(self) -> str:
        """As a function of C++, of one coordinate."""
        read = [f"const {p}" for p in self.in_params.split(", ") if p]
        written = [p.replace(" ", " &") for p in self.out_params.split(", ")]
        parameters = ", ".join([*read, *written]).replace("float64", "double")
        body = "".join(f"    {line}\n" for line in self.operation.splitlines())
        return f"{self.preamble}\n__device__ void {self.name}({parameters}) {{\n{body}}}\n".lstrip()


def loop_kernel(program: Program, there: Collection[Value] = ()) -> Kernel:
    """The loop, as what is done for a coordinate; of the numbers, those `there` lie on the device.

    An array that is written is kept in a register in between.
    """
    read, written = ([program.arrays[name] for name in names] for names in operands(program))
    met = program.met
    names = identifiers([*read, *written, *met, *(entry.out for entry in program.loop)])
    ins = [f"T {names[v]}" for v in read]
    ins += [f"float64 at_{names[v]}" if v in there else f"T {names[v]}" for v in met]
    lines = [f"T {names[v]} = T(at_{names[v]});" for v in met if v in there]
    lines += [f"T {names[v]} = at_{names[v]};" for v in written]
    lines += declared(program.loop, names, written)
    return _kernel(program.name, ins, names, lines, written)


def numbers_kernel(program: Program, there: Collection[Value]) -> Kernel:
    """The arithmetic that gives the numbers `there`, which lie on the device."""
    read, made = read_and_made(program, there)
    entries = [entry for entry in program.hoisted if entry.out in there]
    names = identifiers([*read, *(entry.out for entry in entries)])
    ins, lines = [f"T {names[v]}" for v in read], declared(entries, names)
    return _kernel(f"numbers of {program.name}", ins, names, lines, made)


def operands(program: Program) -> tuple[list[str], list[str]]:
    """The names of the arrays that a loop only reads, and of those that it writes."""
    used, written = program.used, program.written
    return [n for n in program.arrays if n in used and n not in written], written


def read_and_made(program: Program, there: Collection[Value]) -> tuple[list[Value], list[Value]]:
    """What the arithmetic of those `there` reads, and what it gives to the loop and the state."""
    entries = [entry for entry in program.hoisted if entry.out in there]
    outs = {entry.out for entry in entries}
    read = dict.fromkeys(x for e in entries for x in e.inputs if isinstance(x, Value))
    wanted = dict.fromkeys((*program.met, *program.changed.values()))
    return [v for v in read if v not in outs], [v for v in wanted if v in outs]


def declared(entries: Iterable[Entry], names: Names, known: Iterable[Value] = ()) -> list[str]:
    """The entries as statements, which declare what they give where it is not known before."""
    lines, seen = [], set(known)
    for value, expression in statements(entries, names, "T({})"):
        kind = "" if value in seen else "bool " if value.is_flag else "T "
        lines.append(f"{kind}{names[value]} = {expression};")
        seen.add(value)
    return lines


def _kernel(
    name: str, ins: list[str], names: Names, lines: list[str], written: list[Value]
) -> Kernel:
    """A kernel of these lines, after which it writes these values."""
    outs = [f"T at_{names[v]}" for v in written]
    operation = "\n".join([*lines, *(f"at_{names[v]} = {names[v]};" for v in written)])
    called = set(re.findall(r"[a-z_]+", operation))
    preamble = [
        text if text.startswith("#") else f"__device__ inline {text}"
        for function, text in FUNCTIONS.items()
        if function in called
    ]
    name = "x_" + re.sub(r"\W+", "_", name, flags=re.ASCII)
    return Kernel(", ".join(ins), ", ".join(outs), operation, name, "\n".join(preamble))


def kernel_text(program: Program, dtype: Any, from_sums: Collection[str] = ()) -> str:
    """What a device does of a pass, in C++, where the numbers of these names come from sums."""
    there = program.come_of(from_sums)
    parts = []
    if read_and_made(program, there)[1]:
        parts.append(f"// T is double\n{numbers_kernel(program, there)}")
    if program.loop:
        parts.append(f"// T is {C_TYPES[str(dtype)]}\n{loop_kernel(program, there)}")
    return "\n".join(parts)
