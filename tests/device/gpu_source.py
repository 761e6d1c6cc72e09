"""The CUDA source of fused kernels: collected, compiled for GPUs, and run on the CPU as it is."""

import ctypes
import functools
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import optim
from minigrad import Tensor
from minigrad.fused import fused
from optim import Box
from optim.engine.passes import positional
from tests.driving import feed, gradients, start, tensors
from tests.rules.table import TABLE

FUSED = [r for r in optim.RULES.values() if r.__module__[:6] == "optim." and not r.per_tensor]
FUSED += [optim.ExponentialAverage]
SIZE = 200
RATES = 10 ** np.random.default_rng(3).uniform(-2, -1, SIZE)
WITH = {  # what a kernel may have besides what it has by default
    "numbers": {},
    "box": {"projection": Box(-0.6, 0.9)},
    "arrays": {"projection": Box(-RATES * 20, RATES * 15), "lr": RATES},
}


class Call(NamedTuple):
    """What a kernel was given, and what NumPy made of its arrays."""

    arrays: dict[str, Any]
    scalars: dict[str, Any]
    after: list[Any]


class Kernel(NamedTuple):
    """One pass as CuPy would launch it, and some calls of it."""

    made: Any  # cupy.ElementwiseKernel
    source: str
    calls: list[Call]


def every_kernel(dtype: str) -> list[Kernel]:
    """The kernels of all that is fused."""
    return [kernel for rule in FUSED for kernel in kernels(rule, dtype)]


@functools.cache
def kernels(rule: Any, dtype: str) -> list[Kernel]:
    """Every pass of the rule, with each of WITH that it takes."""
    known = {}

    def watch(name: str, function: Callable[..., None], names: list[str]) -> Callable[..., None]:
        calls: list[Call] = []
        known[f"{rule.__name__}_{name}"] = function, calls

        def watched(*arrays: Any, **scalars: Any) -> None:
            before = {name: array.copy() for name, array in zip(names, arrays, strict=True)}
            given = {name: np.copy(value) for name, value in scalars.items()}
            function(*arrays, **scalars)
            calls.append(Call(before, given, [array.copy() for array in arrays]))

        return watched

    for operands, settings in WITH.items():
        if operands == "numbers" or rule not in (optim.LBFGS, optim.ExponentialAverage):
            opt = _optimizer(rule, dtype, settings)
            if rule is optim.ExponentialAverage:
                opt._absorb.recorded = False
                opt._absorb.function = watch("kernel", opt._absorb.function, ["p", "average"])
            else:
                for name, one in opt._passes.items():
                    names = positional(getattr(rule, name))
                    one.recorded = False
                    one.function = watch(f"{name}_{operands}", one.function, names)
            for g in gradients(3, SIZE):
                _step(opt, g)
    return [_kernel(name, function, calls) for name, (function, calls) in known.items()]


def _optimizer(rule: Any, dtype: str, settings: dict[str, Any]) -> Any:
    x = tensors(np.where(np.arange(SIZE) % 7, start(dtype, SIZE), 0).astype(dtype), [(SIZE,)])
    if rule is optim.ExponentialAverage:
        return rule(optim.SGD(x))
    if rule not in TABLE or not TABLE[rule].elementwise:
        settings = {name: value for name, value in settings.items() if name != "lr"}
    return rule(x, **settings)


def _kernel(name: str, function: Callable[..., None], calls: list[Call]) -> Kernel:
    made = fused(function, calls[0].arrays, calls[0].scalars, name)
    return Kernel(made, _source(made, calls[0]), calls)


def _step(opt: Any, g: Any) -> None:
    """A step with that gradient, or on a bowl around it where the rule takes a closure."""
    if not getattr(opt, "needs_closure", False):
        feed(opt.params, g)
        opt.step()
        return

    def closure() -> Tensor:
        difference = next(iter(opt.params)).numpy() - g
        feed(opt.params, difference)
        return Tensor((difference * difference).sum() / 2, dtype=difference.dtype)

    opt.step(closure)


def _source(made: Any, call: Call) -> str:
    """All that CuPy compiles for this call, but for its own headers."""
    import cupy
    from cupy._core import _kernel

    array, index, scalar = 1, 2, 3  # of the enum _ArgKind in cupy/_core/_kernel.pxd
    operands = [*call.arrays.values(), *call.scalars.values()]
    ndim = max(map(np.ndim, operands))
    infos = []
    for i, value in enumerate(operands):
        if i < len(call.arrays) or np.ndim(value):
            whole = np.ndim(value) == ndim  # else it is broadcast, with strides of 0
            info = (array, cupy.ndarray, np.asarray(value).dtype, ndim, whole, True)
        else:
            info = (scalar, object, np.asarray(value).dtype, 0, True, True)
        infos.append(_kernel._ArgInfo(*info))
    infos.append(_kernel._ArgInfo(index, object, None, ndim, True, True))
    dtypes = tuple(p.dtype for p in made.in_params)
    types = made._decide_params_type(dtypes, ())[2]
    return _kernel._get_elementwise_kernel_code(
        tuple(infos), types, made.params, made.operation, made.name, made.preamble, **made.kwargs
    )


def _together(kernels: list[Kernel]) -> str:
    """One source of all, each in a namespace, since all define their operations anew."""
    return "\n".join(f"namespace of_{k.made.name} {{{k.source}\n}}" for k in kernels)


# On the GPU's side


def ptx(kernels: list[Kernel], arch: int) -> str:
    """What NVRTC makes of them with the headers and the options that CuPy gives it."""
    from cupy.cuda import compiler, nvrtc

    try:
        nvrtc.getVersion()
    except Exception as error:
        pytest.skip(f"NVRTC cannot be loaded: {error}")
    options = (*_options(), "-ftz=true", "--device-as-default-execution-space")
    program = compiler._NVRTCProgram(_headers() + _together(kernels), "kernels.cu", method="ptx")
    made = program.compile((*options, f"-arch=compute_{arch}"))[0]
    return made.decode() if isinstance(made, bytes) else made


def _headers() -> str:
    from cupy._core import core

    return "".join(f"#include <{header}>\n" for header in core._cupy_header_list)


def _options() -> tuple[str, ...]:
    from cupy._core import core

    return core.assemble_cupy_compiler_options(())


def nvcc(kernels: list[Kernel], arch: int, folder: Path) -> str:
    """What nvcc says of them: the registers and the memory that each kernel takes."""
    compiler = shutil.which("nvcc")
    if not compiler:
        pytest.skip("nvcc is not on the PATH")
    (folder / "kernels.cu").write_text(_headers() + _together(kernels))
    # its own headers of CUDA, not those that NVRTC is given
    include = [option for option in _options() if "cuda_runtime" not in option]
    command = [compiler, *include, "--expt-relaxed-constexpr", f"-arch=sm_{arch}"]
    command += ["-cubin", "-Xptxas", "-v", "-o", "kernels.cubin", "kernels.cu"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


# On the CPU

STAND_INS = """
#include <algorithm>
#include <cmath>
using namespace std;
#define __device__
#define __global__
#define CUPY_FOR(i, n) for (long i = 0; i < n; i++)

template <typename T, int, bool, bool> struct CArray {
    T *data;
    long size;
    T &operator[](long i) const { return data[i % size]; }  // as it is broadcast
};

template <int, bool> struct CIndexer {
    long n, i;
    long size() const { return n; }
    void set(long to) { i = to; }
    long get() const { return i; }
};
"""


class _Array(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("size", ctypes.c_long))


class _Indexer(ctypes.Structure):
    _fields_ = (("n", ctypes.c_long), ("i", ctypes.c_long))


def on_cpu(kernels: list[Kernel], folder: Path) -> ctypes.CDLL:
    """The kernels, as functions that take one coordinate after the other."""
    if not shutil.which("g++"):
        pytest.skip("g++ is not on the PATH")
    (folder / "cupy").mkdir()
    (folder / "cupy" / "float16.cuh").touch()
    (folder / "kernels.cpp").write_text(STAND_INS + _together(kernels))
    command = "g++ -std=c++17 -O0 -ffp-contract=off -shared -fPIC -I . -o kernels.so kernels.cpp"
    done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(folder / "kernels.so"))


def launch(function: Any, call: Call) -> list[Any]:
    """The arrays of a call after the function has had them."""
    arrays = [array.copy() for array in call.arrays.values()]
    scalars = [np.asarray(value) for value in call.scalars.values()]
    number = {"float32": ctypes.c_float, "float64": ctypes.c_double}
    size = max(array.size for array in (*arrays, *scalars))
    given = [_Array(a.ctypes.data, a.size) for a in arrays]
    given += [_Array(s.ctypes.data, size) if s.ndim else number[str(s.dtype)](s) for s in scalars]
    function(*given, _Indexer(size, 0))
    return arrays
