"""One rule on one problem at some rates, with every seed: all runs at once."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import numpy as np

from experiments.loops.compared import takes_each
from experiments.tournament.entries import Entry
from minigrad import Parameters, Tensor, to_host, xp
from optim import Optimizer

LARGEST = 1e30  # a gradient from here on is that of a run that has failed
STRETCH = 50  # steps between two looks at the clock


class Heat:
    """The runs of a rule, (rates, seeds): of a rule that takes coordinates one by one, all are of
    one arena; another has an optimizer for each.

    Gradients are those of all runs at once either way. A run fails at the step at which its
    gradient is not finite or from LARGEST on, or its rule cannot take the step; it stands still
    from then on. Measures at `times`, before the step, with the weights that the rule evaluates:
    (times, rates, seeds), inf for a run that has failed. Where `rates` is None the rule has a rate
    of its own, or none.
    """

    def __init__(
        self,
        entry: Entry,
        rule: Callable[..., Optimizer],
        rates: np.ndarray | None,
        seeds: range,
        times: np.ndarray,
    ):
        self.entry, self.rule, self.rates, self.times = entry, rule, rates, times
        starts = zip(*map(entry.start, seeds), strict=True)
        count = 1 if rates is None else len(rates)
        self.runs = count, len(seeds)
        self.first = [np.broadcast_to(s, (count, *np.shape(s))) for s in map(np.array, starts)]
        self._begin(apart=not takes_each(rule))

    def _begin(self, apart: bool) -> None:
        self.apart, self.t = apart, 0
        self.params = [Tensor(np.array(first), requires_grad=True) for first in self.first]
        arena = Parameters.of(self.params)
        self.alone: list[list[Tensor]] = []  # the parameters of each run
        self.opts: list[Optimizer] = []
        if apart:
            for place in np.ndindex(self.runs):
                own = [Tensor(np.array(one[place]), requires_grad=True) for one in self.first]
                rate = {} if self.rates is None else {"lr": float(self.rates[place[0]])}
                self.alone.append(own)
                self.opts.append(self.rule(own, **rate))
        else:
            self.opts.append(self.rule(arena, **self._rates_of_coordinates()))
        self.failed = np.zeros(self.runs, int)  # the step, from 1; 0: not
        self.recorded: dict[str, np.ndarray] = {}
        self._look()

    def _rates_of_coordinates(self) -> dict[str, Any]:
        if self.rates is None:
            return {}
        shapes = [one.shape for one in self.first]
        rates = [np.broadcast_to(self.rates.reshape(-1, *[1] * (len(s) - 1)), s) for s in shapes]
        return {"lr": xp.asarray(np.concatenate([one.ravel() for one in rates]))}

    @property
    def done(self) -> bool:
        return self.t + 1 >= self.times[-1]

    def advance(self) -> None:
        """Take a stretch of steps."""
        for _ in range(min(STRETCH, int(self.times[-1]) - self.t - 1)):
            self._differentiate()
            if self.apart:
                self._step_apart()
            else:
                try:
                    self.opts[0].step()
                except FloatingPointError:  # of some run, and only it is to fail
                    self._begin(apart=True)
                    return
            self._hold()
            self.t += 1
            self._look()

    def _differentiate(self) -> None:
        """Gradients of this step; runs whose own is out of bounds fail."""
        for one in self.params:
            one.grad[...] = 0
        with np.errstate(all="ignore"):
            self.entry.loss(self.params, self.t + 1).backward()
            within = np.ones(self.runs, bool)
            for one in self.params:
                largest = to_host(xp.abs(one.grad).reshape(*self.runs, -1).max(axis=-1))
                within &= largest < LARGEST  # NaN is not
        self.failed[~within & (self.failed == 0)] = self.t + 1
        if self.failed.any():
            for one in self.params:
                one.grad[xp.asarray(self.failed > 0)] = 0

    def _hold(self) -> None:
        """Runs that have failed are back at their start, lest what they remember moves them on."""
        if self.failed.any():
            failed = xp.asarray(self.failed > 0)
            for one, first in zip(self.params, self.first, strict=True):
                one.data[failed] = xp.asarray(first)[failed]

    def _step_apart(self) -> None:
        for place, own, opt in zip(np.ndindex(self.runs), self.alone, self.opts, strict=True):
            if self.failed[place]:
                continue
            for mine, one in zip(own, self.params, strict=True):
                mine.grad[...] = one.grad[place]
            try:
                opt.step()
            except FloatingPointError:
                self.failed[place] = self.t + 1
            for mine, one in zip(own, self.params, strict=True):
                one.data[place] = mine.data

    def _look(self) -> None:
        """Measure before the next step, if it is one of the times."""
        place = int(np.searchsorted(self.times, self.t + 1))
        if self.times[place] != self.t + 1:
            return
        with ExitStack() as averages, np.errstate(all="ignore"):
            for opt in self.opts:
                averages.enter_context(opt.averaged())
            if self.apart:
                seen = [Tensor(xp.array(one.data)) for one in self.params]
                for run, own in zip(np.ndindex(self.runs), self.alone, strict=True):
                    for mine, one in zip(own, seen, strict=True):
                        one.data[run] = mine.data
            else:
                seen = self.params
            for name, values in self.entry.measure(seen).items():
                bad = (self.failed > 0) | ~np.isfinite(values)
                shape = len(self.times), *self.runs
                kept = self.recorded.setdefault(name, np.full(shape, np.inf, np.float32))
                kept[place] = np.where(bad, np.inf, values)

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs."""
        return {
            "t": self.t,
            "apart": self.apart,
            "params": _numbered(to_host(one.data) for one in self.params),
            "alone": _numbered(_numbered(to_host(one.data) for one in own) for own in self.alone),
            "opts": _numbered(opt.state_dict() for opt in self.opts),
            "failed": self.failed,
            "recorded": self.recorded,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        self._begin(state["apart"])
        self.t, self.failed, self.recorded = state["t"], state["failed"], state["recorded"]
        values = [state["params"], *state["alone"].values()]
        for tensors, of in zip([self.params, *self.alone], values, strict=True):
            for one, value in zip(tensors, of.values(), strict=True):
                one.data = value
        for opt, of in zip(self.opts, state["opts"].values(), strict=True):
            opt.load_state_dict(of)


def _numbered(values: Iterable[Any]) -> dict[str, Any]:
    """As a checkpoint holds a list: in order, by place."""
    return {str(place): value for place, value in enumerate(values)}
