"""Module and the layers that the models are made of."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from minigrad import ops
from minigrad.arena import Parameters
from minigrad.backend import xp
from minigrad.convert import plain
from minigrad.tensor import Tensor
from minigrad.values import copy_values, load_values


class Module:
    """Something with parameters: attributes that are Tensors or Modules (Sequential for a list)."""

    training = True  # Dropout, say, is something else otherwise

    def forward(self, x: Any) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no forward(x); define it.")

    def __call__(self, x: Any) -> Tensor:
        """forward(x), where x is a Tensor, or any array: one on the host is moved to the device. Of
        a list a Tensor is made, of float32."""
        if not isinstance(x, Tensor):
            x = plain(x)
            x = xp.asarray(x) if hasattr(x, "dtype") else Tensor(x)
        return self.forward(x)

    def train(self, mode: bool = True) -> Self:
        """Be as in training, with every Module in it; gives the Module back."""
        self.training = mode
        for child in self.children().values():
            if isinstance(child, Module):
                child.train(mode)
        return self

    def eval(self) -> Self:
        """Be as in use, not as in training, with every Module in it; gives the Module back."""
        return self.train(False)

    def children(self) -> dict[str, Any]:
        """What may be or have parameters, by name: the attributes."""
        return vars(self)

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Tensors that require a gradient, in the order of declaration; a tied one by each name."""
        return ((name, t) for name, t in self.named_tensors() if t.requires_grad)

    def named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All Tensors, also those that are constant or frozen, otherwise as `named_parameters`."""
        for name, child in self.children().items():
            if isinstance(child, Tensor):
                yield name, child
            elif isinstance(child, Module):
                for path, tensor in child.named_tensors():
                    yield f"{name}.{path}", tensor
            elif _holds_parts(child):
                raise TypeError(
                    f"{name} is a {type(child).__name__} of parts; make each an attribute, or use "
                    "Sequential."
                )

    def parameters(self) -> Parameters:
        """Every parameter once, in the order of declaration; the first call makes the arena."""
        return Parameters(_once(self.named_parameters()))

    def __repr__(self) -> str:
        """The modules and Tensors inside, by name, a line each."""
        lines = []
        for name, child in self.children().items():
            if isinstance(child, Tensor):
                lines.append(f"{name}: {child.shape} {child.dtype}")
            elif isinstance(child, Module):
                lines += f"{name}: {child!r}".splitlines()
        inside = "".join(f"\n  {line}" for line in lines)
        return f"{type(self).__name__}({inside}\n)" if lines else f"{type(self).__name__}()"

    def state_dict(self) -> dict[str, Any]:
        """A copy of every Tensor's values by name, frozen or not, on the host."""
        return copy_values(self._saved_tensors())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy values in; raises ValueError, and changes nothing, where they do not fit."""
        load_values(self._saved_tensors(), state)

    def _saved_tensors(self) -> dict[str, Tensor]:
        """The Tensors that a state holds: not those that were computed from others."""
        return _once((name, t) for name, t in self.named_tensors() if t.is_leaf)


def _once(named: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors by the first of their names."""
    first: dict[Tensor, str] = {}
    for name, tensor in named:
        first.setdefault(tensor, name)
    return {name: tensor for tensor, name in first.items()}


def _holds_parts(value: Any) -> bool:
    """Whether it is a collection with Modules or Tensors in it, at any depth."""
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (list, tuple, set, frozenset)):
        return False
    return any(isinstance(one, (Module, Tensor)) or _holds_parts(one) for one in value)


class Linear(Module):
    """x W + b, with W (n_in, n_out) uniform in +-1/sqrt(n_in) and b zero."""

    def __init__(self, n_in: int, n_out: int, *, rng: Any = None, dtype: Any = "float32"):
        if n_in < 1 or n_out < 1:
            raise ValueError(f"Linear({n_in}, {n_out}): both sizes must be at least 1.")
        bound = n_in**-0.5
        weight = np.random.default_rng(rng).uniform(-bound, bound, (n_in, n_out))
        self.weight = Tensor(weight, requires_grad=True, dtype=dtype)
        self.bias = Tensor(np.zeros(n_out), requires_grad=True, dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        return ops.linear(x, self.weight, self.bias)


class ReLU(Module):
    def forward(self, x: Any) -> Tensor:
        return ops.relu(x)


class Tanh(Module):
    def forward(self, x: Any) -> Tensor:
        return ops.tanh(x)


class Sigmoid(Module):
    def forward(self, x: Any) -> Tensor:
        return ops.sigmoid(x)


class Sequential(Module):
    """Modules applied one after another; its parameters are named by position."""

    def __init__(self, *layers: Module):
        self.layers = layers

    def children(self) -> dict[str, Any]:
        others = {name: value for name, value in vars(self).items() if name != "layers"}
        return {str(i): layer for i, layer in enumerate(self.layers)} | others

    def forward(self, x: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        result: Tensor = x
        return result
