"""An array and its ufuncs that do what CuPy's do, and refuse what CuPy refuses.

The memory is a private NumPy array, so that the numbers are NumPy's; nothing converts or moves
unless it is asked to. Where CuPy helps itself silently, by copying an index from the host or by
sending np.sqrt(array) to cupy.sqrt, the stand-in raises.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any

import numpy as np

from tests.device.strict.snapshot import PATH

API = json.loads(PATH.read_text())
NUMBERS = (bool, int, float, complex, np.generic)
counts: Counter[str] = Counter()  # launches, to_device, to_host, synchronizations, compiled
# What CuPy computes in several kernels: zeros; a remainder, a product and a sum for either index
LAUNCHES = {"ravel_multi_index": 7}
quiet = Context()  # a device does not trap
quiet.run(np.seterr, all="ignore")


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Gives what was counted inside, once it is over."""
    before, inside = counts.copy(), Counter[str]()
    yield inside
    inside.update(counts - before)


def run(name: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What NumPy's function makes of the memory of arrays, as new arrays or views."""
    given = [memory(a, name) for a in arguments]
    result = quiet.run(function, *given, **{k: memory(v, name) for k, v in options.items()})
    if options.get("out") is not None:
        counts["launches"] += 1
        return options["out"]
    parts = result if isinstance(result, (tuple, list)) else [result]
    sources = [a for a in _flat(given) if isinstance(a, np.ndarray)]
    if result is None or any(
        isinstance(part, (np.ndarray, np.generic))
        and not any(np.may_share_memory(part, source) for source in sources)
        for part in parts
    ):
        counts["launches"] += LAUNCHES.get(name, 1)
    return boxed(result)


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        yield from _flat(value) if isinstance(value, (list, tuple)) else [value]


def memory(value: Any, where: str) -> Any:
    """The memory of an array; anything else as it is, but no array of the host."""
    if isinstance(value, Array):
        return value._memory
    if isinstance(value, np.ndarray):
        raise TypeError(f"{where}: Unsupported type {type(value)}; move it with xp.asarray.")
    if isinstance(value, (list, tuple)):
        return type(value)(memory(part, where) for part in value)
    return value


def boxed(value: Any) -> Any:
    """Arrays for what NumPy returns; also for its scalars, which stay on a device."""
    if isinstance(value, (np.ndarray, np.generic)):
        return Array(np.asarray(value))
    if isinstance(value, (list, tuple)):
        return (
            type(value)(map(boxed, value)) if type(value) in (list, tuple) else [*map(boxed, value)]
        )
    return value


def synchronize() -> None:
    """Wait for the device."""
    counts["synchronizations"] += 1


class Ufunc:
    """A ufunc with CuPy's keywords and methods."""

    def __init__(self, name: str):
        kind, nin, nout, *at = API["cupy"][name].split()
        assert kind == "ufunc"
        self.name, self.nargs, self.function = name, int(nin) + int(nout), getattr(np, name)
        self.nin, self.takes_at = int(nin), bool(at)

    def __call__(self, *operands: Any, **options: Any) -> Any:
        if wrong := set(options) - {"out", "dtype", "casting"}:
            raise TypeError(f"Wrong arguments {wrong} of cupy.{self.name}.")
        if not self.nin <= len(operands) <= self.nargs:
            raise TypeError(f"Wrong number of arguments for cupy.{self.name}.")
        for operand in operands:
            self._check(operand)
        given = [memory(operand, self.name) for operand in operands]
        out = [*operands[self.nin :], *[o for o in [options.pop("out", None)] if o is not None]]
        for one in out:
            if not isinstance(one, Array):
                raise TypeError(f"{self.name}: out is a {type(one).__name__}, not on the device.")
        if out:
            options["out"] = tuple(one._memory for one in out)
        counts["launches"] += 1
        result = quiet.run(self.function, *given[: self.nin], **options)
        return out[0] if len(out) == 1 else tuple(out) if out else boxed(result)

    def _check(self, operand: Any) -> None:
        if not isinstance(operand, (Array, np.ndarray, *NUMBERS)):
            raise TypeError(f"{self.name}: Unsupported type {type(operand)}.")

    def at(self, array: Any, index: Any, values: Any = None) -> None:
        """Unbuffered in place: repeated indices count each time."""
        if not self.takes_at:
            raise NotImplementedError(f"cupy.{self.name}.at")
        key, kinds = array._key(index)
        if "b" in kinds:
            synchronize()  # to see how many there are
        given = [] if values is None else [values]
        run(f"{self.name}.at", lambda a, *v: self.function.at(a, key, *v), array, *given)

    def reduce(
        self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> Any:
        """For sums and products only."""
        return self._method("reduce", array, axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def accumulate(self, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """For sums and products only."""
        return self._method("accumulate", array, axis=axis, dtype=dtype, out=out)

    def outer(self, first: Any, second: Any) -> Any:
        """All pairs."""
        return run(f"{self.name}.outer", self.function.outer, first, second)

    def _method(self, method: str, array: Any, **options: Any) -> Any:
        if self.name not in ("add", "multiply"):
            raise NotImplementedError(f"cupy.{self.name}.{method}")
        return run(f"{self.name}.{method}", getattr(self.function, method), array, **options)


class Array:
    """cupy.ndarray, as far as this project may need it."""

    __slots__ = ("__weakref__", "_memory")
    __hash__ = None
    __array_priority__ = 100

    def __init__(self, memory: Any):
        self._memory = memory

    # To the host

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed; use to_host(array).")

    def __array_function__(self, function: Any, *_: Any) -> Any:
        raise TypeError(f"np.{function.__name__} of a device array; use xp, or to_host(array).")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        scalars = any(isinstance(value, np.generic) for value in inputs)
        if method == "__call__" and scalars and not options:  # np.float64(2) * array
            return UFUNCS[ufunc.__name__](*inputs)
        raise TypeError(f"np.{ufunc.__name__} of a device array; use xp, or to_host(array).")

    def get(self, *_: Any, **__: Any) -> Any:
        synchronize()
        counts["to_host"] += 1
        return self._memory.copy()

    def item(self) -> Any:
        synchronize()
        return self._memory.item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def __bool__(self) -> bool:
        synchronize()
        return bool(self._memory)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __repr__(self) -> str:
        return repr(self.get())

    def __format__(self, spec: str) -> str:
        return format(self.get() if self.ndim else self.item(), spec)

    # Shape and parts

    def __len__(self) -> int:
        return len(self._memory)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        key, kinds = self._key(key)
        if "b" in kinds:
            synchronize()  # to see how many there are
        return run("indexing", lambda a: a[key], self)

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(value, (Array, np.ndarray, *NUMBERS)):
            raise TypeError(f"array[...] = {type(value).__name__}: make it an array of the device.")
        given = memory(value, "array[...] = value")
        whole, kinds = self._key(key)
        if "b" in kinds:
            synchronize()  # to see how many there are, even where they are set to one number
        if np.ndim(given):
            at = np.arange(self.size).reshape(self.shape)[whole]
            if "i" in kinds and len(np.unique(at)) < at.size:
                raise ValueError("array[index] = values with repeated indices: undefined in CuPy.")
        counts["launches"] += 1
        quiet.run(self._memory.__setitem__, whole, given)

    def _key(self, key: Any) -> tuple[Any, str]:
        """A key for the memory, and which kinds of arrays are in it."""
        parts = key if isinstance(key, tuple) else (key,)
        if not any(part is ... for part in parts):
            parts = (*parts, ...)  # so that single elements are views as well
        axes = [_axes(part) for part in parts]
        axis, made, kinds = 0, [], ""
        for part, used in zip(parts, axes, strict=True):
            if isinstance(part, Array):
                mask = part.dtype.kind == "b"
                kinds += "b" if mask else "i"
                # out of bounds, CuPy wraps around
                made.append(part._memory if mask else part._memory % max(self.shape[axis], 1))
            elif part is None or part is ... or isinstance(part, (int, np.integer, slice)):
                made.append(part)
            else:
                raise TypeError(f"a {type(part).__name__} is no index of a device array.")
            axis += self.ndim - sum(axes) if part is ... else used
        return tuple(made), kinds

    def __getattr__(self, name: str) -> Any:
        if name not in API["ndarray"]:
            raise AttributeError(f"cupy.ndarray has no attribute {name!r}")
        value = getattr(self._memory, name)
        if not callable(value):
            return boxed(value)
        check = FITS[name]

        def method(*arguments: Any, **options: Any) -> Any:
            check(self, *arguments, **options)
            if name in ("take", "put") and isinstance(arguments[0], list):
                raise TypeError(f"{name}: a list is no index of a device array.")
            if name in ("nonzero", "compress"):
                synchronize()
            if name == "take":
                options["mode"] = "wrap"
            return run(name, getattr(np.ndarray, name), self, *arguments, **options)

        return method

    def __deepcopy__(self, _: Any) -> Any:
        return self.copy()


def _axes(part: Any) -> int:
    """How many axes of an array a part of a key is for."""
    if part is None or part is ...:
        return 0
    return part.ndim if isinstance(part, Array) and part.dtype.kind == "b" else 1


def fits(said: str, name: str) -> Callable[..., None]:
    """A function that does nothing, of those parameters: a call raises TypeError unless it fits."""
    function: Callable[..., None] = eval(f"lambda {said[1:-1]}: None")
    function.__name__ = f"cupy.{name}"
    return function


FITS = {name: fits(said or "(*_, **__)", name) for name, said in API["ndarray"].items()}
UFUNCS = {
    name: Ufunc(name)
    for name, said in API["cupy"].items()
    if said.startswith("ufunc") and hasattr(np, name)
}


def _operator(ufunc: Callable[..., Any], swapped: bool = False, in_place: bool = False) -> Any:
    def apply(self: Array, *other: Any) -> Any:
        if in_place:
            return ufunc(self, *other, out=self)
        if other and _goes_first(other[0]):
            return NotImplemented  # a Tensor's turn
        return ufunc(*other, self) if swapped else ufunc(self, *other)

    return apply


def _goes_first(other: Any) -> bool:
    """Whether the operator is left to what stands on the right, as CuPy decides it."""
    if hasattr(other, "__array_ufunc__"):
        return other.__array_ufunc__ is None
    return getattr(other, "__array_priority__", 0) > Array.__array_priority__


def _matmul(x: Any, y: Any) -> Any:
    return run("matmul", np.matmul, x, y)


_UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}
_COMPARED = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
_BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}
for _symbol, _name in {**_UNARY, **_COMPARED, **_BINARY}.items():
    setattr(Array, f"__{_symbol}__", _operator(UFUNCS[_name]))
for _symbol, _name in _BINARY.items():
    setattr(Array, f"__r{_symbol}__", _operator(UFUNCS[_name], swapped=True))
    setattr(Array, f"__i{_symbol}__", _operator(UFUNCS[_name], in_place=True))
Array.__matmul__, Array.__rmatmul__ = _operator(_matmul), _operator(_matmul, swapped=True)
