"""Parameters: tensors that live in flat, contiguous buffers.

A tensor is loose, with arrays of its own, until it is adopted into an arena; there it stays.
`Parameters` is a list of adopted tensors and the contiguous spans that they occupy, so that an
update rule sees a few flat arrays, cut into blocks that stay in cache.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from minigrad.backend import Array, xp
from minigrad.tensor import FLOATS, Tensor, as_array_like
from minigrad.values import copy_values, load_values


class Arena:
    """One flat buffer of data and one of gradients, of which its tensors become views."""

    def __init__(self, tensors: list[Tensor]):
        self.size = sum(t.size for t in tensors)
        self.data = xp.zeros(self.size, tensors[0].dtype)
        self.grad = xp.zeros(self.size, tensors[0].dtype)
        self.held_back: dict[Tensor, Array] = {}  # what to train on, where others are shown
        start = 0
        for t in tensors:
            data, grad = (
                a[start : start + t.size].reshape(t.shape) for a in (self.data, self.grad)
            )
            data[...] = t._data
            if t._grad is not None:
                grad[...] = t._grad
            t._data, t._grad, t._span = data, grad, (self, start)
            t._version += 1  # graphs recorded so far hold the array from before
            start += t.size


class Span(NamedTuple):
    """Coordinates start to stop of an arena."""

    arena: Arena
    start: int
    stop: int

    @property
    def data(self) -> Array:
        return self.arena.data[self.start : self.stop]

    @property
    def grad(self) -> Array:
        return self.arena.grad[self.start : self.stop]


class Claim:
    """What the optimizer that was built last leaves with the tensors that it updates."""

    def __init__(self, owner: str):
        self.owner = owner


class Parameters:
    """Named tensors in a definite order, adopted into an arena; iterating gives the tensors.

    Raises TypeError for what is not a float leaf that requires a gradient, and ValueError for a
    tensor that comes twice or for two dtypes.
    """

    def __init__(self, named: Mapping[str, Tensor]):
        self.names = tuple(named)
        self.tensors = tuple(named.values())
        _check(self.names, self.tensors)
        loose = [t for t in self.tensors if t._span is None]
        if loose:
            Arena(loose)
        spans: list[Span] = []
        for t in self.tensors:
            arena, start = t._span
            if spans and spans[-1].arena is arena and spans[-1].stop == start:
                spans[-1] = spans[-1]._replace(stop=start + t.size)
            else:
                spans.append(Span(arena, start, start + t.size))
        self.spans = tuple(spans)
        self.size = sum(t.size for t in self.tensors)
        self.dtype = self.tensors[0].dtype
        self._undone = 0  # changes of versions that left the values as they were

    @classmethod
    def of(cls, params: "Parameters | Iterable[Tensor]") -> "Parameters":
        """Parameters as they are, and an ordered collection of Tensors as Parameters."""
        if isinstance(params, Parameters):
            return params
        if isinstance(params, (set, frozenset)):
            raise TypeError("params is a set, which has no order; pass a list.")
        if isinstance(params, Tensor):
            raise TypeError("params is a single Tensor; pass [tensor].")
        if not isinstance(params, Iterable):
            raise TypeError(
                f"params is a {type(params).__name__}; pass a list of Tensors, or the parameters() "
                "of a model."
            )
        return cls({f"params[{i}]": t for i, t in enumerate(params)})

    @property
    def data(self) -> Array:
        """All values as one flat array; writing to it writes to the tensors."""
        return self._only_span().data

    @data.setter
    def data(self, value: Any) -> None:
        self.mark_changed()  # first: params.data += 1 has written even where the next line raises
        span = self._only_span()
        span.data[...] = as_array_like(value, span.data, "data")

    @property
    def grad(self) -> Array:
        """All gradients as one flat array; writing to it writes to the tensors' gradients."""
        span = self._only_span()
        self.materialize_grads()
        for t in self.tensors:
            t._grad_exposed = True
        return span.grad

    @grad.setter
    def grad(self, value: Any) -> None:
        grad = self.grad
        grad[...] = as_array_like(value, grad, "grad")

    def zero_grad(self) -> None:
        """Set every gradient to zero, without writing where `backward` will overwrite it."""
        for t in self.tensors:
            t._zero_grad()

    def materialize_grads(self) -> None:
        """Write the zeros that zero_grad left out. Call it before reading gradients of a span."""
        for t in self.tensors:
            if t._grad_is_zero:
                t._materialize_grad()

    def claim(self, owner: str) -> Claim:
        """Make the optimizer that `owner` names the one that updates these parameters, from now on
        and in place of any before it."""
        claim = Claim(owner)
        for t in self.tensors:
            t._claim = claim
        return claim

    def check_claim(self, claim: Claim) -> None:
        """Raise RuntimeError where a newer optimizer has claimed one of these parameters."""
        for i, t in enumerate(self.tensors):
            if t._claim is not claim:
                raise RuntimeError(
                    f"{self.names[i]} belongs to the {t._claim.owner} that was built after this "
                    f"{claim.owner}; use the newer one, or give each its own part of them."
                )

    def gathered(self) -> Array:
        """A copy of all values as one flat array."""
        return xp.concatenate([span.data for span in self.spans])

    def scatter(self, values: Array) -> None:
        """Set all values from one flat array; raises ValueError where it has another length."""
        if values.shape != (self.size,):
            raise ValueError(
                f"values of shape {values.shape}: give one for each of the {self.size} coordinates."
            )
        start = 0
        for span in self.spans:
            stop = start + span.stop - span.start
            span.data[...] = values[start:stop]
            start = stop
        self.mark_changed()

    @contextmanager
    def holding(self, values: Array) -> Iterator[None]:
        """Inside, the parameters are the flat `values`; afterwards what they were, bit for bit,
        also where they were set inside."""
        before, changes = self.gathered(), self.changes
        outermost, stop = [], 0
        try:
            for t in self.tensors:
                start, stop = stop, stop + t.size
                if t not in t._span[0].held_back:
                    outermost.append(t)
                    t._span[0].held_back[t] = before[start:stop]
            self.scatter(values)
            yield
        finally:
            self.scatter(before)
            for t in outermost:
                del t._span[0].held_back[t]
            self._undone += self.changes - changes

    @property
    def are_shown(self) -> bool:
        """Whether some of them are shown by `holding`, and not the values to train on."""
        for span in self.spans:
            if span.arena.held_back:
                return any(t in t._span[0].held_back for t in self.tensors)
        return False

    def to_train(self) -> Array:
        """A copy of the values to train on, flat, also inside `holding`."""
        each = [t._span[0].held_back.get(t, t._data) for t in self.tensors]
        return xp.concatenate([values.ravel() for values in each])

    @property
    def changes(self) -> int:
        """A number that grows whenever values are set, but for what `holding` has undone."""
        return sum(t._version for t in self.tensors) - self._undone

    def mark_changed(self) -> None:
        """Make `backward` refuse the graphs that were recorded with the values from before."""
        for t in self.tensors:
            t._version += 1

    def state_dict(self) -> dict[str, Any]:
        """A copy of every value by name, on the host."""
        return copy_values(dict(self.items()))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy values in; raises ValueError, and changes nothing, where names or shapes differ."""
        load_values(dict(self.items()), state)

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors."""
        return zip(self.names, self.tensors, strict=True)

    def __reduce__(self) -> Any:
        """A deep copy, or what is unpickled, lies in an arena of its own."""
        return Parameters, (dict(self.items()),)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def __repr__(self) -> str:
        """The names and shapes, and how many numbers there are in all."""
        shapes = "".join(f"\n  {name}: {t.shape}" for name, t in self.items())
        return f"Parameters({shapes}\n  {self.size:,} of {self.dtype}\n)"

    def _only_span(self) -> Span:
        if len(self.spans) > 1:
            raise RuntimeError(
                f"these parameters lie in {len(self.spans)} pieces, not in one flat array; call "
                "model.parameters() of the whole model before building optimizers for its parts."
            )
        return self.spans[0]


def _check(names: tuple[str, ...], tensors: tuple[Any, ...]) -> None:
    if not tensors:
        raise ValueError("there are no parameters; pass at least one Tensor.")
    seen: dict[Tensor, str] = {}
    for name, t in zip(names, tensors, strict=True):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"{name} is a {type(t).__name__}, not a Tensor; pass Tensor(values, "
                "requires_grad=True)."
            )
        if str(t.dtype) not in FLOATS:
            raise TypeError(f"{name} has dtype {t.dtype}; parameters are float32 or float64.")
        if not t.requires_grad or not t.is_leaf:
            raise TypeError(
                f"{name} is not a leaf with requires_grad=True; pass "
                "Tensor(values, requires_grad=True), or detach() what a module only keeps."
            )
        if t in seen:
            raise ValueError(f"{name} is the same tensor as {seen[t]}; list it once.")
        if t.dtype != tensors[0].dtype:
            raise ValueError(
                f"{name} is {t.dtype}, {names[0]} is {tensors[0].dtype}; an optimizer updates one "
                "dtype: convert, or use two optimizers."
            )
        seen[t] = name
