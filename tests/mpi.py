"""Starting real processes under MPI."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SECONDS = 120
beside = Path(sys.executable).with_name("mpiexec")  # where the wheel of mpich leaves it
MPIEXEC = str(beside) if beside.exists() else shutil.which("mpiexec")
LACKING = [
    what for what, there in {"mpi4py": find_spec("mpi4py"), "mpiexec": MPIEXEC}.items() if not there
]

needs_mpi = pytest.mark.skipif(
    bool(LACKING),
    reason=f"needs {' and '.join(LACKING)}: pip install mpi4py mpich",
)


def mpiexec(n: int, *arguments: Any, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `python *arguments` does on n ranks, each with one BLAS thread."""
    assert MPIEXEC is not None
    return subprocess.run(
        [MPIEXEC, "-n", str(n), sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
    )
