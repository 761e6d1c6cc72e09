"""Wrappers around any rule: what they share.

    opt = ClipNorm(DecoupledDecay(Adam(params, lr=1e-3), weight_decay=0.01), norm=1.0)

A wrapper has an optimizer `inner`, perhaps another wrapper, and is used like one: whatever it does
not define itself, such as t, params, lr or metric(), is that of its inner. Gradients pass from the
outermost wrapper to the rule, so the outermost sees them first; weights come back the other way.
One of your own overrides `edit`, which changes gradients, or `move`, which lets the inner move.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias

import numpy as np

from minigrad.arena import Parameters
from minigrad.backend import Array, current, xp
from minigrad.tensor import Tensor
from optim.engine.floating import quietly, raising
from optim.engine.kinds import Kind, kinds
from optim.engine.on_disk import Writes
from optim.engine.saving import Saved, check_count
from optim.engine.settings import check_setting, fixed_copy, own_copy
from optim.engine.state import State
from optim.engine.stepping import Closure, Stepping, loss_of
from optim.engine.threads import summed_length

if TYPE_CHECKING:
    Share: TypeAlias = float
    Memory: TypeAlias = float | Callable[[int], float]
    Bound: TypeAlias = float
    Distance: TypeAlias = float
    Updates: TypeAlias = int
else:  # what a setting of a wrapper may be: one number, of Memory a schedule too
    Share = Kind("Share", 0, 1, has_high=True, schedule=False, array=False)
    Memory = Kind("Memory", 0, 1, array=False)
    Bound = Kind("Bound", 0, has_low=False, has_high=True, schedule=False, array=False)
    Distance = Kind("Distance", 0, schedule=False, array=False)
    Updates = Kind("Updates", 1, whole=True)

FIXED = ("inner", "mask", "comm", "deterministic", "shards")  # what makes another wrapper


@dataclass(eq=False)
class Wrapper(Saved):
    """Base of the wrappers: does what `inner` does, and saves it together with what is its own."""

    inner: Any

    rest: ClassVar[tuple[str, ...]] = ("count", "inner")

    def __post_init__(self) -> None:
        self._used: dict[str, float | Array] = {}
        self.count = 0  # of what the wrapper counts, if it does; saved
        self.arrays: dict[str, Array] = {}  # what it holds, flat; saved

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "inner" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no {name}.")
        return getattr(self.inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dataclass_fields__:
            self._check(name, value)
            value = (fixed_copy if name in FIXED else own_copy)(value)
        elif "arrays" in vars(self) and name not in vars(self) and name[0] != "_":
            getattr(self.inner, name)  # raises AttributeError for what nobody has
            setattr(self.inner, name, value)
            return
        vars(self)[name] = value

    def _check(self, name: str, value: Any) -> None:
        """Raise an error for what a setting may not be."""
        if name in FIXED and name in vars(self):
            raise AttributeError(f"{name} is fixed; build another wrapper to change it.")
        if name == "inner":
            check_optimizer(value, f"inner of {type(self).__name__}")
        kind = kinds(type(self))[name]
        if isinstance(kind, Kind) and kind.name != "Number":
            check_setting(type(self).__name__, name, value, kind)

    @property
    def used(self) -> dict[str, Any]:
        """The settings as the last step had them: those of the inner, and the wrapper's own that
        may be schedules."""
        used: dict[str, Any] = self.inner.used
        return used | self._used

    @property
    def rules(self) -> tuple[Any, ...]:
        rules: tuple[Any, ...] = self.inner.rules
        return rules

    @property
    def due(self) -> bool:
        """Whether the next step moves the parameters, and is not one that only accumulates."""
        return bool(self.inner.due)

    def check_step(self) -> None:
        self.inner.check_step()

    def check_gradients(self) -> bool:
        return bool(self.inner.check_gradients())

    def edit(self) -> None:
        """Change the gradients before the inner sees them; for most wrappers, nothing."""

    def move(self, loss: Tensor | None, closure: Closure | None) -> bool:
        """Let the inner move, with or without a closure, from the gradients as they are edited."""

        def edited() -> Tensor:
            loss = loss_of(closure)
            self.edit()
            return loss

        self.edit()
        return bool(self.inner.move(loss, edited if closure else None))

    def flush(self, outermost: Any = None) -> None:
        """Update from the gradients that wait in Accumulate, if there are any."""
        self.inner.flush(outermost or self)

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The function's result; what overflows in it raises with the wrapper and the step."""
        try:
            return raising(function, *arguments)
        except FloatingPointError as error:
            raise FloatingPointError(f"{self} at step {self.t + 1}: {error}.") from error

    def play(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} is not played, nor is a rule without it; call step() with each "
            "gradient."
        )

    def _live(self) -> dict[str, Array]:
        return self.arrays

    def _own_settings(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in FIXED}

    def _rest(self) -> dict[str, Any]:
        return {"count": self.count, "inner": self.inner.state_dict()}

    def _load_rest(self, saved: dict[str, Any]) -> Writes:
        count = check_count(saved, "count")
        return [*self.inner._load(saved["inner"]), partial(self._go_on, count)]

    def _go_on(self, count: int) -> None:
        self.count, self._used = count, {}


def check_optimizer(value: Any, what: str) -> None:
    """Raise TypeError for what is neither an optimizer nor a wrapper, or would not be stepped."""
    if not isinstance(value, Stepping):
        raise TypeError(
            f"{what} is {value!r:.60}, not an optimizer; build one first, as optim.Adam(params)."
        )
    if type(value).step is not Stepping.step:
        raise TypeError(
            f"{what}, {type(value).__name__}, has a step() of its own, which would be passed over; "
            f"put {type(value).__name__} around all others, or let it override move(), or a rule "
            "update()."
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
        return quietly(self._norm)

    def _norm(self) -> Array:
        norm = xp.sqrt(sum(xp.square(g, dtype="float64").sum() for g in self._pieces))
        if current().on_host and np.isinf(norm):
            peak = max(abs(g).max() for g in self._pieces)
            if np.isfinite(peak):  # beyond 1e154, whose square overflows in float64 too
                root = np.sqrt(sum(np.square(g / peak).sum() for g in self._pieces))
                norm = raising(np.multiply, peak, root)
        return norm
