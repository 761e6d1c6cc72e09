"""cupy.RawKernel, compiled by g++ and run with one thread after the other."""

import ctypes
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.device.strict.device import Array, counts

NUMBERS = {"long long": ctypes.c_longlong, "double": ctypes.c_double}
BEFORE = """
#include <cmath>
using namespace std;
#define __device__ static
#define __global__
struct Index { long long x; };
static Index blockIdx, threadIdx, blockDim;
"""
AFTER = """
extern "C" void every_thread(long long threads, {arguments}) {{
    blockDim.x = 1;
    for (blockIdx.x = 0; blockIdx.x < threads; blockIdx.x++) {name}({names});
}}
"""


class RawKernel:
    """With the arguments of CuPy's; indices are of one dimension."""

    def __init__(self, code: str, name: str, options: tuple[str, ...] = ()):
        assert "--fmad=false" in options, "products would be rounded together with sums"
        self.code, self.name = code, name
        self.arguments = re.search(rf"void {name}\((.*?)\) \{{", code, re.DOTALL)[1].split(", ")

    def __call__(self, grid: tuple[int], block: tuple[int], arguments: tuple[Any, ...]) -> None:
        counts["launches"] += 1
        function = compiled(self.code, self.name, tuple(self.arguments))
        given = [
            _argument(declared, value)
            for declared, value in zip(self.arguments, arguments, strict=True)
        ]
        function(ctypes.c_longlong(grid[0] * block[0]), *given)


def _argument(declared: str, value: Any) -> Any:
    kind = declared.rsplit(" ", 1)[0].removeprefix("const ")
    if "*" not in declared:
        if not isinstance(value, int if kind == "long long" else float):
            raise TypeError(f"{declared} is given a {type(value).__name__}.")
        return NUMBERS[kind](value)
    if not isinstance(value, Array) or not value._memory.flags.c_contiguous:
        raise TypeError(f"{declared} is given what is no contiguous array of a device.")
    if kind == "double" and value.dtype != np.float64:
        raise TypeError(f"{declared} is given an array of {value.dtype}.")
    return ctypes.c_void_p(value._memory.ctypes.data)


@cache
def compiled(code: str, name: str, arguments: tuple[str, ...]) -> Any:
    """A function of the number of threads and these arguments."""
    if not shutil.which("g++"):
        raise RuntimeError("RawKernel of the stand-in needs g++; install it.")
    counts["compiled"] += 1
    names = ", ".join(re.search(r"\w+$", argument)[0] for argument in arguments)
    every = AFTER.format(arguments=", ".join(arguments), name=name, names=names)
    folder = Path(tempfile.mkdtemp())
    (folder / "kernel.cpp").write_text(BEFORE + code + every)
    command = "g++ -std=c++17 -O1 -ffp-contract=off -shared -fPIC -o kernel.so kernel.cpp"
    done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    library = ctypes.CDLL(str(folder / "kernel.so"))
    shutil.rmtree(folder)
    return library.every_thread
