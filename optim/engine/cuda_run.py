"""A whole run on a device: one launch, in which each coordinate has a thread and goes through time.

Each thread does the arithmetic among numbers for itself; the first writes those of the state.
"""

from functools import cache
from typing import Any

from minigrad.backend import to_host, xp
from optim.engine.cuda import C_TYPES, FUNCTIONS, OPTIONS
from optim.engine.over_time import Line, Run, run_of
from optim.engine.state import State
from optim.engine.whole import Timed

THREADS = 128  # in a block
INDICES = {"k": "k", "i": "i", "ki": "k * size + i"}


def run(
    cut: Timed, state: State, gradients: Any, given: list[Any], played: Any, metrics: Any
) -> bool:
    """Play a whole run; a device does not say what overflows."""
    dtype, shared = str(played.dtype), gradients.shape[1] == 1
    steps, size = played.shape
    text = run_of(cut, _element, shared, metrics is not None)
    [(_, views)] = state.blocks(text.arrays, size)
    numbers = xp.empty(1, "float64")  # which nobody reads, if there are none
    if cut.numbers:
        numbers = xp.asarray([float(state.arrays[name]) for name in cut.numbers], "float64")
    operands = [
        xp.ascontiguousarray(xp.asarray(gradients, dtype)),
        played,
        played if metrics is None else metrics,
        numbers,
        xp.empty_like(numbers),
        *[views[name] for name in text.arrays],
        *[x if isinstance(x, float) else xp.asarray(x) for x in given],
    ]
    kernel = xp.RawKernel(source(cut, dtype, shared, metrics is not None), "run", options=OPTIONS)
    kernel((-(-size // THREADS),), (THREADS,), (steps, size, *operands))
    if cut.numbers:
        for name, value in zip(cut.numbers, to_host(operands[4]).tolist(), strict=True):
            state.set_number(name, value)
    return True


@cache
def source(cut: Timed, dtype: str, shared: bool, metric: bool) -> str:
    """The run in C++."""
    text = run_of(cut, _element, shared, metric, "double({})")
    real = C_TYPES[dtype]
    kinds = {"": "double v", "t": "const double *v", "ti": "const double *v"}
    arguments = ["long long steps", "long long size", "const T *gradients", "T *played"]
    arguments += ["T *metrics", "const double *numbers", "double *numbers_left"]
    arguments += [f"T *a{i}" for i in range(len(text.arrays))]
    arguments += [f"{kinds[kind]}{i}" for i, kind in enumerate(cut.kinds)]
    wide = [line.replace("T", "double") for line in FUNCTIONS.values() if "T" in line.split("{")[0]]
    wide = [line for line in wide if line[0] != "#"]
    return "\n".join(
        [
            f"typedef {real} T;",
            *(_device(line) for line in FUNCTIONS.values()),
            *(_device(line) for line in wide if real != "double"),
            f'extern "C" __global__ void run({", ".join(arguments)}) {{',
            "  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;",
            "  if (i >= size) return;",
            *_statements(text),
            "}",
        ]
    )


def _statements(text: Run) -> list[str]:
    kept = [f"    const double new{j} = {line.expression};" for j, line in enumerate(text.kept)]
    kept += [f"    {line.target} = new{j};" for j, line in enumerate(text.kept)]
    left = [line._replace(target=f"numbers_left[{j}]") for j, line in enumerate(text.after)]
    return [
        *(f"  {_declared(line)}" for line in (*text.before, *text.load)),
        "  for (long long k = 0; k < steps; k++) {",
        *(f"    {_declared(line)}" for line in (*text.step, *text.coordinate)),
        *kept,
        "  }",
        *(f"  {_declared(line)}" for line in text.store),
        "  if (i == 0) {",
        *(f"    {_declared(line)}" for line in left),
        "  }",
    ]


def _declared(line: Line) -> str:
    return f"{line.type} {line};".lstrip()


def _device(line: str) -> str:
    return line if line[0] == "#" else f"__device__ inline {line}"


def _element(array: str, indices: str) -> str:
    return f"{array}[{INDICES[indices]}]"
