"""The stand-in for CuPy refuses what CuPy refuses, and counts what costs."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from minigrad import Tensor, backend
from tests.device import planted
from tests.device.strict import Array, counting, snapshot, xp

HOST = np.arange(6.0).reshape(2, 3)


@pytest.fixture
def d():
    return xp.asarray(HOST)


def mixing(d):
    """Calls that CuPy refuses, or obeys at a hidden cost."""
    mask, index = HOST > 2, np.array([0, 1])
    everyone, repeated = xp.asarray(index), xp.asarray([0, 0])
    rng = xp.random.default_rng(0)
    return {
        "asarray": lambda: np.asarray(d),
        "np.array": lambda: np.array(d),
        "np.zeros_like": lambda: np.zeros_like(d),
        "np.sqrt": lambda: np.sqrt(d),
        "np.isfinite": lambda: np.isfinite(d),
        "np.concatenate": lambda: np.concatenate([d, d]),
        "np.mean of 0-d arrays": lambda: np.mean([d.sum(), d.sum()]),
        "np.linalg": lambda: np.linalg.norm(d),
        "np.savez": lambda: np.testing.assert_array_equal(d, HOST),
        "host + device": lambda: HOST + d,
        "device + host": lambda: d + HOST,
        "device * host mask": lambda: d * mask,
        "device += host": lambda: d.__iadd__(HOST),
        "host += device": lambda: HOST.copy().__iadd__(d),
        "device += Tensor": lambda: exec("d += t", {"d": d, "t": Tensor(d)}),
        "device @ host": lambda: d @ HOST.T,
        "0-d host array": lambda: d * np.array(2.0),
        "device < host": lambda: d < HOST,
        "host out": lambda: xp.exp(d, out=HOST.copy()),
        "host in a ufunc": lambda: xp.maximum(d, HOST),
        "host in a function": lambda: xp.where(d > 0, d, HOST),
        "host condition": lambda: xp.where(mask, d, 0),
        "host alone": lambda: xp.sum(HOST),
        "number in a function": lambda: xp.clip(2.0, 0, 1),
        "list in a ufunc": lambda: xp.add(d, [1, 2, 3]),
        "list on the right": lambda: d.__add__([1, 2, 3]),
        "host index": lambda: d[index],
        "list index": lambda: d[[0, 1]],
        "host mask": lambda: d[mask],
        "host index in take": lambda: d.take(index),
        "list in take": lambda: d.take([0, 1]),
        "slice to a device number": lambda: d[: everyone.sum()],
        "host value": lambda: d.__setitem__(..., HOST),
        "list value": lambda: d.__setitem__(0, [1, 2, 3]),
        "host index to set": lambda: d.__setitem__(index, 0),
        "repeated indices": lambda: d.__setitem__(repeated, d),
        "range": lambda: range(everyone.sum()),
        "ufunc where": lambda: xp.divide(d, d, where=d > 0),
        "ufunc keyword": lambda: xp.sqrt(d, order="C"),
        "ufunc subok": lambda: xp.add(d, d, subok=False),
        "sum initial": lambda: xp.sum(d, initial=0.0),
        "max initial": lambda: d.max(initial=0.0),
        "sum where": lambda: d.sum(where=d > 0),
        "clip min": lambda: xp.clip(d, min=0),
        "var correction": lambda: d.var(correction=1),
        "asarray device": lambda: xp.asarray(d, device="cpu"),
        "maximum.reduce": lambda: xp.maximum.reduce(d),
        "minimum.accumulate": lambda: xp.minimum.accumulate(d),
        "logaddexp.at": lambda: xp.logaddexp.at(d, 0, d[0]),
        "errstate": lambda: xp.errstate(all="ignore"),
        "vecdot": lambda: xp.vecdot(d, d),
        "vector_norm": lambda: xp.linalg.vector_norm(d),
        "setflags": lambda: d.setflags(write=False),
        "rng.normal": lambda: rng.normal(size=3),
        "rng.permutation": lambda: rng.permutation(3),
        "rng.choice": lambda: rng.choice(3),
        "hash": lambda: {d},
    }


def test_every_mixture_of_host_and_device_raises(d):
    before = d.get()
    for name, call in mixing(d).items():
        with pytest.raises((TypeError, AttributeError, ValueError, NotImplementedError)):
            call()
            pytest.fail(f"{name} passed")
    np.testing.assert_array_equal(d.get(), before)


def test_it_computes_what_numpy_computes(d):
    i, out = xp.asarray([1, 0, 1]), xp.zeros(3)
    xp.add.at(out, i, xp.ones(3))
    for got, expected in [
        (d + 1, HOST + 1),
        (1 - d, 1 - HOST),
        (2**d, 2**HOST),
        (d / xp.sqrt(d + 1), HOST / np.sqrt(HOST + 1)),
        (d.T @ d, HOST.T @ HOST),
        (np.float32(2) * d, 2 * HOST),
        (-d[0, 1:], -HOST[0, 1:]),
        (d[i], HOST[[1, 0, 1]]),
        (d[d > 2], HOST[HOST > 2]),
        (d.max(axis=0), HOST.max(axis=0)),
        (xp.where(d > 2, d, 0), np.where(HOST > 2, HOST, 0)),
        (out, [1, 2, 0]),
        (xp.add.reduce(d), HOST.sum(axis=0)),
        (xp.split(d, [1])[1], HOST[1:]),
        (xp.linalg.eigh(d @ d.T)[0], np.linalg.eigh(HOST @ HOST.T)[0]),
        (copy.deepcopy(d), HOST),
        (d > 2, HOST > 2),
    ]:
        assert type(got) is Array
        np.testing.assert_array_equal(got.get(), expected)
    assert (d.shape, d.ndim, d.size, d.dtype, len(d)) == ((2, 3), 2, 6, "float64", 2)
    assert f"{d.sum():.1f}" == "15.0" and repr(d) == repr(HOST) and xp.shape(HOST) == (2, 3)


def test_results_without_axes_stay_on_the_device_and_single_elements_are_views(d):
    for zero in (d.sum(), d.sum() * 2, xp.sqrt(d[0, 0]), d[0, 0], xp.array(1.0)):
        assert type(zero) is Array and zero.shape == ()
    element = d[1, 2]
    d[1, 2] = 9
    assert float(element) == 9


def test_memory_of_the_host_is_never_shared(d):
    host = HOST.copy()
    there = xp.asarray(host)
    there += 1
    back = there.get()
    back += 1
    assert (host == HOST).all() and (there.get() == HOST + 1).all()
    assert xp.asarray(d) is d and not xp.shares_memory(xp.array(d), d)


def test_it_neither_traps_nor_minds_the_bounds(d):
    with np.errstate(all="raise"):
        assert np.isinf((d[1] / 0).get()).all()
    assert d[xp.asarray([2, -1])].get().tolist() == HOST[[0, 1]].tolist()


def test_launches_transfers_and_synchronizations_are_counted():
    def costs(**expected):
        assert dict(counted) == expected

    with counting() as counted:
        d = xp.asarray(HOST)
    costs(to_device=1)
    with counting() as counted:
        d.T[1:].reshape(4)[0], xp.empty(3), d.reshape(6), xp.broadcast_to(d, (2, 2, 3)), d.shape
    costs(launches=1)  # reshaping a transposed array copies it
    with counting() as counted:
        d += 1
        d[...] = 0
        d[0, 1] = d.sum() * 2
        xp.exp(d, out=d)
    costs(launches=6)
    with counting() as counted:
        float(d.sum()), int(d[0, 0]), bool((d > 0).all()), d[0, 0].item()
    costs(launches=3, synchronizations=4)
    with counting() as counted:
        xp.asnumpy(d), d[d > 0], xp.nonzero(d)  # a mask's count shapes the result
    costs(launches=3, to_host=1, synchronizations=3)
    mask = d > 2
    with counting() as counted:
        d[mask] = 0  # CuPy counts them all the same
        xp.add.at(d, mask, 1), xp.extract(mask, d)
    costs(launches=3, synchronizations=3)
    with counting() as counted:
        kernel = xp.ElementwiseKernel("", "T x", "x = x + T(1.0);")
        kernel(d), kernel(d)
    costs(compiled=1, launches=2)


def test_a_kernel_computes_in_its_own_dtype_what_its_text_says(d):
    text = "bool big = x > T(2.0);\nT new = where(big, sqrt(x), -x);\ny = new + T(number);"
    where = "__device__ inline T where(bool c, T x, T y) { return c ? x : y; }"
    kernel = xp.ElementwiseKernel("T x, float64 number", "T y", text, preamble=where)
    x, number = d.astype("float32"), xp.asarray(0.1)
    with counting() as counted:
        out = kernel(x, number)
        kernel(2.0, 0.25, x)
    assert dict(counted) == {"launches": 2} and out.dtype == x.dtype == "float32"
    there = HOST.astype("float32")
    expected = np.where(there > 2, np.sqrt(there), -there) + np.float32(0.1)
    np.testing.assert_array_equal(out.get(), expected)
    np.testing.assert_array_equal(x.get(), np.full_like(there, -1.75))
    empty = xp.zeros(0)
    with counting() as counted:
        assert kernel(empty, 1.0).shape == (0,)
    assert not counted


def test_a_kernel_writes_in_the_order_of_its_text(d):
    text = "T z = x;\nx = y;\ny = z;"
    swap = xp.ElementwiseKernel("", "T x, T y", text, no_return=True)
    other = -d
    assert swap(d, other) is None
    np.testing.assert_array_equal(d.get(), -HOST)
    np.testing.assert_array_equal(other.get(), HOST)


@pytest.mark.parametrize(
    "text",
    [
        "y = x + T(1.0)",
        "y += x;",
        "y = x; y = x;",
        "if (x > T(0.0)) y = x;",
        "x = y;",
        "z = x;\ny = z;",
        "T y = x;",
        "T z = x;\nT z = x;\ny = z;",
        "y = z;",
        "y = square(x);",
        "y = x * 0.5;",
    ],
)
def test_a_text_that_would_not_compile_is_refused(text):
    with pytest.raises((SyntaxError, NameError, TypeError)):
        xp.ElementwiseKernel("T x", "T y", text)


def test_a_kernel_refuses_what_cupy_refuses(d):
    kernel = xp.ElementwiseKernel("T x, float64 number", "T y", "y = x * T(number);")
    out, single = xp.zeros_like(d), d.astype("float32")
    for arguments in [
        (HOST, 1.0, out),
        (d, np.array(1.0), out),
        (d, "1", out),
        (d, 1.0, HOST.copy()),
        (d, 1.0, 2.0),
        (single, 1.0, out),
        (d, single, out),
        (d, 1.0, single),
        (d, 1.0, out[0]),
        (d[0], 1.0, out, out),
        (d,),
        (d, 1.0, d),  # which CuPy lets pass
        (2.0, 1.0),
    ]:
        with pytest.raises((TypeError, ValueError)):
            kernel(*arguments)
            pytest.fail(f"{arguments} passed")
    for names in ("T i", "T x, T x"):
        with pytest.raises(ValueError, match="names of parameters"):
            xp.ElementwiseKernel(names, "T y", "y = T(1.0);")
    with pytest.raises(ValueError, match="Invalid kernel name: 'a b'"):
        xp.ElementwiseKernel("T x", "T y", "y = x;", "a b")
    with pytest.raises(TypeError, match="z is a float64, not T"):
        xp.ElementwiseKernel("T x, float64 number", "T y", "T z = number;\ny = z;")(
            single, xp.asarray(1.0)
        )


def test_as_a_backend_it_is_wired_as_cupy_is():
    from tests.device.strict import make

    real, here = backend.of_cupy(xp), make()
    for field in ("on_host", "block_bytes", "namespace", "to_host"):
        assert getattr(here, field) == getattr(real, field)
    assert here.name == "strict"


@pytest.mark.parametrize("mistake", planted.MISTAKES, ids=lambda mistake: mistake.name)
def test_every_planted_mistake_can_still_be_made(mistake):
    assert mistake.text in Path(planted.ROOT, mistake.file).read_text()


def test_the_snapshot_is_what_cupy_says_of_itself():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    recorded = json.loads(snapshot.PATH.read_text())
    if cupy.__version__ != recorded["version"]:
        pytest.skip(f"the snapshot is of CuPy {recorded['version']}, not {cupy.__version__}")
    assert snapshot.snapshot() == recorded
