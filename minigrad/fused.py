"""The CUDA source that CuPy makes of a fused kernel: needs CuPy, but no device."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minigrad.backend import positional, tracing_cupy


def cuda_source(
    kernel: Callable[..., None], ndims: Mapping[str, int], scalars: tuple[str, ...], dtype: Any
) -> str:
    """The operands, the preamble and the body of the one elementwise kernel.

    `ndims` has the number of dimensions of each array, by name, in the order of the kernel's
    parameters. Raises ImportError where CuPy is not installed.
    """
    with tracing_cupy() as cupy:
        from cupy._core import _fusion_thread_local, fusion

        nowhere = cupy.cuda.memory.UnownedMemory(0x1000, 2**20, None, 0)
        pointer = cupy.cuda.memory.MemoryPointer(nowhere, 0)
        values = [cupy.ndarray((1000,) * n, dtype, memptr=pointer) for n in ndims.values()]
        values += [np.dtype(dtype).type(1)] * len(scalars)
        local = _fusion_thread_local.thread_local
        local.history = history = fusion._FusionHistory()
        local.is_old_fusing = True
        try:
            made, _ = history.get_fusion(positional(kernel, len(ndims), scalars), values, "kernel")
        finally:
            local.history, local.is_old_fusing = None, False
    operands = made.in_params + made.out_params
    given = [
        f"// {p.name}: {p.ctype} {name}"
        for p, name in zip(operands, [*ndims, *scalars], strict=True)
    ]
    return "\n".join([*given, made.preamble, made.operation])
