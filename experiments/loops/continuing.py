"""What a trial of one optimizer continues from."""

from typing import Any

from minigrad import Parameters
from optim import Optimizer


class Continuing:
    """Base of trials that are their parameters, their optimizer and what they have recorded."""

    params: Parameters
    opt: Optimizer
    recorded: Any  # arrays, alone or by name

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
