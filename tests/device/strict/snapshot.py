"""What CuPy offers, as JSON; the stand-in knows CuPy by this file alone.

    python -m tests.device.strict.snapshot

writes tests/device/strict/cupy.json where CuPy is installed; no device is needed.
"""

import inspect
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

PATH = Path(__file__).with_name("cupy.json")


def snapshot() -> dict[str, Any]:
    """Every public name, with what can be said of a call; raises ImportError without CuPy."""
    import cupy

    return {
        "version": cupy.__version__,
        "cupy": _names(cupy),
        "linalg": _names(cupy.linalg),
        "random": _names(cupy.random),
        "ndarray": _names(cupy.ndarray),
        "Generator": _names(cupy.random.Generator),
    }


def _names(owner: Any) -> dict[str, str]:
    every = {name: getattr(owner, name) for name in dir(owner) if not name.startswith("_")}
    return {name: _said(v) for name, v in every.items() if not isinstance(v, ModuleType)}


def _said(value: Any) -> str:
    """The parameters of a function, each default as None; the operands of a ufunc; else nothing."""
    import cupy

    if isinstance(value, cupy.ufunc):
        return f"ufunc {value.nin} {value.nout}" + (" at" if value._scatter_op else "")
    if isinstance(value, type) or not callable(value):
        return ""
    try:
        every = list(inspect.signature(value).parameters.values())
    except (TypeError, ValueError):  # compiled: the first line of its description says them
        return _compiled((value.__doc__ or "").split("\n")[0])
    plain = [
        p.replace(annotation=p.empty, default=p.empty if p.default is p.empty else None)
        for p in every
    ]
    return str(inspect.Signature(plain))


def _compiled(line: str) -> str:
    """From "ndarray.take(self, int axis=-1) -> ndarray" to "(self, axis=None)"."""
    found = re.match(r"[\w.]+(\(.*\))", line)
    if not found:
        return ""
    without_types = re.sub(r"([(,] ?)[\w.]+ (?=\w)", r"\1", found[1])
    return re.sub(r"=[^,)]+", "=None", without_types)


def write() -> None:
    """Write the file, a name to a line."""
    PATH.write_text(json.dumps(snapshot(), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    write()
