"""The runs of a rule, (rates, seeds): as lanes of one arena, or each with an optimizer of its own.

`params` are those of all runs, (rates, seeds, ...), of which gradients are computed at once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from experiments.tournament.entry import Entry, one_seed
from minigrad import Parameters, Tensor, to_host, xp
from optim import Optimizer

Rule = Callable[..., Optimizer]
Run = tuple[int, ...]  # the places of its rate and its seed


class Lanes:
    """Those of a rule that takes coordinates one by one, under one optimizer."""

    def __init__(
        self,
        entry: Entry,
        first: Sequence[np.ndarray],
        rule: Rule,
        rates: np.ndarray | None,
        settings: Mapping[str, Any],
    ):
        self.params = _tensors(first)
        own = {} if rates is None else {"lr": self._by_coordinate(rates)}
        self.opts = [rule(Parameters.of(self.params), **own, **settings)]

    def _by_coordinate(self, rates: np.ndarray) -> Any:
        if len(rates) == 1:
            return float(rates[0])
        shapes = [one.shape for one in self.params]
        wide = [np.broadcast_to(rates.reshape(-1, *[1] * (len(s) - 1)), s) for s in shapes]
        return xp.asarray(np.concatenate([one.ravel() for one in wide]))

    def step(self, running: np.ndarray, losses: np.ndarray, drawn: Sequence[Any]) -> np.ndarray:
        """Take a step from the gradients, and give how many each run has used, (rates, seeds); of
        one that has failed before, none.

        Raises FloatingPointError where one of them cannot take it.
        """
        self.opts[0].step()
        return running.astype(int)

    def weights(self, runs: np.ndarray) -> list[Any]:
        """Copies of those that the rule evaluates, of the runs of a mask, (runs, 1, ...)."""
        with self.opts[0].averaged():
            return [one.data[xp.asarray(runs)][:, None] for one in self.params]

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs."""
        return {"params": _values(self.params), "opt": self.opts[0].state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from there."""
        _load(self.params, state["params"])
        self.opts[0].load_state_dict(state["opt"])


class Apart:
    """Those of another rule: an optimizer for each, with parameters of its own.

    One that asks for a closure is given the loss and the gradient where it is as they are of all
    runs at once, and those of this run alone wherever else it asks for them.
    """

    def __init__(
        self,
        entry: Entry,
        first: Sequence[np.ndarray],
        rule: Rule,
        rates: np.ndarray | None,
        settings: Mapping[str, Any],
    ):
        self.entry, self.first, self.rule = entry, first, rule
        self.rates, self.settings = rates, settings
        self.params = _tensors(first)
        Parameters.of(self.params)  # which makes their gradients
        self.alone: dict[Run, list[Tensor]] = {}  # the parameters of each run
        self.optimizers: dict[Run, Optimizer] = {}
        for run in np.ndindex(first[0].shape[:2]):
            self._begin(run)
        self.before: dict[Run, list[Any]] = {}  # weights, of steps of several gradients

    def _begin(self, run: Run) -> None:
        rate = {} if self.rates is None else {"lr": float(self.rates[run[0]])}
        self.alone[run] = _tensors(one[run] for one in self.first)
        self.optimizers[run] = self.rule(self.alone[run], **rate, **self.settings)

    @property
    def opts(self) -> list[Optimizer]:
        return list(self.optimizers.values())

    def step(self, running: np.ndarray, losses: np.ndarray, drawn: Sequence[Any]) -> np.ndarray:
        """As that of Lanes, but that a run that cannot take it uses none, and is at its start."""
        used = np.zeros(running.shape, int)
        self.before.clear()
        for run in self.alone:
            if running[run]:
                for mine, one in zip(self.alone[run], self.params, strict=True):
                    mine.grad[...] = one.grad[run]
                try:
                    used[run] = self._step_one(run, losses[run], drawn)
                except FloatingPointError:
                    self._begin(run)  # what has broken off half-way cannot be saved
                for mine, one in zip(self.alone[run], self.params, strict=True):
                    one.data[run] = mine.data
        return used

    def _step_one(self, run: Run, loss: Any, drawn: Sequence[Any]) -> int:
        opt, own = self.optimizers[run], self.alone[run]
        if not opt.needs_closure:
            opt.step()
            return 1
        with opt.averaged():
            before = [xp.array(one.data)[None, None] for one in own]
        closure = Closure(self.entry, own, one_seed(drawn, run[1]), loss)
        opt.step(closure)
        if closure.calls > 1:
            self.before[run] = before
        return closure.calls

    def weights(self, runs: np.ndarray) -> list[Any]:
        """As those of Lanes."""
        chosen = [run for run in self.alone if runs[run]]
        with ExitStack() as averages:
            for run in chosen:
                averages.enter_context(self.optimizers[run].averaged())
            columns = zip(*(self.alone[run] for run in chosen), strict=True)
            return [xp.stack([one.data for one in column])[:, None] for column in columns]

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs."""
        own = self.alone.values()
        return {
            "params": _numbered(map(_values, own)),
            "opts": _numbered(opt.state_dict() for opt in self.opts),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from there."""
        for (run, own), values in zip(self.alone.items(), state["params"].values(), strict=True):
            _load(own, values)
            for mine, one in zip(own, self.params, strict=True):
                one.data[run] = mine.data
        for opt, of in zip(self.opts, state["opts"].values(), strict=True):
            opt.load_state_dict(of)


class Closure:
    """The loss of one run on what a step is of, with its gradient; both are known where the step
    begins."""

    def __init__(self, entry: Entry, own: list[Tensor], drawn: Sequence[Any], loss: Any):
        self.entry, self.own, self.drawn, self.loss = entry, own, drawn, loss
        self.calls = 0

    def __call__(self) -> Tensor:
        self.calls += 1
        if self.calls == 1:
            return Tensor(self.loss)
        for one in self.own:
            one.grad[...] = 0
        with np.errstate(all="ignore"):
            lane = [one.reshape(1, 1, *one.shape) for one in self.own]
            loss = self.entry.losses(lane, self.drawn).sum()
            loss.backward()
        return loss


def _tensors(values: Iterable[np.ndarray]) -> list[Tensor]:
    return [Tensor(np.array(one), requires_grad=True) for one in values]


def _values(tensors: Iterable[Tensor]) -> dict[str, Any]:
    return _numbered(to_host(one.data) for one in tensors)


def _load(tensors: Sequence[Tensor], values: Mapping[str, Any]) -> None:
    for one, value in zip(tensors, values.values(), strict=True):
        one.data = value


def _numbered(values: Iterable[Any]) -> dict[str, Any]:
    """As a checkpoint holds a list: in order, by place."""
    return {str(place): value for place, value in enumerate(values)}
