"""The trial: a rule on a problem over its grid of rates, widened once where the best is at an
edge."""

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.tournament.entry import Entry
from experiments.tournament.heat import Heat
from experiments.tournament.turns import Turns
from optim.named import NamedRule

NEAR = 1e-6  # of the value at the start: a run that comes so near to the least one has arrived


def grid(rule: NamedRule, points: int) -> np.ndarray | None:
    """So many rates, half a decade apart, around that of the rule; None where its name fixes it,
    or it has none."""
    rate = rule.hyperparameters().get("lr")
    if "lr" in rule.fixed or not isinstance(rate, float | int):
        return None
    return np.array(rate * 10.0 ** ((np.arange(points) - points // 2) / 2))


def best_rate(tuned: np.ndarray, times: np.ndarray, converges: bool) -> int:
    """The place of the rate at which runs, (times, rates, seeds), arrive first; where none has all
    of its seeds arrive, that of the least mean at the end."""
    if converges:
        arrival = first_below(tuned, NEAR * tuned[0], times).mean(axis=1)
    else:
        arrival = np.full(tuned.shape[1], np.inf)
    return int(np.lexsort((tuned[-1].mean(axis=1, dtype=float), arrival))[0])


def first_below(curves: np.ndarray, level: Any, times: np.ndarray) -> np.ndarray:
    """The first of the times at which curves, (times, ...), are not above the level; inf: never."""
    there = curves <= level
    return np.where(there.any(axis=0), times[there.argmax(axis=0)], np.inf)


class Search:
    """A rule on a problem at all rates with all seeds."""

    def __init__(
        self,
        entry: Callable[[], Entry],
        rule: NamedRule,
        *,
        points: int,
        seeds: range,
        times: np.ndarray,
    ):
        self.make_entry, self.rule, self.seeds, self.times = entry, rule, seeds, times
        self.rates, self.points = grid(rule, points), points
        self.over: dict[str, np.ndarray] = {}  # traces of the heats that are over
        self.widened = self.done = False
        self.heat: Heat | Turns | None = None  # made when it is its turn

    @property
    def opt(self) -> Any:
        """The first optimizer that runs now."""
        return self.heat.opts[0] if self.heat else None

    @property
    def progress(self) -> float:
        """The share of the gradients that are used, as if the grid were to be widened."""
        if self.done:
            return 1.0
        return (self.widened + (self.heat.progress if self.heat else 0.0)) / 2

    def advance(self) -> None:
        """Take a stretch of steps."""
        self._current().advance()
        if self._current().done:
            self._conclude()

    def _current(self) -> Heat | Turns:
        if self.heat is None:
            self.entry = self.make_entry()
            kind = Heat if self.entry.lanes else Turns
            self.heat = kind(self.entry, self.rule, self.rates, self.seeds, self.times)
        return self.heat

    def _conclude(self) -> None:
        """Keep what a heat has found, and begin another or end."""
        heat = self._current()
        rates = np.array([np.nan]) if heat.rates is None else heat.rates
        found = {"rates": rates, "failed": heat.failed, **heat.recorded}
        axes = {name: 1 if name in heat.recorded else 0 for name in found}
        if self.over:
            merged = {n: np.concatenate([self.over[n], found[n]], axes[n]) for n in found}
            order = np.argsort(merged["rates"])
            found = {n: merged[n].take(order, axes[n]) for n in found}
        self.over = found
        self.rates = self._wider() if heat.rates is not None and not self.widened else None
        self.widened, self.heat = True, None
        self.done = self.rates is None

    def _wider(self) -> np.ndarray | None:
        """Half as many rates beyond the edge at which the best is; None: it is at none."""
        tuned, rates = self.over.get("tuned", self.over["reported"]), self.over["rates"]
        best = best_rate(tuned, self.times, self.entry.converges)
        further = 10.0 ** (np.arange(1, self.points // 2 + 1) / 2)
        if best == 0:
            return np.array(rates[0] / further[::-1])
        return np.array(rates[-1] * further) if best == len(rates) - 1 else None

    def traces(self) -> dict[str, np.ndarray]:
        """What was measured at every rate, (times, rates, seeds), with the times `t` and the
        `rates`, rising, NaN where the rule has its own; and when runs `failed`."""
        return {"t": self.times, **self.over}

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs."""
        state: dict[str, Any] = {"over": self.over, "widened": self.widened, "done": self.done}
        if self.rates is not None:
            state["rates"] = self.rates
        if self.heat:
            state["heat"] = self.heat.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        self.rates, self.over = state.get("rates"), state["over"]
        self.widened, self.done, self.heat = state["widened"], state["done"], None
        if "heat" in state:
            self._current().load_state_dict(state["heat"])
