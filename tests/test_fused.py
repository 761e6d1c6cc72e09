"""What CuPy would make of each rule, without a device."""

import inspect
import re

import numpy as np
import pytest
from driving import drive, gradients, start, tensors
from test_rules import TABLE, both_dtypes

from minigrad.backend import current, positional, xp
from minigrad.fused import cuda_source

TYPES = {"float32": "float", "float64": "double"}
fusable = pytest.mark.parametrize(
    "rule", [rule for rule in TABLE if not rule.per_tensor], ids=lambda rule: rule.__name__
)


def test_keywords_become_positions_in_their_order():
    def kernel(p, g, *, lr, eps):
        p.append((g, lr, eps))

    seen = []
    positional(kernel, 2, ("eps", "lr"))(seen, "g", "eps", "lr")
    assert seen == [("g", "lr", "eps")]


@fusable
@both_dtypes
def test_each_pass_is_one_kernel_in_the_dtype_of_the_arena(rule, dtype):
    pytest.importorskip("cupy", reason="CuPy is not installed")
    opt = rule(tensors(start(dtype)))
    drive(opt, gradients(1))
    before = dict(vars(xp))
    for name, (_, blocks, wanted) in opt._prepared.items():
        kernel = getattr(rule, name)
        arrays = dict(zip(inspect.signature(kernel).parameters, blocks[0][1], strict=False))
        ndims = {key: array.ndim for key, array in arrays.items()}
        source = cuda_source(kernel, ndims, tuple(wanted or opt._scalars), dtype)
        used = set(re.findall(r"^(?:// \w+: )?(float|double|int|long long|bool) ", source, re.M))
        assert TYPES[dtype] in used and used <= {TYPES[dtype], "bool"}, (name, used)
    assert dict(vars(xp)) == before and xp.sqrt is np.sqrt and current().name == "numpy"
