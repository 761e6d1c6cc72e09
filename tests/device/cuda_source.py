"""The kernels that CuPy is given: collected from steps on the stand-in, compiled for GPUs, and run
on the CPU as they are."""

import ctypes
import functools
import itertools
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import optim
from minigrad import Tensor, backend
from minigrad.backend import xp
from optim import Box
from optim.engine.cuda import C_TYPES
from tests.device import strict
from tests.device.strict.elementwise import ElementwiseKernel, Launch, recording
from tests.driving import feed, gradients, start, tensors
from tests.rules.table import TABLE


class _Awkward(optim.Optimizer):
    """Names that mean something in C++, CUDA or a printed kernel; and whatever has the same bits
    everywhere."""

    given = ("double",)
    lr: optim.Rate = 0.1
    T: optim.Rate = 0.25
    größe: optim.Rate = 0.5

    def start(self, p):
        return {"new": 2.0, "n": 1.0}

    def update(self):
        self.apply("kernel", double=self.sum_over(lambda g: xp.abs(g).sum()))

    @optim.inplace
    def kernel(p, g, i, t1, at_x_p, new, n, *, lr, T, größe, double, t):
        n *= T
        new += double * xp.where((double > 1) & (t > 1), größe, xp.sign(n))
        p -= lr * xp.where((g > i) | ~(p <= T) & (g != 0), xp.minimum(g, new), -xp.abs(i))
        i[...] = xp.maximum(xp.sqrt(xp.abs(g)) + i**-1, p**2 * n)
        t1[...] = xp.where(g == p, np.inf, xp.where(i >= größe, -np.inf, np.nan))
        at_x_p += xp.sign(g) * (p < i)


class _Rounded(optim.Optimizer):
    """What libraries differ in."""

    lr: optim.Rate = 0.1

    @optim.inplace
    def kernel(p, g, exp, log, power, tanh, *, lr):
        exp[...], log[...] = xp.exp(g), xp.log(g)
        power[...], tanh[...] = g**0.3, xp.tanh(g)
        p -= lr * g


RULES = [r for r in optim.RULES.values() if r.__module__[:6] == "optim." and not r.per_tensor]
OTHERS = {
    "ExponentialAverage": lambda x: optim.ExponentialAverage(optim.SGD(x)),
    "DecoupledDecay": lambda x: optim.DecoupledDecay(optim.SGD(x), 0.1),
    "awkward": _Awkward,
    "rounded": _Rounded,
}
SIZE = 200
RATES = 10 ** np.random.default_rng(3).uniform(-2, -1, SIZE)
WITH = (  # what a kernel may have besides what it has by default
    {},
    {"projection": Box(-0.6, 0.9)},
    {"projection": Box(-RATES * 20, RATES * 15), "lr": RATES},
)


class Case(NamedTuple):
    """A kernel in one dtype, and for operands of the same kinds, its launches."""

    name: str
    kernel: ElementwiseKernel
    dtype: str
    launches: list[Launch]

    @property
    def is_exact(self) -> bool:
        """Whether no function of it is a library's own."""
        return not any(f"{f}(" in self.kernel.operation for f in ("power", "exp", "log", "tanh"))


@functools.cache
def every_case(dtype: str) -> list[Case]:
    """The kernels of every rule, and of OTHERS, whose T is this."""
    found: dict[Any, Case] = {}
    for name, of_arena in itertools.product([*RULES, *OTHERS], C_TYPES):
        for launch in _launches(name, of_arena):
            if str(launch.dtype) == dtype:
                kernel, kinds = launch.kernel, tuple(map(kind, launch.read))
                key = kernel.name, kernel.operation, kinds
                new = Case(f"{kernel.name}_{len(found)}", kernel, dtype, [])
                found.setdefault(key, new).launches.append(launch)
    return list(found.values())


def kind(operand: Any) -> str:
    """How an operand is passed: a number by its value, an array by where it is."""
    if not isinstance(operand, np.ndarray):
        return "number"
    return "array" if operand.ndim else "one"


def _launches(made: Any, dtype: str) -> list[Launch]:
    """Those of a few steps of a rule, or of one of OTHERS, and of its metric."""
    with backend.temporarily(strict.make()), recording() as launches:
        for settings in WITH:
            x = tensors(
                np.where(np.arange(SIZE) % 7, start(dtype, SIZE), 0).astype(dtype), [(SIZE,)]
            )
            if isinstance(made, str):
                opt: Any = OTHERS[made](x)
            elif made is optim.LBFGS and settings:
                continue  # takes no projection
            elif made not in TABLE or not TABLE[made].elementwise:
                opt = made(x, **{name: v for name, v in settings.items() if name != "lr"})
            else:
                opt = made(x, **settings)
            for g in gradients(3, SIZE):
                step(opt, g)
            if opt.diagonal is not None:
                opt.metric()
    return launches


def step(opt: Any, g: Any) -> None:
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


def source(case: Case) -> str:
    """All of a kernel, around the body that CuPy is given, as CuPy writes it."""
    kernel, kinds = case.kernel, [kind(operand) for operand in case.launches[0].read]
    given, bound = [], []
    for (kind_, name), passed in zip(kernel.ins, kinds, strict=True):
        of = "T" if kind_ == "T" else "double"
        given.append(f"const {of} {name}" if passed == "number" else f"const {of} *_{name}")
        if passed != "number":
            bound.append(f"const {of} &{name} = _{name}[{'i' if passed == 'array' else 0}];")
    given += [f"T *_{name}" for _, name in kernel.outs]
    bound += [f"T &{name} = _{name}[i];" for _, name in kernel.outs]
    return "\n".join(
        [
            f"namespace of_{case.name} {{",
            f"typedef {C_TYPES[case.dtype]} T;",
            kernel.preamble,
            f'extern "C" __global__ void {case.name}({", ".join([*given, "long n"])}) {{',
            "EACH(i, n) {",
            *bound,
            kernel.operation,
            "}}",
            *("#undef " + macro for macro in ("inf", "nan")),
            "}",
        ]
    )


def _together(cases: list[Case], each: str) -> str:
    return "\n".join([f"#define EACH(i, n) {each}", *map(source, cases)])


# On the GPU's side

STRIDED = (
    '_Pragma("unroll 1") for (long i = blockIdx.x * long(blockDim.x) + threadIdx.x; i < n; '
    "i += gridDim.x * long(blockDim.x))"
)


def ptx(cases: list[Case], arch: int) -> str:
    """What NVRTC makes of them, with the options of the kernels."""
    (options,) = {case.kernel.options for case in cases}
    return compiled(_together(cases, STRIDED), options, arch)


def compiled(text: str, options: tuple[str, ...], arch: int) -> str:
    """What NVRTC makes of a source, with CuPy's options beside these."""
    nvrtc = pytest.importorskip("cupy", reason="CuPy is not installed").cuda.nvrtc
    try:
        nvrtc.getVersion()
    except Exception as error:
        pytest.skip(f"NVRTC cannot be loaded: {error}")
    program = nvrtc.createProgram(text, "kernels.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*options, "-ftz=true", f"-arch=compute_{arch}"))
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    made = nvrtc.getPTX(program)
    nvrtc.destroyProgram(program)
    return made.decode() if isinstance(made, bytes) else made


def nvcc(cases: list[Case], arch: int, folder: Path) -> str:
    """What nvcc says of them: the registers and the memory that each kernel takes."""
    compiler = shutil.which("nvcc")
    if not compiler:
        pytest.skip("nvcc is not on the PATH")
    (options,) = {case.kernel.options for case in cases}
    (folder / "kernels.cu").write_text(_together(cases, STRIDED))
    command = [compiler, *options, f"-arch=sm_{arch}", "-cubin", "-Xptxas", "-v"]
    command += ["-o", "kernels.cubin", "kernels.cu"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


# On the CPU

ON_CPU = """
#include <math.h>
#define __device__
#define __global__
"""


def on_cpu(cases: list[Case], folder: Path) -> ctypes.CDLL:
    """The kernels, as functions that take one coordinate after the other."""
    if not shutil.which("g++"):
        pytest.skip("g++ is not on the PATH")
    each = "for (long i = 0; i < n; i++)"
    (folder / "kernels.cpp").write_text(ON_CPU + _together(cases, each))
    command = "g++ -std=c++17 -O1 -ffp-contract=off -shared -fPIC -o kernels.so kernels.cpp"
    done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(folder / "kernels.so"))


def launched(function: Any, case: Case, read: list[Any], before: list[Any]) -> list[Any]:
    """The out parameters after the function has had these operands."""
    after = [array.copy() for array in before]
    number = {"float": ctypes.c_float, "double": ctypes.c_double}
    given: list[Any] = []
    for (kind_, _), operand in zip(case.kernel.ins, read, strict=True):
        of = C_TYPES[case.dtype] if kind_ == "T" else "double"
        plain = kind(operand) == "number"
        given.append(number[of](operand) if plain else ctypes.c_void_p(operand.ctypes.data))
    given += [ctypes.c_void_p(array.ctypes.data) for array in after]
    function(*given, ctypes.c_long(after[0].size))
    return after
