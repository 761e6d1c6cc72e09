"""Wrappers around any rule: what they share.

    opt = ClipNorm(DecoupledDecay(Adam(params, lr=1e-3), weight_decay=0.01), norm=1.0)

A wrapper has an optimizer `inner`, perhaps another wrapper, and is used like one: whatever it does
not define itself, such as t, params, lr or metric(), is that of its inner. Gradients pass from the
outermost wrapper to the rule, so the outermost sees them first; weights come back the other way.
"""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

from minigrad.arena import Parameters
from minigrad.backend import Array, xp
from minigrad.tensor import Tensor
from optim.engine.kinds import Kind, kinds
from optim.engine.optimizer import Closure
from optim.engine.saving import Saved
from optim.engine.state import State
from optim.engine.threads import summed_length

if TYPE_CHECKING:
    Share: TypeAlias = float
    Memory: TypeAlias = float
    Bound: TypeAlias = float
    Distance: TypeAlias = float
    Updates: TypeAlias = int
else:  # what a setting of a wrapper may be: one number, which may change between steps
    Share = Kind("Share", 0, 1, has_high=True, schedule=False, array=False)
    Memory = Kind("Memory", 0, 1, schedule=False, array=False)
    Bound = Kind("Bound", 0, has_low=False, has_high=True, schedule=False, array=False)
    Distance = Kind("Distance", 0, schedule=False, array=False)
    Updates = Kind("Updates", 1, whole=True)


@dataclass(eq=False)
class Wrapper(Saved):
    """Base of the wrappers: does what `inner` does, and saves it together with what is its own."""

    inner: Any

    def __post_init__(self) -> None:
        self.count = 0  # of what the wrapper counts, if it does; saved
        self.arrays: dict[str, Array] = {}  # what it holds, flat; saved

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "inner" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no {name}.")
        return getattr(self.inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dataclass_fields__:
            self._check(name, value)
        elif "arrays" in vars(self) and name not in vars(self) and name[0] != "_":
            getattr(self.inner, name)  # raises AttributeError for what nobody has
            setattr(self.inner, name, value)
            return
        vars(self)[name] = value

    def _check(self, name: str, value: Any) -> None:
        """Raise an error for what a setting may not be."""
        if name in ("inner", "mask") and name in vars(self):
            raise AttributeError(f"{name} is fixed; build another wrapper to change it.")
        if name == "inner":
            check_optimizer(value, f"inner of {type(self).__name__}")
        kind = kinds(type(self))[name]
        if isinstance(kind, Kind) and kind.name != "Number":
            kind.check_form(name, value, value)
            kind.check(name, value, value)

    @property
    def due(self) -> bool:
        """Whether the next step moves the parameters, and is not one that only accumulates."""
        return moves_next(self.inner)

    def check_step(self) -> None:
        """Raise what the next step would raise before it changes anything."""
        check_step(self.inner)

    def edit(self) -> None:
        """Change the gradients before the inner sees them; for most wrappers, nothing."""

    def step(self, closure: Closure | None = None) -> Tensor | None:
        """Let the inner step, with or without a closure, from the gradients as they are edited."""
        if closure is None:
            self.edit()
            self.inner.step()
            return None

        def edited() -> Tensor:
            loss = closure()
            self.edit()
            return loss

        loss: Tensor | None = self.inner.step(edited)
        return loss

    def _live(self) -> dict[str, Array]:
        return self.arrays

    def _own_settings(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "inner"}

    def _rest(self) -> dict[str, Any]:
        return {"count": self.count, "inner": self.inner.state_dict()}

    def _load_rest(self, saved: dict[str, Any]) -> None:
        self.inner.load_state_dict(saved["inner"])  # changes nothing if it raises
        self.count = saved["count"]


def moves_next(optimizer: Any) -> bool:
    """Whether the next step of an optimizer or a wrapper moves the parameters."""
    return bool(getattr(optimizer, "due", True))


def check_step(optimizer: Any) -> None:
    """Raise what the next step of an optimizer or a wrapper would, before anything is changed."""
    if check := getattr(optimizer, "check_step", None):
        check()


def check_optimizer(value: Any, what: str) -> None:
    """Raise TypeError for what is neither an optimizer nor a wrapper."""
    if isinstance(value, type) or not hasattr(value, "step"):
        raise TypeError(
            f"{what} is {value!r:.60}, not an optimizer; build one first, as optim.Adam(params)."
        )


def refuse_closures(optimizer: Any, what: str) -> None:
    """Raise TypeError for a rule that evaluates the closure itself, so has no gradients to give."""
    if getattr(optimizer, "needs_closure", False):
        raise TypeError(f"{what} steps from gradients, but {optimizer!r:.60} asks for a closure.")


def beside(params: Parameters, *names: str) -> State:
    """Flat arrays of zeros beside the parameters."""
    return State(params, names, lambda p: {}, per_tensor=False)


def whole_spans(state: State, *names: str) -> list[tuple[Any, ...]]:
    """For each span its coordinates, and its parts of the arrays of these names."""
    blocks = state.blocks(names, max(1, state.params.size))
    return [(here, *(views[name] for name in names)) for here, views in blocks]


class GradientNorm:
    """The Euclidean norm of the gradient of all parameters together, 0-d.

    In float64, in which no square of a float32 overflows or vanishes.
    """

    def __init__(self, params: Parameters):
        blocks = beside(params).blocks(("g",), summed_length(params))
        self._pieces = [views["g"] for _, views in blocks]

    def __call__(self) -> Array:
        return xp.sqrt(sum(xp.square(g, dtype="float64").sum() for g in self._pieces))
