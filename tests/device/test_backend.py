"""The backend is chosen once per process, so most of these tests are processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigrad import synchronize, to_host, use, xp
from minigrad.errors import install

ROOT = Path(__file__).parents[2]

# A device whose arrays are of a type of their own and come to the host as copies.
DEVICE = """
import numpy as np, minigrad
from minigrad import Tensor, backend, ops, to_host, use, xp

class Array(np.ndarray):
    pass

class Namespace:
    used = set()
    def ElementwiseKernel(self, read, written, body, name, **options):
        assert name == "x_SGD_kernel"
        return lambda g, lr, p: calls.append("launch") or np.subtract(p, lr * g, out=p)
    def __getattr__(self, name):
        self.used.add(name)
        f = getattr(np, name)
        if name in ("array", "asarray", "zeros", "empty", "ones", "arange"):
            return lambda *a, **k: f(*a, **k).view(Array)
        return f

calls = []
device = backend.Backend(
    name="device",
    namespace=Namespace(),
    on_host=False,
    to_host=lambda array: np.array(array),
    synchronize=lambda: calls.append("synchronize"),
    block_bytes=None,
)
backend.register("device", lambda: device)
"""


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "MINIGRAD_BACKEND"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env=env | environment,
        capture_output=True,
        text=True,
    )


def assert_runs(code: str, **environment: str) -> None:
    result = python(code, **environment)
    assert result.returncode == 0, result.stderr


def assert_fails(message: str, code: str, **environment: str) -> None:
    result = python(code, **environment)
    assert result.returncode == 1 and message in result.stderr, result.stderr


def test_importing_the_packages_imports_nothing_heavy_and_settles_nothing() -> None:
    assert_runs("""
import sys, minigrad, optim, models
heavy = {"matplotlib", "cupy", "pooch", "tqdm", "torch", "jax"} & set(sys.modules)
assert not heavy, heavy
assert not hasattr(minigrad.xp, "__wrapped__")  # what inspect and doctest ask of any object
assert minigrad.backend._current is None and not vars(minigrad.xp)
""")


def test_numpy_is_the_default_and_chosen_by_the_first_array() -> None:
    assert_runs("""
import numpy, minigrad
from minigrad.backend import current
t = minigrad.Tensor([1.0])
assert current().name == "numpy" and current().namespace is numpy and minigrad.xp.exp is numpy.exp
assert minigrad.to_host(t.data) is t.data and t.numpy() is t.data
minigrad.use("numpy")
minigrad.synchronize()
""")


def test_a_third_backend_carries_a_training_step() -> None:
    assert_runs(
        DEVICE
        + """
from models import MLP
import optim
use("device")
model = MLP([3, 4, 2], rng=0)
opt = optim.make("sgd", model.parameters(), lr=0.1)
before = to_host(model.parameters().data)
loss = model.loss(np.ones((5, 3), "float32"), np.zeros(5, int))
loss.backward()
opt.step()
minigrad.synchronize()
assert backend.current() is device and {"zeros", "maximum", "exp"} <= Namespace.used
assert calls == ["launch", "synchronize"]
assert isinstance(model.parameters().data, Array) and type(before) is np.ndarray
assert (to_host(model.parameters().data) != before).any()

# without a look at the labels, one that is out of range makes the loss NaN
labels = np.array([0, -1, 0, 0, 0])
assert np.isnan(model.loss(np.ones((5, 3), "float32"), labels).item())
"""
    )


def test_the_environment_chooses_the_backend() -> None:
    code = DEVICE + "t = Tensor(1.0)\nassert backend.current() is device"
    assert_runs(code, MINIGRAD_BACKEND="device")
    assert_runs("import minigrad; minigrad.Tensor(1.0)", MINIGRAD_BACKEND="")
    message = "backend 'nunpy' is unknown; did you mean 'numpy'?"
    assert_fails(message, "import minigrad; minigrad.Tensor(1.0)", MINIGRAD_BACKEND="nunpy")


def test_use_goes_before_the_environment() -> None:
    code = DEVICE + "use('numpy'); Tensor(1.0)\nassert backend.current().name == 'numpy'"
    assert_runs(code, MINIGRAD_BACKEND="device")


def test_switching_is_possible_only_before_there_are_arrays() -> None:
    assert_runs(
        DEVICE
        + """
import optim, models
use("numpy"); use("device"); use("numpy"); use("device")
assert isinstance(Tensor(1.0).data, Array) and isinstance(xp.zeros(2), Array)
use("device")
try:
    use("numpy")
except RuntimeError as error:
    assert "use('numpy'): arrays of the device backend exist already" in str(error), error
    assert "before the first Tensor" in str(error)
else:
    raise SystemExit("switched")
assert isinstance(Tensor(1.0).data, Array)
"""
    )
    message = "arrays of the numpy backend exist already"
    assert_fails(message, DEVICE + "Tensor(1.0); use('device')")


def test_an_unknown_backend_names_the_nearest() -> None:
    with pytest.raises(
        ValueError, match="backend 'nonsense' is unknown; known are numpy, numba, cu"
    ):
        use("nonsense")
    with pytest.raises(ValueError, match="backend 'CuPi' is unknown; did you mean 'cupy'"):
        use("CuPi")


@pytest.mark.parametrize(
    "name, meant",
    [("cuda", "cupy"), ("GPU", "cupy"), ("cuda:0", "cupy"), ("cuda12", "cupy"), ("cpu", "numpy")],
)
def test_names_of_other_libraries_name_the_backend_that_is_meant(name: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"backend '{name}' is unknown; did you mean '{meant}'?"):
        use(name)


def test_cupy_that_is_missing_names_the_extras_of_this_project() -> None:
    code = "import sys, minigrad; sys.modules['cupy'] = None; minigrad.use('cupy')"
    message = f"; {install('cuda12')}, or [cuda13], or use the numpy backend."
    assert_fails("RuntimeError: use('cupy'): CuPy cannot be imported", code)
    assert_fails(message, code)


CUPY = """
import sys, types, numpy as np, minigrad
def getDeviceCount():
    if not {available}:
        raise RuntimeError("cudaErrorInsufficientDriver: too old")
    return 1
cuda = types.SimpleNamespace(runtime=types.SimpleNamespace(getDeviceCount=getDeviceCount))
cupy = types.SimpleNamespace(cuda=cuda, asnumpy=np.array, exp="exp")
sys.modules["cupy"] = cupy
minigrad.use("cupy")
"""


def test_cupy_without_a_driver_says_so() -> None:
    message = "finds no device that it can use (cudaErrorInsufficientDriver: too old); install an"
    assert_fails(message, CUPY.format(available=False))


def test_cupy_is_wired_to_its_namesakes() -> None:
    assert_runs(
        CUPY.format(available=True)
        + """
done = []
stream = types.SimpleNamespace(synchronize=lambda: done.append(1))
cuda.get_current_stream = lambda: stream
now = minigrad.backend.current()
assert (now.name, now.namespace, now.on_host) == ("cupy", cupy, False)
assert now.to_host is cupy.asnumpy and now.block_bytes is None and minigrad.xp.exp == "exp"
minigrad.synchronize()
assert done == [1]
"""
    )


def test_names_that_the_library_lacks_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = xp.nonsense


def test_the_host_gets_numpy_arrays() -> None:
    array = to_host(xp.arange(3))
    synchronize()
    assert type(array) is np.ndarray and array.tolist() == [0, 1, 2]
