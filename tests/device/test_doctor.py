"""python -m minigrad doctor, and python -m experiments doctor, on machines that lack things."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import cli
from experiments.problems import images
from minigrad import __main__, backend, doctor, errors
from minigrad.errors import install

ROOT = Path(__file__).parents[2]
SMI = "driver_version, name, memory.total [MiB], compute_cap\n580.1, NVIDIA Z9, 81559 MiB, 9.0\n"


def driver_says(monkeypatch, said):
    def run(*command, **options):
        if isinstance(said, Exception):
            raise said
        return said

    errors = {name: getattr(subprocess, name) for name in ("SubprocessError", "TimeoutExpired")}
    monkeypatch.setattr(doctor, "subprocess", SimpleNamespace(run=run, **errors))


def installed(monkeypatch, *wheels):
    monkeypatch.setattr(doctor, "packages_distributions", lambda: {"cupy": [*wheels, *wheels]})


@pytest.fixture(autouse=True)
def nothing_but_numpy(monkeypatch):
    for name in doctor.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    driver_says(monkeypatch, FileNotFoundError("nvidia-smi"))
    installed(monkeypatch)


@pytest.mark.parametrize("chosen, cure", [("bogus", "'bogus' is unknown"), ("cupy", "use('cupy')")])
def test_the_backend_that_was_chosen_must_work(monkeypatch, chosen, cure):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setenv("MINIGRAD_BACKEND", chosen)
    (row,) = [row for row in doctor.python() if row.what == "MINIGRAD_BACKEND"]
    assert row.found == chosen and row.cure.startswith("Unset it, or: ") and cure in row.cure


@pytest.fixture
def device(monkeypatch):
    """A CuPy that finds one device, and computes with NumPy."""
    properties = {"name": b"NVIDIA Z9", "totalGlobalMem": 80 * 2**30, "major": 9, "minor": 0}
    runtime = SimpleNamespace(
        driverGetVersion=lambda: 13000,
        runtimeGetVersion=lambda: 12090,
        getDeviceCount=lambda: 1,
        getDeviceProperties=lambda i: properties,
    )
    cuda = SimpleNamespace(runtime=runtime)
    cupy = SimpleNamespace(cuda=cuda, asarray=np.asarray, asnumpy=np.array, linalg=np.linalg)
    cupy.ElementwiseKernel = lambda *text: lambda g, lr, p: p.__isub__(lr * np.sign(g))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    installed(monkeypatch, "cupy-cuda0x")
    driver_says(monkeypatch, subprocess.CompletedProcess((), 0, SMI, ""))
    return cupy


def report(capsys, status=0, options=()):
    assert __main__.main(["doctor", *options]) == status
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    rows, what = {}, ""
    for line in lines:
        start, rest = line[: doctor.LABEL].strip(), line[doctor.LABEL :]
        what = start if start not in ("", "->") else what
        rows.setdefault(what, []).append(("-> " if start == "->" else "") + rest)
    return {what: " ".join(parts) for what, parts in rows.items()}


def test_without_a_gpu_the_numpy_side_is_reported_and_enough(capsys):
    said = report(capsys)
    assert said["NumPy"] == np.__version__
    assert said["BLAS"].count("threads") <= 1
    assert {said[f"numpy: {name}"] for name in doctor.PROBES} == {"right"}
    assert said["NVIDIA driver"].startswith("none (no nvidia-smi) -> On a machine with an NVIDIA")
    assert said["CuPy"].startswith("not installed -> ") and "[cuda12]" in said["CuPy"]
    assert said["environment"] == "nothing set that is read here"
    assert said["data"] == "see `python -m experiments doctor`"
    assert not {"device", "CUDA"} & set(said)


def test_numba_is_told_or_how_to_get_it(capsys, monkeypatch):
    def missing(name):
        raise doctor.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", lambda name: "0.99")
    assert report(capsys)["numba"] == "0.99"
    monkeypatch.setattr(doctor, "version", missing)
    assert report(capsys)["numba"] == f"not installed -> To step faster, {install('numba')}."


def test_what_the_environment_sets_is_named(capsys, monkeypatch):
    monkeypatch.setenv("MINIGRAD_BACKEND", "cupy")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    said = report(capsys)
    assert said["environment"] == "MINIGRAD_BACKEND=cupy OMP_NUM_THREADS=3"


def test_a_device_is_named_and_tried(capsys, device):
    said = report(capsys)
    assert said["NVIDIA driver"] == "580.1, NVIDIA Z9, 81559 MiB, 9.0"
    assert said["CuPy"] == "cupy-cuda0x not installed"  # a stand-in: it has no version
    assert said["CUDA"] == "12.9 in CuPy, up to 13.0 in the driver"
    assert said["device 0"] == "NVIDIA Z9, 80.0 GiB, compute capability 9.0"
    assert {said[f"cupy: {name}"] for name in doctor.PROBES} == {"right"}
    assert not any("->" in text for what, text in said.items() if what != "numba")


def test_the_version_of_a_wheel_is_told(capsys, monkeypatch):
    installed(monkeypatch, "numpy")
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert report(capsys)["CuPy"] == f"numpy {version('numpy')}"


def test_a_result_that_is_wrong_is_seen(capsys, device):
    device.ElementwiseKernel = lambda *text: lambda g, lr, p: p.__isub__(lr)
    said = report(capsys)
    assert said["cupy: kernel"].startswith("wrong: [0.5, 1.")
    assert "-> pip uninstall cupy-cuda0x, then pip install" in said["cupy: kernel"]
    assert said["cupy: product"] == said["cupy: eigenvalues"] == "right"


def test_a_library_that_is_missing_on_the_device_is_named(capsys, device):
    def eigh(x):
        raise RuntimeError("libcusolver.so.11:\n  cannot open shared object file")

    device.linalg = SimpleNamespace(eigh=eigh)
    found = report(capsys)["cupy: eigenvalues"]
    assert found.startswith("RuntimeError: libcusolver.so.11: cannot open shared object file -> ")


def test_a_driver_without_a_device_is_told_apart(capsys, device):
    def none():
        raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    device.cuda.runtime.getDeviceCount = none
    said = report(capsys)
    assert "no device that it can use (cudaErrorNoDevice: no CUDA-capable" in said["device"]
    assert "-> See NVIDIA driver above" in said["device"]
    assert not any(what.startswith("cupy: ") for what in said)


@pytest.mark.parametrize("error", [ImportError, AttributeError, OSError])
def test_a_cupy_that_cannot_be_imported_is_reported(error, capsys, monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text(
        f"raise {error.__name__}('\\n=====\\nFailed to import CuPy.\\n=====\\nx = libnvrtc')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    installed(monkeypatch, "cupy-cuda0x")
    said = report(capsys)["device"]
    assert "Failed to import CuPy. x = libnvrtc" in said and "==" not in said
    assert f"-> pip uninstall cupy-cuda0x, then {install('cuda12')}, or [cuda13] with a" in said


def test_a_runtime_that_fails_is_reported(capsys, device):
    def fails():
        raise RuntimeError("cudaErrorInsufficientDriver")

    device.cuda.runtime.runtimeGetVersion = fails
    assert report(capsys)["device"].startswith("RuntimeError: cudaErrorInsufficientDriver -> ")


def test_two_wheels_of_cupy_are_one_too_many(capsys, device, monkeypatch):
    installed(monkeypatch, "cupy-cuda1x", "cupy-cuda0x")
    said = report(capsys)["CuPy"]
    assert "-> They overwrite each other: pip uninstall cupy-cuda0x cupy-cuda1x, then" in said


@pytest.mark.parametrize(
    "said, found",
    [
        (
            subprocess.CompletedProcess((), 9, "NVIDIA-SMI has failed\n", ""),
            "NVIDIA-SMI has failed",
        ),
        (subprocess.TimeoutExpired("nvidia-smi", 60), "TimeoutExpired"),
        (PermissionError(), "none (no nvidia-smi)"),
    ],
)
def test_a_driver_that_fails_is_reported(said, found, capsys, monkeypatch):
    driver_says(monkeypatch, said)
    row = report(capsys)["NVIDIA driver"]
    assert row.startswith(found) and "-> " in row


@pytest.mark.parametrize(
    "extra, driver, status",
    [
        ("cuda12", "524.9", 1),
        ("cuda12", "525.60.13", 0),
        ("cuda12", "580.1", 0),
        ("cuda13", "579.99", 1),
        ("cuda13", "580.1", 0),
        ("cuda13", "[N/A]", 0),
    ],
)
def test_the_driver_must_do_for_the_extra(extra, driver, status, capsys, monkeypatch):
    said = subprocess.CompletedProcess((), 0, SMI.replace("580.1", driver), "")
    driver_says(monkeypatch, said)
    found = report(capsys, status, ["--extra", extra])
    assert set(found) == {"NVIDIA driver"}
    assert (f"-> Install a driver from {doctor.DRIVERS[extra]} on." in found["NVIDIA driver"]) == (
        status == 1
    )


@pytest.mark.parametrize("printed", ["No devices were found\n", ""])
def test_without_a_device_no_extra_will_do(printed, capsys, monkeypatch):
    assert report(capsys, 1, ["--extra", "cuda12"])["NVIDIA driver"].startswith("none")
    driver_says(monkeypatch, subprocess.CompletedProcess((), 0, printed, ""))
    assert "-> Install the driver anew" in report(capsys, 1, ["--extra", "cuda12"])["NVIDIA driver"]


def test_an_extra_that_there_is_not_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        __main__.main(["doctor", "--extra", "cuda11"])
    assert "invalid choice: 'cuda11'" in capsys.readouterr().err


def test_the_extras_for_cupy_are_those_of_the_project():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert set(doctor.DRIVERS) == {name for name in extras if re.fullmatch(r"cuda\d+", name)}


def test_the_backend_that_is_asked_for_must_work(capsys, device, monkeypatch):
    report(capsys, 0, ["--backend", "cupy"])
    assert cli.main(["doctor", "--backend", "cupy"]) == 0
    capsys.readouterr()
    installed(monkeypatch)
    report(capsys, 1, ["--backend", "cupy"])
    assert cli.main(["doctor", "--backend", "cupy"]) == 1
    capsys.readouterr()
    report(capsys, 0)
    report(capsys, 0, ["--backend", "numpy"])
    monkeypatch.setattr(doctor, "_version", lambda name: doctor.MISSING)
    report(capsys, 1, ["--backend", "numba"])


def test_a_backend_of_another_library_s_name_is_refused_with_ours(capsys):
    with pytest.raises(SystemExit, match="2"):
        __main__.main(["doctor", "--backend", "cuda"])
    assert "backend 'cuda' is unknown; did you mean 'cupy'?" in capsys.readouterr().err
    assert cli.main(["doctor", "--backend", "gpu"]) == 2
    assert "did you mean 'cupy'?" in capsys.readouterr().err


def test_cures_are_for_the_clone_or_else_for_the_package(monkeypatch, tmp_path):
    assert install("cuda12") == f"pip install -e {shlex.quote(f'{ROOT}[cuda12]')}"
    monkeypatch.setattr(errors, "__file__", str(tmp_path / "minigrad" / "errors.py"))
    assert install("cuda12") == "pip install 'minigrad-optim[cuda12]'"
    (tmp_path / "pyproject.toml").write_text('name = "another"\n')
    assert install("cuda12") == "pip install 'minigrad-optim[cuda12]'"


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_make_asks_for_a_driver_before_it_installs_what_needs_one(tmp_path):
    command = ["make", "--dry-run", "gpu", f"VENV={tmp_path}/venv", "CUDA=cuda13"]
    steps = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    asked, big = steps.index("doctor --extra cuda13"), steps.index(".[test,cuda13]")
    assert steps.index(".[test]") < asked < big < steps.index("doctor --backend cupy")


def test_a_numpy_that_is_wrong_fails(capsys, monkeypatch):
    broken = backend.Backend(namespace=SimpleNamespace(asarray=np.asarray, sqrt=np.sqrt))
    monkeypatch.setitem(backend._makers, "numpy", lambda: broken)
    said = report(capsys, status=1)
    assert said["numpy: kernel"] == "right"
    assert said["numpy: eigenvalues"].startswith("AttributeError: ")
    assert "-> Install NumPy anew" in said["numpy: eigenvalues"]


def test_a_blas_that_cannot_be_named_is_no_failure(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert report(capsys)["BLAS"].startswith("ModuleNotFoundError: ")


def test_the_doctor_settles_no_backend():
    code = """
import minigrad, sys
from minigrad import __main__, backend
assert __main__.main(["doctor"]) == 0
assert backend._current is None and not vars(minigrad.xp)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def places(capsys):
    assert cli.main(["doctor"]) == 0
    before, found, rest = capsys.readouterr().out.partition("\ncache ")
    return before, found, " ".join(rest.split())  # lines may break anywhere


def test_the_doctor_of_the_experiments_says_where_data_are(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(images, "cache", tmp_path.joinpath)
    _, found, rest = places(capsys)
    assert found and "has no file" in rest and "downloads MNIST" in rest
    assert "1497 + 300 images of digits in the project" in rest


def test_the_directory_that_is_set_is_looked_at(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(images, "cache", tmp_path.joinpath)
    monkeypatch.setenv("MINIGRAD_DATA", "digits")
    assert "MINIGRAD_DATA       1497 + 300 images of digits in digits" in places(capsys)[0]
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path / "elsewhere"))
    before = places(capsys)[0]
    assert "elsewhere" in before and "-> Unset it, or name another." in before
