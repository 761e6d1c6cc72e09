"""How long a fresh interpreter takes to import us, and what comes along."""

import os
import subprocess
import sys

UNWANTED = ("matplotlib", "cupy", "numba")


def seconds_to_import(names: str) -> float:
    """The seconds that one import statement takes, without the start of the interpreter."""
    return float(
        _python(
            "import time; start = time.perf_counter()\n"
            f"import {names}\n"
            "print(time.perf_counter() - start)"
        )
    )


def unwanted(names: str) -> list[str]:
    """Which of the modules that importing us must not import it does import."""
    loaded = _python(f"import {names}, sys; print(*sys.modules)").split()
    return [name for name in UNWANTED if name in loaded]


def _python(code: str) -> str:
    # compiled modules are cached, as they are wherever something is imported twice
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
