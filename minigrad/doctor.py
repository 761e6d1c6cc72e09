"""What this machine has for the framework, and the cure for each thing that is missing."""

import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from textwrap import TextWrapper
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import Array, Backend, check_known, make
from minigrad.errors import PROJECT, install, one_line

SETTINGS = (
    "MINIGRAD_BACKEND",
    "MINIGRAD_DATA",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_PATH",
)
SMI = ("nvidia-smi", "--query-gpu=driver_version,name,memory.total,compute_cap", "--format=csv")
DRIVERS = {"cuda12": 525, "cuda13": 580}  # the extras for CuPy, and the first driver for each
MISSING = "not installed"
LABEL = 20  # the width of the column of names


class Row(NamedTuple):
    """One line of the report; `cure` is one sentence where something is missing."""

    what: str
    found: str
    cure: str = ""


def report(more: Iterable[Row], backend: str | None = None) -> int:
    """Print what is found, and `more` rows; 0 if NumPy works, and the backend that is named.

    Rows are printed as they come, so that a library that crashes is the one after the last.
    Raises ValueError for the name of no backend.
    """
    check_known(backend or "numpy")
    status = 0
    for section in (python, numpy, numba, driver, cupy):
        well = _print(section())
        if section.__name__ in ("numpy", backend) and not well:
            status = 1
    _print(more)
    return status


def report_driver(extra: str) -> int:
    """Print which driver and devices there are; 0 if they can run that extra for CuPy, else 1."""
    return 0 if _print(driver(DRIVERS[extra])) else 1


def python() -> Iterator[Row]:
    """The interpreter, the machine, and the settings in the environment."""
    yield Row(PROJECT, _version(PROJECT))
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    yield Row("Python", f"{platform.python_version()} on {system}")
    yield Row("cores", str(os.cpu_count()))
    given = [f"{name}={os.environ[name]}" for name in SETTINGS if name in os.environ]
    yield Row("environment", " ".join(given) or "nothing set that is read here")
    if chosen := os.environ.get("MINIGRAD_BACKEND"):
        try:
            make(chosen)
        except (RuntimeError, ValueError) as error:
            yield Row("MINIGRAD_BACKEND", chosen, f"Unset it, or: {error}")


def numpy() -> Iterator[Row]:
    """NumPy, the BLAS behind its matrix products, and whether they are right."""
    yield Row("NumPy", np.__version__)
    try:
        yield Row("BLAS", _blas())
    except Exception as error:  # threadpoolctl failed, or this NumPy does not know its BLAS
        yield Row("BLAS", one_line(error))
    yield from _probes(make("numpy"), "Install NumPy anew: pip install --force-reinstall numpy.")


def _blas() -> str:
    from threadpoolctl import threadpool_info

    config: Any = np.show_config(mode="dicts")
    built = config["Build Dependencies"]["blas"]
    loaded = [
        f"{lib['internal_api']} {lib['version']}, {lib['num_threads']} threads"
        for lib in threadpool_info()
        if lib["user_api"] == "blas"
    ]
    return "; ".join([f"{built['name']} {built['version']}", *loaded])


def numba() -> Iterator[Row]:
    """numba, which compiles a rule to one loop where it is asked to."""
    found = _version("numba")
    yield Row("numba", found, f"To step faster, {install('numba')}." if found == MISSING else "")


def driver(first: int = 0) -> Iterator[Row]:
    """NVIDIA's driver and its devices, as nvidia-smi has them; `first` is the one it must be."""
    try:
        said = subprocess.run(SMI, capture_output=True, text=True, timeout=60)
    except OSError:
        cure = "On a machine with an NVIDIA GPU, install its driver; NumPy needs none."
        yield Row("NVIDIA driver", "none (no nvidia-smi)", cure)
    except subprocess.SubprocessError as error:
        yield Row("NVIDIA driver", one_line(error), "Start the machine anew.")
    else:
        devices = said.stdout.splitlines()[1:]
        if said.returncode or not devices:
            cure = "Install the driver anew, or start the machine anew, until nvidia-smi works."
            found = " ".join((said.stdout + said.stderr).split()) or "names no device"
            yield Row("NVIDIA driver", found, cure)
            return
        for device in devices:
            number = device.partition(".")[0]
            old = number.isdecimal() and int(number) < first
            yield Row("NVIDIA driver", device, f"Install a driver from {first} on." if old else "")


def wheels() -> list[str]:
    """The installed distributions that are CuPy."""
    return sorted(set(packages_distributions().get("cupy", ())))


def cupy() -> Iterator[Row]:
    """CuPy, the devices it sees, and whether what it computes on one is right."""
    names = wheels()
    best = f"{install('cuda12')}, or [cuda13] with a driver from {DRIVERS['cuda13']} on."
    if not names:
        yield Row("CuPy", MISSING, f"With an NVIDIA GPU, {best}")
        return
    anew = f"pip uninstall {' '.join(names)}, then {best}"
    installed = ", ".join(f"{name} {_version(name)}" for name in names)
    yield Row("CuPy", installed, f"They overwrite each other: {anew}" if len(names) > 1 else "")
    try:
        backend = make("cupy")
        runtime = backend.namespace.cuda.runtime
        known, used = runtime.driverGetVersion(), runtime.runtimeGetVersion()
        yield Row(
            "CUDA", f"{_cuda_version(used)} in CuPy, up to {_cuda_version(known)} in the driver"
        )
        for i in range(runtime.getDeviceCount()):
            it = runtime.getDeviceProperties(i)
            memory = f"{it['totalGlobalMem'] / 2**30:.1f} GiB"
            capability = f"compute capability {it['major']}.{it['minor']}"
            yield Row(f"device {i}", f"{it['name'].decode()}, {memory}, {capability}")
    except Exception as error:  # a broken CuPy or driver can raise anything
        no_device = isinstance(error, RuntimeError) and error.__cause__ is None
        see = "See NVIDIA driver above, and that CUDA_VISIBLE_DEVICES hides no device."
        yield Row("device", _unframed(error), see if no_device else anew)
        return
    yield from _probes(backend, anew)


def _kernel(backend: Backend) -> Array:
    xp = backend.namespace
    p, g = (xp.asarray(values, "float32") for values in ([1, 2, 3], [-4, 5, 6]))
    if backend.on_host:
        p -= 0.5 * g / xp.sqrt(g * g)
    else:
        step = xp.ElementwiseKernel("T g, T lr", "T p", "p -= lr * g / sqrt(g * g)", "probe")
        step(g, 0.5, p)
    return p


def _product(backend: Backend) -> Array:
    x = backend.namespace.asarray([[1, 2], [3, 4]], "float32")
    return x @ x


def _eigenvalues(backend: Backend) -> Array:
    xp = backend.namespace
    return xp.linalg.eigh(xp.asarray([[2, 1], [1, 2]], "float32"))[0]


# One for each library that CuPy needs: NVRTC, cuBLAS, cuSOLVER
PROBES: dict[str, tuple[Callable[[Backend], Array], Any]] = {
    "kernel": (_kernel, [1.5, 1.5, 2.5]),
    "product": (_product, [[7, 10], [15, 22]]),
    "eigenvalues": (_eigenvalues, [1, 3]),
}


def _probes(backend: Backend, cure: str) -> Iterator[Row]:
    for name, (compute, expected) in PROBES.items():
        try:
            got = backend.to_host(compute(backend))
            right = np.allclose(got, expected, rtol=1e-5)
            found = "right" if right else f"wrong: {got.tolist()} instead of {expected}"
        except Exception as error:
            right, found = False, _unframed(error)
        yield Row(f"{backend.name}: {name}", found, "" if right else cure)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return MISSING


def _cuda_version(number: int) -> str:
    """CUDA's 12080 as 12.8."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _unframed(error: Exception) -> str:
    """An error in one line, without the frames that CuPy draws around its messages."""
    return re.sub(r"(={3,}|\s)+", " ", one_line(error))


def _print(rows: Iterable[Row]) -> bool:
    """Print rows; whether none of them needs a cure."""
    well = True
    for row in rows:
        well &= not row.cure
        for start, text in ((row.what, row.found), (" " * (LABEL - 3) + "->", row.cure)):
            if text:
                lines = TextWrapper(100, f"{start:{LABEL}}", " " * LABEL, break_on_hyphens=False)
                print(lines.fill(text), flush=True)
    return well
