"""The kernels that a GPU would run of each rule, without one: `make cuda-check`.

They are compiled for it, and run on the CPU, where products are rounded before they are added and
denormals are kept; by default a GPU does neither.
"""

import functools
import re

import numpy as np
import pytest

from minigrad.backend import current, positional, xp
from minigrad.fused import fused, readable
from tests.device import gpu_source
from tests.driving import both_dtypes, host_only

TYPES = {"float32": "float", "float64": "double"}
POWER = 4  # units in the last place: NumPy has its own powers on some processors
every_rule = pytest.mark.parametrize("rule", gpu_source.FUSED, ids=lambda rule: rule.__name__)


@pytest.fixture(scope="module")
def cupy():
    return pytest.importorskip("cupy", reason="CuPy is not installed")


@pytest.fixture(scope="module")
def on_cpu(cupy, tmp_path_factory):
    @functools.cache
    def library(dtype):
        kernels = gpu_source.every_kernel(dtype)
        return gpu_source.on_cpu(kernels, tmp_path_factory.mktemp(dtype))

    return library


def test_keywords_become_positions_in_their_order():
    def kernel(p, g, *, lr, eps):
        p.append((g, lr, eps))

    seen = []
    positional(kernel, 2, ("eps", "lr"))(seen, "g", "eps", "lr")
    assert seen == [("g", "lr", "eps")]


@host_only
@every_rule
@both_dtypes
def test_each_pass_is_one_kernel_in_the_dtype_of_the_arena(rule, dtype, cupy):
    for made, _, calls in gpu_source.kernels(rule, dtype):
        assert type(made) is cupy.ElementwiseKernel and not made.nout
        assert {operand.dtype for operand in made.in_params} == {np.dtype(dtype)}
        declared = set(re.findall(r"(\w[\w ]*) v\d+(?:_\d+)?;", made.operation))
        assert declared <= {TYPES[dtype], "bool"}, made.name
        names = [*calls[0].arrays, *calls[0].scalars]
        assert readable(made, names).count("=") == made.operation.count("// op ")


@host_only
@every_rule
@both_dtypes
def test_each_thread_writes_a_coordinate_of_its_own(rule, dtype, cupy):
    for made, _, calls in gpu_source.kernels(rule, dtype):
        operands = calls[0].arrays | calls[0].scalars
        ndim = max(map(np.ndim, operands.values()))
        for (name, value), operand in zip(operands.items(), made.in_params, strict=True):
            if not operand.is_const:
                assert name in calls[0].arrays and np.ndim(value) == ndim, (made.name, name)


@host_only
@every_rule
@both_dtypes
def test_each_kernel_does_on_the_cpu_what_numpy_does(rule, dtype, on_cpu):
    # bit for bit, but for the sign of a zero: which one is the larger is open
    for made, _, calls in gpu_source.kernels(rule, dtype):
        ulps = POWER if "cupy_power(" in made.operation else 0
        for call in calls:
            got = gpu_source.launch(getattr(on_cpu(dtype), made.name), call)
            for name, array, expected in zip(call.arrays, got, call.after, strict=True):
                distance = np.abs(array - expected) / np.spacing(np.abs(expected))
                assert np.max(distance) <= ulps, (made.name, name)


@host_only
@both_dtypes
@pytest.mark.parametrize("arch", (80, 90))
def test_nvrtc_compiles_every_kernel_and_float32_stays_float32(dtype, arch, cupy):
    kernels = gpu_source.every_kernel(dtype)
    made = gpu_source.ptx(kernels, arch)
    assert made.count(".visible .entry ") == len(kernels)
    assert bool(doubles := re.findall(r".*\.f64.*", made)) == (dtype == "float64"), doubles[:9]


@host_only
@both_dtypes
def test_nvcc_compiles_every_kernel_into_registers(dtype, cupy, tmp_path):
    kernels = gpu_source.every_kernel(dtype)
    said = gpu_source.nvcc(kernels, 90, tmp_path)
    spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", said)
    assert len(spills) >= len(kernels) and set(spills) == {("0", "0")}


def test_a_reduction_is_no_kernel_and_tracing_changes_nothing(cupy):
    def kernel(p, g):
        return xp.sum(p * g)

    assert xp.sqrt(4) == 2
    before, backend = dict(vars(xp)), current()
    with pytest.raises(TypeError, match="kernel reduces an array; take the reduction out"):
        fused(kernel, {"p": np.ones(3), "g": np.ones(3)}, {})
    assert dict(vars(xp)) == before and current() is backend


def test_an_operation_in_double_is_seen(cupy):
    def kernel(p, *, lr):
        p *= lr

    made = fused(kernel, {"p": np.ones(3, np.float32)}, {"lr": 0.5})
    assert {str(operand.dtype) for operand in made.in_params} == {"float32", "float64"}
