"""Wrappers around any rule: what they share.

    opt = ClipNorm(DecoupledDecay(Adam(params, lr=1e-3), weight_decay=0.01), norm=1.0)

A wrapper has an optimizer `inner`, perhaps another wrapper, and is used like one: whatever it does
not define itself, such as t, params, lr or metric(), is that of its inner. Gradients pass from the
outermost wrapper to the rule, so the outermost sees them first; weights come back the other way.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import inf
from numbers import Integral, Real
from typing import Any

from minigrad.arena import Parameters
from minigrad.backend import Array, to_host, xp
from minigrad.tensor import Tensor
from optim.engine.optimizer import Closure
from optim.engine.settings import restore, stateful
from optim.engine.state import FlatState, Pieces, check_saved

PARTS = ("rule", "count", "state", "schedules", "inner")  # of a wrapper's state

_FITS: dict[str, tuple[type, Callable[[Any], bool], str]] = {  # by the name of a setting
    "k": (Integral, lambda k: k >= 1, "a whole number from 1"),
    "every": (Integral, lambda n: n >= 1, "a whole number from 1"),
    "start": (Integral, lambda n: n >= 0, "a whole number from 0"),
    "alpha": (Real, lambda a: 0 <= a <= 1, "a number in [0, 1]"),
    "decay": (Real, lambda d: 0 <= d < 1, "a number in [0, 1)"),
    "value": (Real, lambda x: x > 0, "a number above 0, inf for no bound"),
    "rho": (Real, lambda r: 0 <= r < inf, "a number in [0, inf)"),
    "norm": (Real, lambda x: x > 0, "a number above 0, inf for no bound"),
}


@dataclass(eq=False)
class Wrapper:
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
        if name in _FITS:
            kind, fits, wanted = _FITS[name]
            if not isinstance(value, kind):
                raise TypeError(f"{name}={value!r}: give {wanted}.")
            if not fits(value):
                raise ValueError(f"{name}={value!r}: give {wanted}.")

    @property
    def due(self) -> bool:
        """Whether the next step moves the parameters, and is not one that only accumulates."""
        return moves_next(self.inner)

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

    def advance(self) -> None:
        """Step from the gradients that the parameters have."""
        self.step()

    def _schedules(self) -> dict[str, Any]:
        """The wrapper's own schedules that have a state, by place."""
        return stateful({f.name: getattr(self, f.name) for f in fields(self) if f.name != "inner"})

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs, on the host; that of the inner is nested in it."""
        return {
            "rule": type(self).__name__,
            "count": self.count,
            "state": {name: to_host(array).copy() for name, array in self.arrays.items()},
            "schedules": {at: one.state_dict() for at, one in self._schedules().items()},
            "inner": self.inner.state_dict(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from a state; raises ValueError, and changes nothing, where it does not fit."""
        check_saved(saved, type(self).__name__, PARTS, self.arrays)
        schedules = self._schedules()
        before = {at: one.state_dict() for at, one in schedules.items()}
        restore(schedules, saved["schedules"])
        try:
            self.inner.load_state_dict(saved["inner"])  # changes nothing if it raises
        except Exception:
            restore(schedules, before)
            raise
        self.count = saved["count"]
        for name, array in self.arrays.items():
            array[...] = xp.asarray(saved["state"][name])


def moves_next(optimizer: Any) -> bool:
    """Whether the next step of an optimizer or a wrapper moves the parameters."""
    return bool(getattr(optimizer, "due", True))


def check_optimizer(value: Any, what: str) -> None:
    """Raise TypeError for what is neither an optimizer nor a wrapper."""
    if isinstance(value, type) or not hasattr(value, "advance"):
        raise TypeError(
            f"{what} is {value!r:.60}, not an optimizer; build one first, as optim.Adam(params)."
        )


def refuse_closures(optimizer: Any, what: str) -> None:
    """Raise TypeError for a rule that evaluates the closure itself, so has no gradients to give."""
    if getattr(optimizer, "needs_closure", False):
        raise TypeError(f"{what} steps from gradients, but {optimizer!r:.60} asks for a closure.")


def whole_spans(memory: FlatState, *names: str) -> Pieces:
    """The coordinates of each span, and its parts of the arrays of these names."""
    return memory.pieces(names, max(1, memory.params.size))


def memory_of(params: Parameters, *names: str) -> FlatState:
    """Flat arrays of zeros beside the parameters."""
    return FlatState(params, names, lambda p: {})
