"""What CuPy makes of a kernel of array expressions: needs CuPy, but no device."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minigrad.backend import positional, tracing_cupy

SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "true_divide": "/"}


def fused(
    kernel: Callable[..., None],
    arrays: Mapping[str, Any],
    scalars: Mapping[str, Any],
    name: str = "kernel",
) -> Any:
    """The cupy.ElementwiseKernel that cupy.fuse makes of a call of the kernel.

    The arguments are arrays of the host, by name, of which only shape and dtype count. Raises
    ImportError where CuPy is not installed, and TypeError where the kernel reduces.
    """
    with tracing_cupy() as (cupy, fusion, local):
        nowhere = cupy.cuda.memory.UnownedMemory(0x1000, 2**20, None, 0)  # an address, never read
        pointer = cupy.cuda.memory.MemoryPointer(nowhere, 0)

        def on_device(value: Any) -> Any:
            return cupy.ndarray(value.shape, value.dtype, memptr=pointer)

        values = [on_device(array) for array in arrays.values()]
        values += [on_device(v) if np.ndim(v) else np.asarray(v)[()] for v in scalars.values()]
        local.history = history = fusion._FusionHistory()
        local.is_old_fusing = True
        try:
            made, _ = history.get_fusion(
                positional(kernel, len(arrays), tuple(scalars)), values, name
            )
        finally:
            local.history, local.is_old_fusing = None, False
        if not isinstance(made, cupy.ElementwiseKernel):
            raise TypeError(f"{name} reduces an array; take the reduction out of the kernel.")
        return made


def readable(made: Any, names: list[str]) -> str:
    """The operands of what `fused` made, by these names, and its operations in order."""
    operands = made.in_params + made.out_params
    known = {p.name: name for p, name in zip(operands, names, strict=True)}
    known |= dict(re.findall(r"^const .* (v\d+) = (.*);$", made.operation, re.M))
    lines = [", ".join(f"{p.ctype} {known[p.name]}" for p in operands), ""]
    for step in made.operation.split("// op ")[1:]:
        function = re.search(r"^cupy_(\w+)\(", step, re.M)
        *given, target = (known.get(v, v) for v in re.findall(r"static_cast<.*>\((v\d+)\);", step))
        assert function
        if function[1] in SIGNS:
            value = f" {SIGNS[function[1]]} ".join(given)
        else:
            value = f"{function[1]}({', '.join(given)})"
        lines.append(f"{target} = {value}")
    return "\n".join(lines)
