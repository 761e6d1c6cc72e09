"""What a trial of one optimizer continues from."""

from typing import Any

from minigrad import Parameters
from optim import Optimizer


class Continuing:
    """Base of trials that are their parameters, their optimizer and what they have recorded."""

    params: Parameters
    opt: Optimizer
    steps: int  # in all
    recorded: dict[str, Any]  # arrays, NaN where nothing is recorded yet

    @property
    def progress(self) -> float:
        """The share of the steps that are taken."""
        return 1.0 if self.done else self.opt.t / self.steps

    @property
    def done(self) -> bool:
        return self.opt.t >= self.steps

    def coming(self, most: int) -> range:
        """The steps that come next, at most so many."""
        return range(self.opt.t + 1, min(self.opt.t + most, self.steps) + 1)

    def traces(self) -> dict[str, Any]:
        """What was recorded so far."""
        return dict(self.recorded)

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs."""
        return {
            "params": self.params.state_dict(),
            "opt": self.opt.state_dict(),
            "recorded": self.recorded,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        self.params.load_state_dict(state["params"])
        self.opt.load_state_dict(state["opt"])
        self.recorded = state["recorded"]
