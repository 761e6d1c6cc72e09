"""Tensor, and `backward`, which walks the recorded graph from the newest tensor to the oldest."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from minigrad.backend import Array, to_host, xp
from minigrad.convert import REAL, array_of, plain
from minigrad.protocols import array_function, array_ufunc
from minigrad.walk import topological_order, unbroadcast

Pullback = Callable[..., Array]  # from the gradient of a result to that of an operand
# A Tensor or a Borrowed array, its version when it was used, and its pullback
Input = tuple[Any, Any, Pullback | None]

FLOATS = ("float32", "float64")
_clock = itertools.count()


class Tensor:
    """An array that remembers how it was computed.

    float32 unless `dtype` says otherwise or `data` is a float64 array. Raises TypeError for data
    that are no real numbers, and where a gradient is asked of something that is not float32 or
    float64.

    Beside a float32 Tensor only a float64 Tensor, or a float64 array with at least one axis, makes
    float64: numbers, 0-d arrays, integers and booleans leave float32.
    """

    __slots__ = (
        "__weakref__",
        "_born",  # position on the tape: operands are always older
        "_claim",  # of the optimizer that updates it: see Parameters.claim
        "_data",
        "_grad",
        "_grad_exposed",  # somebody may hold the array _grad, so zero_grad has to write zeros to it
        "_grad_is_zero",  # the gradient is zero, but _grad holds an old one: see _zero_grad
        "_inputs",  # one Input for each operand; none for a leaf, and none after backward
        "_made_by",  # the name of the op that computed it
        "_span",  # (arena, start): where it lives, once adopted
        "_version",
        "is_leaf",  # whether it was made, not computed from tensors that require a gradient
        "requires_grad",
    )
    __array_ufunc__, __array_function__ = array_ufunc, array_function
    # Those of an array and of a DataFrame are lower: array + tensor calls Tensor.__radd__
    __array_priority__, __pandas_priority__ = 1000, 5000

    def __init__(self, data: Any, requires_grad: bool = False, dtype: Any = None):
        if isinstance(data, Tensor):
            data = data._data
        try:
            array = array_of(data)
        except TypeError as error:
            raise TypeError(f"Tensor({' '.join(f'{data!r:.60}'.split())}): {error}") from error
        if dtype is None:
            given = array.dtype if hasattr(data, "__array__") else np.dtype("float32")
            if requires_grad and given.kind != "f":
                raise TypeError(
                    f"Tensor(data of dtype {given}, requires_grad=True): only floats have "
                    "gradients; convert the data or pass dtype='float32'."
                )
            dtype = "float64" if given.char == "d" else "float32"
        if np.dtype(dtype).char not in REAL:
            raise TypeError(f"dtype {dtype}: give a real one, of float64 at most.")
        if requires_grad and np.dtype(dtype) not in FLOATS:
            raise TypeError(
                f"dtype {dtype}: tensors that require gradients are float32 or float64."
            )
        self._set(xp.array(array, dtype=dtype), requires_grad, ())

    def _set(
        self, data: Array, requires_grad: bool, inputs: Sequence[Input], made_by: str = ""
    ) -> None:
        self._data = data
        self._made_by = made_by
        self.requires_grad = requires_grad
        self._inputs = inputs
        self.is_leaf = not inputs
        self._born = next(_clock)
        self._version = 0
        self._grad_is_zero = self._grad_exposed = False
        self._grad: Array = None
        self._span: Any = None
        self._claim: Any = None

    @property
    def data(self) -> Array:
        """The array. To assign to that of a leaf is to copy into it, after which `backward` refuses
        the graphs that used it. What is written to `data[...]`, or to a Tensor that is a view of
        it, goes unnoticed.
        """
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self._version += 1  # first: t.data += 1 has written even where what follows raises
        if not self.is_leaf:
            raise TypeError(
                "t.data = value would change what the tape has recorded: t is no leaf; "
                "compute a new tensor."
            )
        if value is not self._data:
            self._data[...] = as_array_like(value, self._data, "data")

    @property
    def grad(self) -> Array:
        """The gradient accumulated so far; None before the first one of a loose leaf."""
        self._grad_exposed = True
        self._materialize_grad()
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is self._grad:
            return
        if self._span is None:
            self._grad = None if value is None else as_array_like(value, self._data, "grad").copy()
        else:
            self._grad[...] = 0 if value is None else as_array_like(value, self._data, "grad")
            self._grad_is_zero = False

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self._data.shape
        return shape

    @property
    def ndim(self) -> int:
        ndim: int = self._data.ndim
        return ndim

    @property
    def size(self) -> int:
        size: int = self._data.size
        return size

    @property
    def dtype(self) -> Any:
        return self._data.dtype

    @property
    def T(self) -> "Tensor":
        return self.transpose()

    def item(self) -> float:
        """The only element, as a Python number."""
        number: float = self._data.item()
        return number

    def numpy(self) -> Any:
        """The data on the host: the array itself on NumPy, a copy from a device."""
        return to_host(self._data)

    def detach(self) -> "Tensor":
        """A copy that requires no gradient."""
        return Tensor(self._data, dtype=self.dtype)

    def backward(self, grad: Any = None) -> None:
        """Add d(self)/d(leaf), times `grad` (ones for a scalar), to every leaf's `.grad`.

        Raises RuntimeError on a graph that was used before, on one whose leaves have changed
        since, on a tensor that depends on no leaf, and on a non-scalar without `grad`.
        """
        if not self.requires_grad:
            raise RuntimeError(
                "backward(): nothing it was computed from requires a gradient; "
                "set requires_grad=True on the leaves and leave no_grad()."
            )
        if grad is None:
            if self.size != 1:
                raise RuntimeError(
                    f"backward() of shape {self.shape}: reduce it to a scalar, "
                    "with .sum() say, or pass grad= of that shape."
                )
            grad = xp.empty_like(self._data)
            grad.fill(1)
        else:
            grad = as_array_like(grad, self._data, "grad")

        if self.is_leaf:
            self._accumulate(grad)
            return
        self._propagate(grad)

    @np.errstate(under="ignore")  # a gradient too small for its dtype is 0
    def _propagate(self, grad: Array) -> None:
        grads = {self: grad}
        for tensor in topological_order(self):
            grad = grads.pop(tensor)  # complete: all that was computed from `tensor` came before
            for operand, _, pullback in tensor._inputs:
                if pullback is None:
                    continue
                if operand.is_leaf:
                    operand._accumulate_from(pullback, grad)
                else:
                    part = unbroadcast(pullback(grad), operand._data)
                    grads[operand] = grads[operand] + part if operand in grads else part
            tensor._inputs = ()  # frees what the pullbacks hold

    def _accumulate_from(self, pullback: Pullback, grad: Array) -> None:
        """Add what the pullback makes of the gradient `grad` of a result.

        The first one after zero_grad is not added: a pullback with `out` writes it in place.
        """
        if self._grad_is_zero and "out" in (getattr(pullback, "__kwdefaults__", None) or ()):
            pullback(grad, out=self._grad)
            self._grad_is_zero = False
        else:
            self._accumulate(unbroadcast(pullback(grad), self._data))

    def _accumulate(self, gradient: Array) -> None:
        if self._grad is None:
            self._grad = xp.array(gradient)
        elif self._grad_is_zero:
            self._grad[...] = gradient
            self._grad_is_zero = False
        else:
            self._grad += gradient

    def _zero_grad(self) -> None:
        """Set the gradient to zero.

        Where nobody can hold the array, this writes nothing: `backward` overwrites it, and whoever
        reads it calls _materialize_grad first.
        """
        if self._grad_exposed:
            self._grad[...] = 0
        else:
            self._grad_is_zero = True

    def _materialize_grad(self) -> None:
        """Write the zeros that _zero_grad left out."""
        if self._grad_is_zero:
            self._grad[...] = 0
            self._grad_is_zero = False

    def __reduce__(self) -> Any:
        """Copied or pickled it is a loose leaf, which belongs to no arena and to no optimizer; one
        that was computed is a constant and still no leaf, so that a copied model has the same
        parameters and saves the same."""
        self._materialize_grad()
        kept = self.requires_grad and self.is_leaf
        return _copied, (self._data, self._grad, kept, self.is_leaf)

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator["Tensor"]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        wants = ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({self.numpy()!r}{wants})"

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            "a Tensor is not converted implicitly, which would lose its gradient; use .numpy() or "
            ".data, and ops.stack for a list of Tensors."
        )

    def __bool__(self) -> bool:
        return bool(self._data)

    def __float__(self) -> float:
        return float(self._data)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError(
            "t[...] = value would change what the tape has recorded; use ops.where, "
            "or t.data = value for a leaf."
        )

    def _in_place(self, other: Any) -> NoReturn:
        raise TypeError(
            "t += value and its kin would rebind the name to a new tensor; write t = t + value, "
            "or t.data += value to change a leaf."
        )

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = __imatmul__ = _in_place

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Array:
        return self._data == raw(other)

    def __ne__(self, other: object) -> Array:
        return self._data != raw(other)

    def __lt__(self, other: Any) -> Array:
        return self._data < raw(other)

    def __le__(self, other: Any) -> Array:
        return self._data <= raw(other)

    def __gt__(self, other: Any) -> Array:
        return self._data > raw(other)

    def __ge__(self, other: Any) -> Array:
        return self._data >= raw(other)

    if TYPE_CHECKING:  # every op is a method too; minigrad/ops.py adds them

        def __getattr__(self, name: str) -> Callable[..., "Tensor"]: ...

        def _op(self, other: Any) -> "Tensor": ...

        __add__ = __sub__ = __mul__ = __truediv__ = __pow__ = __matmul__ = __getitem__ = _op
        __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rpow__ = __rmatmul__ = _op

        def __neg__(self) -> "Tensor": ...

        def __abs__(self) -> "Tensor": ...


def _copied(data: Array, grad: Array, requires_grad: bool, is_leaf: bool) -> Tensor:
    tensor = Tensor(data, requires_grad, data.dtype)
    tensor.grad, tensor.is_leaf = grad, is_leaf
    return tensor


def raw(value: Any) -> Any:
    """What arithmetic takes: a Tensor's array, a plain array, a Python number for a single one
    (which does not promote float32), anything else as it is."""
    kind = type(value)
    if kind is float or kind is int:
        return value
    if isinstance(value, Tensor):
        return value._data
    value = plain(value)
    if isinstance(value, np.generic) or (type(value) is np.ndarray and not value.ndim):
        return value.item()
    return value


def as_array_like(value: Any, like: Array, what: str) -> Array:
    """`value` as an array of the dtype of `like`; raises ValueError if its shape differs, and
    TypeError for what are no real numbers."""
    array = value._data if isinstance(value, Tensor) else array_of(value)
    array = xp.asarray(array, dtype=like.dtype)
    if array.shape != like.shape:
        raise ValueError(
            f"{what} of shape {array.shape} does not fit a tensor of shape {like.shape}."
        )
    return array
