"""The kernels that a GPU would run, without one: `make cuda-check`.

They are compiled for it, and run on the CPU, where denormals are kept; by default a GPU takes those
of float32 for zero.
"""

import functools
import re

import numpy as np
import pytest

from minigrad import backend
from optim.engine.building import from_sums
from optim.engine.cuda import kernel_text
from tests.device import cuda_source, strict
from tests.device.strict.elementwise import recording
from tests.driving import both_dtypes, gradients, host_only, start, tensors
from tests.rules.table import every_flat_rule

POWER = 4  # units in the last place: NumPy has its own powers on some processors
ROUNDS = 40
ROUNDING = {  # of a number of float64 that lies on the device
    *("ld.param.f64", "ld.global.f64", "ld.global.nc.f64", "cvt.rn.ftz.f32.f64"),
}
ENTRY = re.compile(r"\.visible \.entry (\w+)\((.*?)\n}\n", re.S)  # of PTX: its name and the rest


@pytest.fixture(scope="module")
def cupy():
    return pytest.importorskip("cupy", reason="CuPy is not installed")


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory):
    @functools.cache
    def library(dtype):
        return cuda_source.on_cpu(cuda_source.every_case(dtype), tmp_path_factory.mktemp(dtype))

    return library


def special(rng, dtype, like):
    """An operand like that one, of numbers of every kind, most of them rare ones."""
    info, size = np.finfo(dtype), np.size(like)
    rare = [0.0, 1.0, np.inf, np.nan, info.max, info.tiny, info.tiny / 3, info.smallest_subnormal]
    any_size = rng.normal(size=size) * 10.0 ** rng.integers(-30, 30, size)
    chosen = np.where(rng.random(size) < 0.7, rng.choice(rare, size), any_size)
    values = (chosen * rng.choice([-1, 1], size)).astype(dtype)
    return values.reshape(like.shape) if isinstance(like, np.ndarray) else float(values[0])


def assert_same(got, expected, ulps, name):
    """Bit for bit, but for the payload of NaN; or within some units in the last place."""
    different = ~(np.isnan(got) & np.isnan(expected))
    if ulps:
        with np.errstate(all="ignore"):
            far = np.abs(got - expected) > ulps * np.spacing(np.abs(expected))
        different &= far & (got != expected)
    else:
        different &= (got != expected) | (np.signbit(got) != np.signbit(expected))
    assert not different.any(), (name, got[different][:3], expected[different][:3])


@both_dtypes
def test_each_kernel_does_on_the_cpu_what_numpy_does(dtype, on_cpu):
    for case in cuda_source.every_case(dtype):
        function = getattr(on_cpu(dtype), case.name)
        for launch in case.launches:
            got = cuda_source.launched(function, case, launch.read, launch.before)
            for array, expected in zip(got, launch.after, strict=True):
                assert_same(array, expected, 0 if case.is_exact else POWER, case.name)


@both_dtypes
def test_also_on_zeros_infinities_nan_and_subnormal_numbers(dtype, on_cpu):
    rng = np.random.default_rng(5)
    for case in cuda_source.every_case(dtype):
        function, launch = getattr(on_cpu(dtype), case.name), case.launches[0]
        for _ in range(ROUNDS):
            read = [
                special(rng, dtype if parameter.type == "T" else "float64", operand)
                for parameter, operand in zip(case.kernel.ins, launch.read, strict=True)
            ]
            before = [special(rng, dtype, array) for array in launch.before]
            expected = [array.copy() for array in before]
            case.kernel.run(dtype, read, expected)
            got = cuda_source.launched(function, case, read, before)
            for array, right in zip(got, expected, strict=True):
                assert_same(array, right, 0 if case.is_exact else POWER, case.name)


@both_dtypes
@pytest.mark.parametrize("arch", (80, 90))
def test_nvrtc_compiles_every_kernel_and_float32_stays_float32(dtype, arch):
    cases = cuda_source.every_case(dtype)
    entries = dict(ENTRY.findall(cuda_source.ptx(cases, arch)))
    for case in cases:
        does = entries[case.name]
        assert "fma.rn" not in does or not case.is_exact, case.name
        if dtype == "float32":
            doubles = re.findall(r"^\s*(\S*\.f64\S*)", does, re.M)
            rounded = sum(parameter.type == "float64" for parameter in case.kernel.ins)
            assert doubles.count("cvt.rn.ftz.f32.f64") == rounded, (case.name, doubles)
            assert set(doubles) <= ROUNDING if rounded else not doubles, (case.name, doubles)


@host_only
@every_flat_rule
@both_dtypes
def test_what_is_shown_is_what_cupy_is_given(rule, dtype):
    opt = rule(tensors(start(dtype)))
    passes = opt._passes.values()
    there = from_sums(opt.given, passes)
    shown = "\n".join(kernel_text(one.program, dtype, there) for one in passes)
    lines = {line.strip() for line in shown.splitlines()}
    with backend.temporarily(strict.make()), recording() as launches:
        cuda_source.step(rule(tensors(start(dtype))), gradients(1)[0])
    assert launches
    for launch in launches:
        assert f"{launch.kernel.name}(" in shown
        assert lines.issuperset(launch.kernel.operation.splitlines())


@both_dtypes
def test_nvcc_compiles_every_kernel_into_registers(dtype, tmp_path):
    cases = cuda_source.every_case(dtype)
    said = cuda_source.nvcc(cases, 90, tmp_path)
    spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", said)
    assert len(spills) >= len(cases) and set(spills) == {("0", "0")}


@both_dtypes
def test_cupy_takes_each_of_them(dtype, cupy):
    for case in cuda_source.every_case(dtype):
        one = case.kernel
        in_params, out_params = (", ".join(map(" ".join, p)) for p in (one.ins, one.outs))
        options = {"preamble": one.preamble, "options": one.options}
        made = cupy.ElementwiseKernel(in_params, out_params, one.operation, one.name, **options)
        assert (made.nin, made.nout) == (len(one.ins), len(one.outs))
