"""ReduceOnPlateau: the schedule that follows a loss in place of t."""

from dataclasses import field
from math import copysign, inf
from numbers import Real
from typing import Annotated, Any

from optim.engine.kinds import FROM_0, MAY_CHANGE, Steps, Value
from optim.engine.settings import own_copy
from optim.schedules.base import CheckedSchedule, at, check


class ReduceOnPlateau(CheckedSchedule):
    """value, which may be a schedule, times a scale that `feed` lowers when a loss has stopped
    falling; as in PyTorch.

    A loss is better if it is below the best by more than `threshold` of the best. After more than
    `patience` losses in a row that are not, the scale is multiplied by factor, down to min_scale,
    and for `cooldown` feeds none counts as bad. To follow a metric that should rise, feed its
    negative. The optimizer saves and restores what the feeds have left.
    """

    value: Annotated[Value, MAY_CHANGE, "a value, or a schedule"]
    factor: Value = 0.1
    patience: Annotated[Steps, FROM_0] = 10
    threshold: Value = 1e-4
    cooldown: Annotated[Steps, FROM_0] = 0
    min_scale: Value = 0.0

    scale: float = field(default=1.0, init=False, repr=False)
    best: float = field(default=inf, init=False, repr=False)
    bad: int = field(default=0, init=False, repr=False)  # feeds in a row
    resting: int = field(default=0, init=False, repr=False)  # feeds left of the cooldown

    # unlike other schedules it changes, so it is equal to itself alone
    __eq__, __hash__ = object.__eq__, object.__hash__

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, own_copy(value))

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("factor", "min_scale"):
            value = getattr(self, name)
            check(self, name, isinstance(value, Real) and value <= 1, "a number up to 1")

    def __call__(self, t: int) -> Any:
        return at(self.value, t) * self.scale

    def feed(self, loss: float) -> None:
        """Take in the latest loss; the value is lower, if at all, from the next step on."""
        loss = float(loss)
        self.bad += 1
        first = self.best == inf  # which has no part that a loss could fall by
        if loss < (inf if first else self.best * (1 - copysign(self.threshold, self.best))):
            self.best, self.bad = loss, 0
        if self.resting:
            self.resting -= 1
            self.bad = 0
        if self.bad > self.patience:
            self.scale = float(max(self.scale * self.factor, self.min_scale))
            self.bad, self.resting = 0, int(self.cooldown)

    def state_dict(self) -> dict[str, Any]:
        """What feeds have left: scale, best, bad, resting."""
        return {name: getattr(self, name) for name in ("scale", "best", "bad", "resting")}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from a state; raises ValueError, and changes nothing, where it does not fit."""
        own = self.state_dict()
        if not isinstance(saved, dict) or saved.keys() != own.keys():
            given = list(saved) if isinstance(saved, dict) else f"{saved!r:.60}"
            raise ValueError(f"the state has {given}; give one with {list(own)}.")
        for name, value in saved.items():
            if type(value) is not type(own[name]) or (name != "best" and not value >= 0):
                raise ValueError(f"the state has {name}={value!r:.60}; give one that it gave.")
        vars(self).update(saved)
