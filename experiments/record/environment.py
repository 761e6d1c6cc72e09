"""What the numbers of a run may depend on beside its settings."""

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from minigrad.doctor import driver, wheels

PACKAGES = "minigrad", "optim", "models", "experiments"


def environment(backend: str) -> dict[str, Any]:
    """What the numbers may depend on, for the manifest."""
    device = backend == "cupy"
    return {
        "backend": backend,
        "device": [row.found for row in driver()] if device else [],
        "python": platform.python_version(),
        "versions": {
            name: version(name) for name in ("numpy", "matplotlib", *(wheels() if device else ()))
        },
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "blas": [f"{lib['internal_api']} {lib['version']}" for lib in threadpool_info()],
        "blas_threads": 1,
        "code": code(),
    }


@cache
def code() -> str:
    """The SHA-256 of the project's Python files, names and texts."""
    root, digest = Path(__file__).parents[2], hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            text = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()} {len(text)}\n".encode() + text)
    return digest.hexdigest()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "")
