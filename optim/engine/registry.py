"""The rules and the schedules by name."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

from minigrad.errors import nearest
from minigrad.tensor import Tensor
from optim.engine.signature import signature_of

if TYPE_CHECKING:
    from optim.engine.optimizer import Optimizer

RULES: dict[str, type[Optimizer]] = {}  # every rule by its lower-case name
SCHEDULES: dict[str, Any] = {}  # every class of schedules, for a saved state to name


def register(rule: Any) -> None:
    """Add a rule; raises TypeError where another has its name, or for passes that are none.

    One of the same module and place, as of a cell that ran again, takes the place of the old.
    """
    _check_passes(rule)
    known = RULES.setdefault(rule.__name__.lower(), rule)
    if (known.__module__, known.__qualname__) != (rule.__module__, rule.__qualname__):
        raise TypeError(
            f"{rule.__name__} is a rule of {known.__module__} already, upper or lower case; give "
            "this one another name."
        )
    RULES[rule.__name__.lower()] = rule


def _check_passes(rule: Any) -> None:
    passes = (*rule.passes, *rule.after_projection)
    for name in (*passes, *rule.reductions, "diagonal", "rate"):
        if getattr(rule, name) and not isinstance(getattr_static(rule, name), staticmethod):
            raise TypeError(
                f"{name} of {rule.__name__} would be given the optimizer itself, not arrays alone; "
                "write @optim.inplace above it."
            )
    scalars = (*rule.hyperparameters(), "t", *rule.given)
    for name in passes:
        names = signature_of(getattr(rule, name)).positional
        if "self" in names:
            raise TypeError(
                f"{name} of {rule.__name__} takes self, but a pass sees arrays and numbers alone; "
                "take `self` away, and name what it needs after the *."
            )
        if both := [scalar for scalar in scalars if scalar in names]:
            raise TypeError(
                f"{both[0]} is a scalar of the step, and an array of {name} of {rule.__name__}; "
                "write scalars after a *, as in kernel(p, g, m, *, lr), and give state a name of "
                "its own."
            )
    every = {name for one in passes for name in signature_of(getattr(rule, one)).positional}
    arrays = signature_of(rule.kernel).positional
    if not {"p", "g"} <= every or arrays[:1] == ("g",):
        raise TypeError(
            f"the kernel of {rule.__name__} takes {', '.join(arrays)}; the parameters come first "
            "and are called p, the gradients g."
        )


def make(name: str, params: Iterable[Tensor], **hyperparameters: Any) -> Optimizer:
    """The optimizer of that name in RULES; raises ValueError, with the nearest, for no name."""
    if name.lower() not in RULES:
        raise ValueError(f"optimizer {name!r} is unknown; {nearest(name, RULES)}")
    return RULES[name.lower()](params, **hyperparameters)
