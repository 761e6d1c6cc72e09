"""What the table of rules says of each: see table.py for where the rows are."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One rule: its defaults, what proves it, and where it differs from what holds for most."""

    defaults: dict[str, Any]  # of the implementation that it is named after, or its paper

    # of the paper's rule in plain NumPy: (x, gradients, **hyperparameters) yields x after each
    # step; x is one tensor of a per-tensor rule, else all coordinates
    paper: Callable[..., Any] | None = None
    # the same for one coordinate, in scalar.py: hyperparameters as functions of t
    scalar: Callable[..., Any] | None = None
    cases: tuple[dict[str, Any], ...] = ()  # hyperparameters to compare with it
    tolerance: float = 1e-12  # of trajectories, relative to the larger of 1 and |x|

    # step * metric, in terms of the gradient and the state after the step; None without a metric
    direction: Callable[[Any, dict[str, Any]], Any] | None = None
    metric_steps: int = 20  # for how many steps that holds

    # settings with which it reaches the minimum of a quadratic, lr falling linearly to 0
    descends: Mapping[str, Any] = MappingProxyType({"lr": 0.1})
    steps: int = 500  # how many steps that takes
    rosenbrock: Mapping[str, Any] = MappingProxyType({"lr": 0.01})  # the same for halving its value

    elementwise: bool = True  # each coordinate for itself
    takes_huge_gradients: bool = False
    moves_at_zero: bool = False  # whether it may move where every gradient has been zero
    tiny: Mapping[str, Any] = MappingProxyType({"lr": 1e-3})  # for gradients of 1e-30
    averages: bool = False  # whether it evaluates with other weights than it trains
    idle: tuple[str, ...] = ()  # state that may be zero after a few steps


def gradient(g: Any, state: dict[str, Any]) -> Any:
    """The direction of rules without momentum."""
    return g


def moment(g: Any, state: dict[str, Any]) -> Any:
    """The direction of Adam's kin."""
    return state["m"]
