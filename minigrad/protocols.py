"""What NumPy's functions find where they meet a Tensor: an error that names the op to use.

NumPy would lose the gradient. Only operators are computed: where an array stands left of a Tensor,
NumPy asks for the ufunc of the operator, and gets what the Tensor makes of it.
"""

from collections.abc import Callable
from typing import Any, NoReturn

# Methods of a Tensor at the right of the operator that calls the ufunc
REFLECTED = {
    "add": "__radd__",
    "subtract": "__rsub__",
    "multiply": "__rmul__",
    "divide": "__rtruediv__",
    "power": "__rpow__",
    "matmul": "__rmatmul__",
    "equal": "__eq__",
    "not_equal": "__ne__",
    "less": "__gt__",
    "less_equal": "__ge__",
    "greater": "__lt__",
    "greater_equal": "__le__",
}
# Ops whose name is not NumPy's
OPS = {
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "negative": "neg",
    "power": "pow",
    "square": "pow",
    "absolute": "abs",
    "fabs": "abs",
    "logaddexp": "logsumexp",
    "amax": "max",
    "amin": "min",
    "dot": "matmul",
    "inner": "matmul",
    "vdot": "matmul",
    "take": "getitem",
    "ravel": "reshape",
    "permute_dims": "transpose",
    "hstack": "concatenate",
    "vstack": "concatenate",
    "append": "concatenate",
}


class OfTheClass:
    """A protocol of NumPy, which asks the class of a Tensor for it. CuPy, masked arrays and xarray
    ask the Tensor: without one they go by `__array_priority__`, or refuse."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function

    def __get__(self, tensor: Any, owner: type) -> Callable[..., Any]:
        if tensor is None:
            return self.function
        raise AttributeError(f"a Tensor has no {self.function.__name__} of its own")


@OfTheClass
def array_ufunc(tensor: Any, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """`Tensor.__array_ufunc__`."""
    name = ufunc.__name__
    if name in REFLECTED and method == "__call__" and not options and inputs[0] is not tensor:
        return getattr(tensor, REFLECTED[name])(inputs[0])
    refuse(name)


@OfTheClass
def array_function(tensor: Any, function: Any, _: Any, arguments: Any, options: Any) -> Any:
    """`Tensor.__array_function__`."""
    name = function.__name__
    if name in ("shape", "ndim", "size") and len(arguments) == 1 and not options:
        return getattr(arguments[0], name)
    refuse(name, function.__module__)


def refuse(name: str, module: str = "numpy") -> NoReturn:
    """Raise TypeError for a function of NumPy that was called on a Tensor."""
    from minigrad.tape import OPS as ops  # here: the tape needs Tensor first

    op = OPS.get(name, name)
    ours = f"minigrad.ops.{op}, or " if op in ops else ""
    raise TypeError(
        f"np{module.removeprefix('numpy')}.{name} would lose the gradient of a Tensor; use {ours}"
        f".numpy() for the values alone{'' if ours else ': minigrad.ops has no op of that name'}."
    )
