"""One rule on a problem that has no lanes: heats of one run each, one after the other."""

from typing import Any

import numpy as np

from experiments.tournament.entry import Entry
from experiments.tournament.heat import Heat
from optim import Optimizer
from optim.named import NamedRule


class Turns:
    """What a Heat is, with one model at a time."""

    def __init__(
        self,
        entry: Entry,
        rule: NamedRule | type[Optimizer],
        rates: np.ndarray | None,
        seeds: range,
        times: np.ndarray,
    ):
        self.entry, self.rule, self.rates, self.seeds, self.times = entry, rule, rates, seeds, times
        self.shape = 1 if rates is None else len(rates), len(seeds)
        self.turn = 0  # how many runs are over
        self.failed = np.zeros(self.shape, int)
        self.recorded: dict[str, np.ndarray] = {}
        self._begin()

    def _begin(self) -> None:
        self.rate, self.seed = np.unravel_index(self.turn, self.shape)
        rates = None if self.rates is None else self.rates[self.rate : self.rate + 1]
        seeds = self.seeds[self.seed : self.seed + 1]
        self.heat = Heat(self.entry.of_seed(int(self.seed)), self.rule, rates, seeds, self.times)

    @property
    def done(self) -> bool:
        return self.turn == self.failed.size

    @property
    def progress(self) -> float:
        """The share of the runs that are over."""
        return 1.0 if self.done else (self.turn + self.heat.progress) / self.failed.size

    @property
    def opts(self) -> list[Optimizer]:
        return self.heat.opts

    def advance(self) -> None:
        """Take a stretch of steps."""
        self.heat.advance()
        if not self.heat.done:
            return
        self.failed[self.rate, self.seed] = self.heat.failed[0, 0]
        for name, values in self.heat.recorded.items():
            shape = len(self.times), *self.shape
            kept = self.recorded.setdefault(name, np.full(shape, np.inf, np.float32))
            kept[:, self.rate, self.seed] = values[:, 0, 0]
        self.turn += 1
        if not self.done:
            self._begin()

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs."""
        return {
            "turn": self.turn,
            "failed": self.failed,
            "recorded": self.recorded,
            "heat": self.heat.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        self.turn, self.failed, self.recorded = state["turn"], state["failed"], state["recorded"]
        self._begin()
        self.heat.load_state_dict(state["heat"])
