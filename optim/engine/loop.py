"""A traced loop compiled by numba: one pass over memory, with the bits of NumPy.

Only --backend numba imports this. There is no fastmath, and numba forms no fused multiply-add. The
threads are the engine's own, since numba's may abort where two passes run at once.
"""

import ctypes
import ctypes.util
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial, reduce
from math import inf, nan, sqrt
from operator import or_
from threading import Timer
from typing import Any

import numba
import numpy as np

from optim.engine.over_time import run_of
from optim.engine.printing import identifiers, statements
from optim.engine.program import Program
from optim.engine.state import Block, State
from optim.engine.threads import share
from optim.engine.whole import Timed

PATIENCE = 1.0  # seconds of compiling before it is announced
FLAGS = {  # of <fenv.h>, in the order in which errors are named
    "overflow": {"x86_64": 8}.get(platform.machine(), 4),
    "divide by zero": {"x86_64": 4}.get(platform.machine(), 2),
    "invalid value": 1,
}
ALL_FLAGS = 31
RAISING = sum(FLAGS.values())

_libm = ctypes.CDLL(ctypes.util.find_library("m"))
for _function in (_libm.feclearexcept, _libm.fetestexcept):
    _function.argtypes, _function.restype = [ctypes.c_int], ctypes.c_int


class Loop:
    """A loop over the coordinates of each block; `shapes` are those of the numbers it meets."""

    def __init__(
        self,
        program: Program,
        blocks: list[Block],
        shapes: list[tuple[int, ...]],
        dtype: Any,
        threads: int,
    ):
        self._loop = compiled(program, str(dtype), tuple(map(bool, shapes)))
        self._spread = [(i, np.empty(shape, dtype)) for i, shape in enumerate(shapes) if shape]
        names = [name for name in program.arrays if name in program.used]
        self._blocks = [(here, [views[name] for name in names]) for here, views in blocks]
        self._threads = threads

    def __call__(self, numbers: list[Any], begin: Callable[[bool], None]) -> None:
        """Run over every block with these numbers, after begin(True)."""
        for i, held in self._spread:
            held[...] = numbers[i]
            numbers[i] = held
        flags = 0
        if self._threads == 1 and not self._spread:
            begin(True)
            for _, arrays in self._blocks:
                flags |= self._loop(*arrays, *numbers)
        else:
            raised: list[int] = []

            def work(block: tuple[slice, list[Any]]) -> None:
                here, arrays = block
                given = [x[here] if isinstance(x, np.ndarray) else x for x in numbers]
                raised.append(self._loop(*arrays, *given))

            share([partial(map, work)] * self._threads, self._blocks, begin)
            flags = reduce(or_, raised)
        if flags & RAISING:
            raise_flagged(flags)


def raise_flagged(flags: int) -> None:
    """Raise FloatingPointError for what a loop has flagged."""
    for name, flag in FLAGS.items():
        if flags & flag:
            raise FloatingPointError(f"{name} encountered in a compiled loop")


@cache
def compiled(program: Program, dtype: str, spread: tuple[bool, ...]) -> Any:
    """The loop as machine code; `spread` says which of the numbers are arrays."""
    arrays = [value for name, value in program.arrays.items() if name in program.used]
    names = identifiers([*arrays, *program.met, *(entry.out for entry in program.loop)])
    written = set(program.written)
    arguments = [f"a{i}" for i in range(len(arrays))] + [f"n{i}" for i in range(len(spread))]
    met = list(zip([names[v] for v in program.met], spread, strict=True))
    once = [f"{name} = T(n{i})" for i, (name, array) in enumerate(met) if not array]
    body = [f"{names[v]} = a{i}[i]" for i, v in enumerate(arrays)]
    body += [f"{name} = n{i}[i]" for i, (name, array) in enumerate(met) if array]
    body += [f"{names[out]} = {x}" for out, x in statements(program.loop, names, "T({})")]
    body += [f"a{i}[i] = {names[v]}" for i, v in enumerate(arrays) if v.name in written]
    source = "\n".join(
        [
            f"def loop({', '.join(arguments)}):",
            f"    feclearexcept({ALL_FLAGS})",
            *(f"    {line}" for line in once),
            "    for i in range(a0.size):",
            *(f"        {line}" for line in body),
            f"    return fetestexcept({ALL_FLAGS})",
        ]
    )
    kinds = [f"{dtype}[::1]"] * len(arrays)
    kinds += [f"{dtype}[::1]" if array else "float64" for array in spread]
    return compile_source(source, "loop", f"int32({', '.join(kinds)})", dtype)


def run(
    cut: Timed, state: State, gradients: Any, given: list[Any], played: Any, metrics: Any
) -> bool:
    """Play a whole run; False, with half of it done, where something overflows."""
    dtype, shared = str(played.dtype), gradients.shape[1] == 1
    text = run_of(cut, _element, shared, metrics is not None)
    [(_, views)] = state.blocks(text.arrays, state.params.size)
    numbers = np.array([state.arrays[name].item() for name in cut.numbers])
    slopes = np.ascontiguousarray(gradients[:, 0] if shared else gradients, dtype)
    measured = np.empty((0, 0), dtype) if metrics is None else metrics
    loop = compiled_run(cut, dtype, shared, metrics is not None)
    flags = loop(slopes, played, measured, numbers, *[views[n] for n in text.arrays], *given)
    for name, value in zip(cut.numbers, numbers.tolist(), strict=True):
        state.set_number(name, value)
    return not flags & RAISING


def _element(array: str, indices: str) -> str:
    return f"{array}[{', '.join(indices)}]"


@cache
def compiled_run(cut: Timed, dtype: str, shared: bool, metric: bool) -> Callable[..., int]:
    """A loop over time and coordinates as machine code."""
    text = run_of(cut, _element, shared, metric)
    arguments = [f"a{i}" for i in range(len(text.arrays))]
    arguments += [f"v{i}" for i in range(len(cut.given))]
    kept = []
    if text.kept:  # all at once
        targets, values = zip(*((line.target, line.expression) for line in text.kept), strict=True)
        kept = [f"{', '.join(targets)} = {', '.join(values)}"]
    source = "\n".join(
        [
            f"def run(gradients, played, metrics, numbers, {', '.join(arguments)}):",
            f"    feclearexcept({ALL_FLAGS})",
            *(f"    {line}" for line in text.before),
            "    for k in range(played.shape[0]):",
            *(f"        {line}" for line in text.step),
            "        for i in range(a0.size):",
            *(f"            {line}" for line in (*text.load, *text.coordinate, *text.store)),
            *(f"        {line}" for line in kept),
            *(f"    {line}" for line in text.after),
            f"    return fetestexcept({ALL_FLAGS})",
        ]
    )
    kinds = {"": "float64", "t": "float64[::1]", "ti": "float64[:,::1]"}
    signature = [f"{dtype}[::1]" if shared else f"{dtype}[:,::1]", *[f"{dtype}[:,::1]"] * 2]
    signature += ["float64[::1]", *[f"{dtype}[::1]"] * len(text.arrays)]
    signature += [kinds[kind] for kind in cut.kinds]
    return compile_source(source, "run", f"int32({', '.join(signature)})", dtype)


def compile_source(source: str, name: str, signature: str, dtype: str) -> Callable[..., int]:
    """A function of this source, with the names of FUNCTIONS, as machine code."""
    namespace = functions(dtype).copy()
    exec(compile(source, "<loop>", "exec"), namespace)
    with announced(name):
        made: Callable[..., int] = numba.njit(signature, nogil=True, error_model="numpy")(
            namespace[name]
        )
    return made


@cache
def functions(dtype: str) -> dict[str, Any]:
    """What the printed text calls, as comparisons: zeros of either sign, infinities and NaN come
    out as NumPy's."""
    real: Any = np.dtype(dtype).type
    zero, one = real(0), real(1)

    def inlined(function: Callable[..., Any]) -> Any:
        return numba.njit(function, error_model="numpy")

    return {
        "T": real,
        "inf": inf,
        "nan": nan,
        "sqrt": sqrt,
        "absolute": abs,
        "feclearexcept": _libm.feclearexcept,
        "fetestexcept": _libm.fetestexcept,
        "negative": inlined(lambda x: -x),
        "square": inlined(lambda x: x * x),
        "reciprocal": inlined(lambda x: one / x),
        "sign": inlined(
            lambda x: one if x > zero else -one if x < zero else zero if x == zero else x
        ),
        "maximum": inlined(lambda x, y: x if x > y or x != x else y),
        "minimum": inlined(lambda x, y: x if x < y or x != x else y),
        "where": inlined(lambda c, x, y: x if c else y),
        "logical_and": inlined(lambda x, y: x and y),
        "logical_or": inlined(lambda x, y: x or y),
        "logical_not": inlined(lambda x: not x),
    }


@contextmanager
def announced(what: str) -> Iterator[None]:
    """Say on stderr what is being compiled, if it takes long."""
    timer = Timer(PATIENCE, lambda: print(f"numba compiles a {what} ...", file=sys.stderr))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
