"""One rule on one problem at some rates, with every seed: all runs at once."""

from typing import Any

import numpy as np

from experiments.loops.compared import takes_each
from experiments.tournament.entry import Entry
from experiments.tournament.runs import Apart, Lanes
from minigrad import Tensor, to_host, xp
from optim import Optimizer
from optim.named import NamedRule

LARGEST = 1e30  # a gradient from here on is that of a run that has failed
STRETCH = 50  # steps between two looks at the clock


class Heat:
    """The runs of a rule, (rates, seeds), each of the same number of gradients.

    A run fails at the gradient that is not finite or from LARGEST on, or of which its rule cannot
    take the step; it stands still from then on. `times` are those before the first gradient, 1, the
    second, and so on. Measures are of the weights that the rule evaluates after the last step that
    was over by then: (times, rates, seeds), inf for a run that has failed. Where `rates` is None
    the rule has a rate of its own, or none; one with an `f_min` is given the least loss.
    """

    def __init__(
        self,
        entry: Entry,
        rule: NamedRule | type[Optimizer],
        rates: np.ndarray | None,
        seeds: range,
        times: np.ndarray,
    ):
        self.entry, self.rule, self.rates, self.times = entry, rule, rates, times
        self.budget = int(times[-1]) - 1
        self.looked = np.isin(1 + np.arange(self.budget + 1), times)  # at, after so many gradients
        starts = zip(*map(entry.start, seeds), strict=True)
        count = 1 if rates is None else len(rates)
        self.shape = count, len(seeds)
        self.first = [np.broadcast_to(s, (count, *np.shape(s))) for s in map(np.array, starts)]
        self._begin(apart=not takes_each(rule))

    def _begin(self, apart: bool) -> None:
        self.apart, self.t = apart, 0  # and the steps so far
        settings = {"f_min": self.entry.least} if "f_min" in self.rule.hyperparameters() else {}
        self.runs: Lanes | Apart = (Apart if apart else Lanes)(
            self.entry, self.first, self.rule, self.rates, settings
        )
        self.used = np.zeros(self.shape, int)  # gradients
        self.failed = np.zeros(self.shape, int)  # at which gradient, from 1; 0: not
        self.recorded: dict[str, np.ndarray] = {}
        self._look(self.running)

    @property
    def running(self) -> np.ndarray:
        """Which runs neither have failed nor are over."""
        going: np.ndarray = (self.failed == 0) & (self.used < self.budget)
        return going

    @property
    def done(self) -> bool:
        return not self.running.any()

    @property
    def progress(self) -> float:
        """The share of the gradients that the slowest run has used."""
        return float(self.used.min(where=self.running, initial=self.budget)) / self.budget

    @property
    def opts(self) -> list[Optimizer]:
        return self.runs.opts

    def advance(self) -> None:
        """Take a stretch of steps."""
        for _ in range(STRETCH):
            if not (running := self.running).any():
                return
            drawn = self.entry.draw(self.t + 1)
            losses, within = self._differentiate(drawn)
            self._fail(running & ~within)
            running &= within
            try:
                used = self.runs.step(running, losses, drawn)
            except FloatingPointError:  # of some run, and only it is to fail
                self._begin(apart=True)
                return
            self._fail(running & (used == 0))
            self._hold()
            self._look_within(used)
            self.used += used
            self.t += 1
            self._look(used > 0)

    def _differentiate(self, drawn: Any) -> tuple[np.ndarray, np.ndarray]:
        """The losses where the runs are, and which gradients are within bounds; others, and those
        of runs that have failed, become 0."""
        params = self.runs.params
        for one in params:
            one.grad[...] = 0
        with np.errstate(all="ignore"):
            losses = self.entry.losses(params, drawn)
            losses.sum().backward()
            within = np.ones(self.shape, bool)
            for one in params:
                largest = to_host(xp.abs(one.grad).reshape(*self.shape, -1).max(axis=-1))
                within &= largest < LARGEST  # NaN is not
        still = ~within | (self.failed > 0)
        if still.any():
            for one in params:
                one.grad[xp.asarray(still)] = 0
        return losses.numpy(), within

    def _fail(self, runs: np.ndarray) -> None:
        self.failed[runs] = self.used[runs] + 1

    def _hold(self) -> None:
        """Runs that have failed are back at their start, lest what they remember moves them on."""
        if self.failed.any():
            failed = xp.asarray(self.failed > 0)
            for one, first in zip(self.runs.params, self.first, strict=True):
                one.data[failed] = xp.asarray(first)[failed]

    def _look(self, runs: np.ndarray) -> None:
        """Measure those of these runs for which it is one of the times."""
        due = runs & self.looked[np.minimum(self.used, self.budget)] & (self.used <= self.budget)
        if due.any():
            places = np.searchsorted(self.times, self.used[due] + 1)
            self._record(self.runs.weights(due), places, np.nonzero(due))

    def _look_within(self, used: np.ndarray) -> None:
        """Measure runs from before a step of several gradients at the times within it."""
        for run in zip(*np.nonzero(used > 1), strict=True):
            before = self.used[run]
            within = (self.times - 1 > before) & (self.times - 1 < before + used[run])
            if within.any() and isinstance(self.runs, Apart):
                self._record(self.runs.before[run], np.flatnonzero(within), run)

    def _record(self, weights: list[Any], places: np.ndarray, runs: tuple[Any, ...]) -> None:
        with np.errstate(all="ignore"):
            for name, values in self.entry.measure([Tensor(one) for one in weights]).items():
                shape = len(self.times), *self.shape
                kept = self.recorded.setdefault(name, np.full(shape, np.inf, np.float32))
                kept[places, *runs] = np.where(np.isfinite(values), values, np.inf)[:, 0]

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs."""
        return {
            "t": self.t,
            "apart": self.apart,
            "runs": self.runs.state_dict(),
            "used": self.used,
            "failed": self.failed,
            "recorded": self.recorded,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        self._begin(state["apart"])
        self.runs.load_state_dict(state["runs"])
        self.t, self.used, self.failed = state["t"], state["used"], state["failed"]
        self.recorded = state["recorded"]
        self._hold()
