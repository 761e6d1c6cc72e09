"""cupy.ElementwiseKernel, whose body NumPy runs: one statement after the other, on all coordinates.

The body has to be as optim/engine/cuda.py prints it: assignments, each on a line of its own, whose
expressions are Python's too. What a compiler would refuse is refused.
"""

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from tests.device.strict import device
from tests.device.strict.device import NUMBERS, Array, counts

STATEMENT = re.compile(r"(?:(T|bool) )?(\w+) = (.+);")
BUILT_IN = {"sqrt", "exp", "log", "tanh"}  # of CUDA, beside what the preamble defines
DEFINED = re.compile(r"#define (\w+)|(?:T|bool) (\w+)\(")


class Parameter(NamedTuple):
    """A parameter: of a letter, which stands for a dtype of the call, or of a dtype."""

    type: str
    name: str


class Launch(NamedTuple):
    """What a kernel was given, and what it made of its out parameters."""

    kernel: "ElementwiseKernel"
    dtype: Any  # T
    read: list[Any]
    before: list[Any]
    after: list[Any]


_recorded: list[list[Launch]] = []


@contextmanager
def recording() -> Iterator[list[Launch]]:
    """Gives the launches inside."""
    launches: list[Launch] = []
    _recorded.append(launches)
    try:
        yield launches
    finally:
        _recorded.remove(launches)


class ElementwiseKernel:
    """With the arguments of CuPy's."""

    def __init__(
        self,
        in_params: str,
        out_params: str,
        operation: str,
        name: str = "kernel",
        reduce_dims: bool = True,
        preamble: str = "",
        no_return: bool = False,
        return_tuple: bool = False,
        *,
        options: tuple[str, ...] = (),
    ):
        if not re.fullmatch(r"[a-zA-Z_]\w*", name, re.ASCII):
            raise ValueError(f"Invalid kernel name: {name!r}")
        self.ins, self.outs = _parameters(in_params), _parameters(out_params)
        self.operation, self.name, self.preamble = operation, name, preamble
        self.options = options
        self._no_return, self._return_tuple = no_return, return_tuple
        names = [p.name for p in (*self.ins, *self.outs)]
        if "i" in names or len(set(names)) < len(names):
            raise ValueError(f"{names} cannot be the names of parameters.")
        pairs = DEFINED.findall(preamble)
        self._functions = BUILT_IN.union(macro or function for macro, function in pairs)
        self._statements = self._compiled()
        counts["compiled"] += 1

    def _compiled(self) -> list[tuple[str, str, Any]]:
        """The type that is declared, the name and the expression of each statement."""
        known = {p.name for p in (*self.ins, *self.outs)}
        written = {p.name for p in self.outs}
        found = []
        for line in self.operation.splitlines():
            match = STATEMENT.fullmatch(line)
            if not match:
                raise SyntaxError(f"{self.name}: {line!r} is no assignment.")
            kind, name, expression = match.groups()
            tree = ast.parse(expression, mode="eval")
            read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            if any(isinstance(part, ast.Constant) for part in _outside_casts(tree)):
                raise TypeError(f"{self.name}: {line!r} computes in double, with such a literal.")
            if unknown := read - known - self._functions - {"T"}:
                raise NameError(f"{self.name}: {unknown} undefined in {line!r}.")
            if (name in known) if kind else (name not in written):
                raise NameError(f"{self.name}: {name} cannot be assigned to in {line!r}.")
            known.add(name)
            written.add(name)
            found.append((kind, name, compile(tree, line, "eval")))
        return found

    def __call__(self, *arguments: Any) -> Any:
        """As CuPy: each out parameter is given, or none is."""
        if len(arguments) not in (len(self.ins), len(self.ins) + len(self.outs)):
            raise TypeError(f"Wrong number of arguments for {self.name!r}: {len(arguments)}.")
        for one in arguments:
            if not isinstance(one, (Array, *NUMBERS)):
                raise TypeError(f"{self.name}: Unsupported type {type(one)}.")
        values = [one._memory if isinstance(one, Array) else one for one in arguments]
        read, written = values[: len(self.ins)], values[len(self.ins) :]
        if not all(isinstance(one, np.ndarray) for one in written):
            raise TypeError("Output arguments type must be cupy.ndarray")
        arrays = [one for one in values if isinstance(one, np.ndarray)]
        if not arrays:
            raise ValueError("Loop size is undecided.")
        shape = np.broadcast_shapes(*[one.shape for one in arrays])
        dtypes = self._dtypes(read, written)
        if not written:
            arrays += (written := [np.empty(shape, dtypes[p.type]) for p in self.outs])
        for one in written:
            if one.shape != shape:
                raise ValueError(f"Out shape is mismatched: {one.shape}, not {shape}.")
            if sum(np.may_share_memory(one, other) for other in arrays) > 1:
                raise ValueError(f"{self.name} writes what it also has under another name.")
        if 0 not in shape:
            counts["launches"] += 1
            before = [one.copy() for one in written]
            self.run(dtypes.get("T"), read, written)
            for launches in _recorded:
                kept = [one.copy() if isinstance(one, np.ndarray) else one for one in read]
                after = [one.copy() for one in written]
                launches.append(Launch(self, dtypes.get("T"), kept, before, after))
        result = [Array(one) for one in written]
        if self._no_return:
            return None
        return result[0] if len(result) == 1 and not self._return_tuple else tuple(result)

    def _dtypes(self, read: list[Any], written: list[Any]) -> dict[str, Any]:
        """The dtype of each type; raises TypeError for arrays of another."""
        found = {"float32": np.dtype("float32"), "float64": np.dtype("float64")}
        given = [*zip(self.outs, written, strict=False), *zip(self.ins, read, strict=True)]
        for parameter, value in given:
            if isinstance(value, np.ndarray):
                expected = found.setdefault(parameter.type, value.dtype)
                if value.dtype != expected:
                    raise TypeError(
                        f"Type is mismatched. {parameter.name} {value.dtype} {expected}"
                    )
        return found

    def run(self, dtype: Any, read: list[Any], written: list[Any]) -> None:
        """Run the body on arrays of the host, in the dtype that T is."""
        types = {"T": np.dtype(dtype), "bool": np.dtype(bool)}
        known: dict[str, Any] = {
            **{name: getattr(np, name) for name in self._functions},
            "T": lambda x: np.asarray(x).astype(dtype)[()],
        }
        for parameter, value in zip(self.ins, read, strict=True):
            kind = types.get(parameter.type, parameter.type)
            known[parameter.name] = np.asarray(value).astype(kind)[()]
        out = {p.name: array for p, array in zip(self.outs, written, strict=True)}
        for kind, name, code in self._statements:
            value = device.quiet.run(eval, code, known | out)
            if name in out:
                out[name][...] = value
                continue
            if kind and np.asarray(value).dtype != types[kind]:
                raise TypeError(f"{self.name}: {name} is a {np.asarray(value).dtype}, not {kind}.")
            known[name] = np.copy(value)[()]  # not a name of what is written later


def _outside_casts(tree: ast.AST) -> Iterator[ast.AST]:
    """The parts of an expression that are no argument of T(...)."""
    yield tree
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "T":
        return
    for part in ast.iter_child_nodes(tree):
        yield from _outside_casts(part)


def _parameters(said: str) -> list[Parameter]:
    return [Parameter(*one.split()) for one in said.split(",") if one.strip()]
