"""Trials on the online problems in time-parallel form, without the rules of `optim`: a second
derivation of the stepwise trial, and the way to more steps than a loop can take.

The slopes of a linear problem do not depend on x, so those of many steps are known at once. Then
moments are linear filters in time, and the projected sum of steps is a composition of clips. Both
are associative, so time is cut into chunks, and an array operation takes a step in every chunk.
Each chunk begins as if nothing came before it; what did is found by doubling: once the end of every
chunk knows the `shift` chunks up to it, one operation makes it know 2 * shift.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from experiments.loops.online import STRETCH, recorded_times

Array = np.ndarray
Values = float | Array  # a number, or one per copy
VALUES = 2**18  # of an array, about: more would leave the cache, fewer would take more calls
CHUNK = 64  # steps
TINY = np.finfo(float).tiny


class FilterState(dict[str, Values]):
    """Filters in time, and by name the value of each at `last`, the newest step so far.

    A filter maps an array of shape (steps of a chunk, chunks, copies) to another: time goes down
    the first chunk, and on at the top of the next.
    """

    last: tuple[int, int]  # (step of its chunk, chunk); what comes after pads the last chunk

    def mean(self, name: str, values: Array, beta: Values) -> Array:
        """y_t = beta y_{t-1} + (1 - beta) values_t."""
        return self._scan(np.add, name, (1 - beta) * values, beta)

    def maximum(self, name: str, values: Array, rho: Values = 1.0) -> Array:
        """y_t = max(rho y_{t-1}, values_t), of values that are not negative."""
        return self._scan(np.maximum, name, values, rho)

    def sum(self, name: str, values: Array) -> Array:
        """y_t = y_{t-1} + values_t."""
        return self._scan(np.add, name, values, 1.0)

    def _scan(self, op: np.ufunc, name: str, values: Array, keep: Values) -> Array:
        """y_t = op(keep y_{t-1}, values_t), for an op with op(c a, c b) = c op(a, b)."""
        y = np.broadcast_arrays(values, keep)[0].copy()
        for before, now in pairwise(y):
            op(now, keep * before, out=now)
        enters = np.vstack([np.broadcast_to(self.get(name, 0.0), y.shape[2:]), y[-1, :-1]])
        for shift in _shifts(enters):
            kept = _power(keep, shift * len(y)) * enters[:-shift]
            op(enters[shift:], kept, out=enters[shift:])
        op(y, _power(keep, np.arange(1, len(y) + 1)[:, None, None]) * enters, out=y)
        self[name] = y[self.last].copy()
        return y

    def clipped(self, name: str, steps: Array, lo: float, hi: float) -> Array:
        """y_{t-1}, where y_t = clip(y_{t-1} - steps_t, lo, hi).

        Several steps in a row turn y into clip(y + by, low, high): for the first of them low and
        high are the ends of the box, and each later one moves and clips these.
        """
        by, low, high = -steps, np.full_like(steps, lo), np.full_like(steps, hi)
        for row in range(1, len(by)):
            low[row] = _clip(low[row - 1], by[row], lo, hi)
            high[row] = _clip(high[row - 1], by[row], lo, hi)
            by[row] += by[row - 1]

        by_end, low_end, high_end = (a[-1].copy() for a in (by, low, high))
        for shift in _shifts(by_end):
            last = by_end[shift:], low_end[shift:], high_end[shift:]
            low_end[shift:], high_end[shift:] = (
                _clip(low_end[:-shift], *last),
                _clip(high_end[:-shift], *last),
            )
            by_end[shift:] += by_end[:-shift]
        enters = np.vstack([self[name], _clip(self[name], by_end, low_end, high_end)[:-1]])
        y = _clip(enters, by, low, high)
        self[name] = y[self.last].copy()
        return np.concatenate([enters[None], y[:-1]])


def _clip(y: Values, by: Array, low: Values, high: Values) -> Array:
    """clip(y + by, low, high); np.clip is three times as slow."""
    y = y + by
    np.maximum(y, low, out=y)
    np.minimum(y, high, out=y)
    return y


def _power(keep: Values, steps: Any) -> Array:
    power = np.power(keep, steps)
    return np.where(power < TINY, 0.0, power)  # subnormal numbers are slow


def _shifts(rows: Array) -> Iterator[int]:
    """1, 2, 4, ... below the number of rows."""
    shift = 1
    while shift < len(rows):
        yield shift
        shift *= 2


class Replay:
    """An OnlineTrial under one of the rules below, thousands of steps at a time."""

    def __init__(
        self,
        problem: Any,
        rule: Callable[..., Array],
        *,
        steps: int,
        x1: float,
        lr: Values | Callable[[Array], Array],
        copies: int = 1,
        box: tuple[float, float] = (-1.0, 1.0),
        times: Array | None = None,
        **settings: Any,
    ):
        self.problem, self.rule, self.steps, self.lr = problem, rule, steps, lr
        self.box, self.settings = box, settings
        period = getattr(problem, "period", 1)
        self.times = recorded_times(steps, period) if times is None else times
        self.stretches = max(1, VALUES // (STRETCH * copies))
        self.t = 0
        self.filters = FilterState(x=np.full(copies, x1), regret=np.zeros(copies))
        self.recorded: dict[str, list[Array]] = {"x": [], "average_regret": []}

    @property
    def done(self) -> bool:
        return self.t >= self.steps

    def advance(self) -> None:
        """Play a few of the stretches of an OnlineTrial, with the same draws in each."""
        start, stop = self.t + 1, min(self.t + self.stretches * STRETCH, self.steps) + 1
        edges = [*range(start, stop, STRETCH), stop]
        rows = np.vstack([self.problem.slopes(*ends) for ends in pairwise(edges)])
        g, t = chunks(rows), chunks(np.arange(start, stop)[:, None])
        self.filters.last = _position(len(rows) - 1)

        lr = self.lr(t) if callable(self.lr) else self.lr
        steps = lr * self.rule(self.filters, t, g, **self.settings)
        copies = np.shape(self.filters["x"])
        x = self.filters.clipped("x", np.broadcast_to(steps, g.shape[:2] + copies), *self.box)
        average = self.filters.sum("regret", self.problem.regret(g, x)) / t
        at = _position(self.times[(start <= self.times) & (self.times < stop)] - start)
        self.recorded["x"] += list(x[at])
        self.recorded["average_regret"] += list(average[at])
        self.t = stop - 1

    def traces(self) -> dict[str, Array]:
        """What was recorded so far, with the times `t`."""
        n = len(self.recorded["x"])
        return {"t": self.times[:n], **{k: np.array(v) for k, v in self.recorded.items()}}

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs."""
        recorded = {name: np.array(values) for name, values in self.recorded.items()}
        return {"t": self.t, "filters": dict(self.filters), "recorded": recorded}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        self.t, self.filters = state["t"], FilterState(state["filters"])
        self.recorded = {name: list(values) for name, values in state["recorded"].items()}


def chunks(rows: Array) -> Array:
    """Rows of one step each, (steps, copies), as filters take them; the last row is the padding."""
    whole = np.pad(rows, ((0, -len(rows) % CHUNK), (0, 0)), mode="edge")
    return whole.reshape(-1, CHUNK, rows.shape[1]).swapaxes(0, 1).astype(float, order="C")


def _position(row: Any) -> Any:
    """The step of its chunk and the chunk that a row is put at."""
    chunk, step = divmod(row, CHUNK)
    return step, chunk


# The rules: what x moves against, in units of alpha, at each step t given its slope g.


def sgd(filters: FilterState, t: Array, g: Array) -> Array:
    return g


def adagrad(filters: FilterState, t: Array, g: Array, eps: float = 0.0) -> Array:
    return g / _root(filters.sum("s", g * g), eps)


def paper_adam(filters: FilterState, t: Array, g: Array, betas: Any, eps: float = 0.0) -> Array:
    return filters.mean("m", g, betas[0]) / _root(filters.mean("v", g * g, betas[1]), eps)


def adam(filters: FilterState, t: Array, g: Array, betas: Any, eps: float = 0.0) -> Array:
    m_hat = filters.mean("m", g, betas[0]) / (1 - betas[0] ** t)
    return m_hat / _root(filters.mean("v", g * g, betas[1]) / (1 - betas[1] ** t), eps)


def adamnc(filters: FilterState, t: Array, g: Array, betas: Any, eps: float = 0.0) -> Array:
    """betas[1] is 1 - 1/t, by which v is the mean of all squares."""
    return filters.mean("m", g, betas[0]) / _root(filters.sum("s", g * g) / t, eps)


def amsgrad(
    filters: FilterState, t: Array, g: Array, betas: Any, eps: float = 0.0, rho: Values = 1.0
) -> Array:
    """With rho < 1 it is LeakyAMSGrad."""
    v_max = filters.maximum("v_max", filters.mean("v", g * g, betas[1]), rho)
    return filters.mean("m", g, betas[0]) / _root(v_max, eps)


def amsgrad_torch(filters: FilterState, t: Array, g: Array, betas: Any, eps: float = 0.0) -> Array:
    v_max = filters.maximum("v_max", filters.mean("v", g * g, betas[1]))
    m_hat = filters.mean("m", g, betas[0]) / (1 - betas[0] ** t)
    return m_hat / _root(v_max / (1 - betas[1] ** t), eps)


def amsgrad_keras(filters: FilterState, t: Array, g: Array, betas: Any, eps: float = 0.0) -> Array:
    corrections = np.sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t)
    return corrections * amsgrad(filters, t, g, betas, eps)


def amsgrad_optax(filters: FilterState, t: Array, g: Array, betas: Any, eps: float = 0.0) -> Array:
    v_hat = filters.mean("v", g * g, betas[1]) / (1 - betas[1] ** t)
    m_hat = filters.mean("m", g, betas[0]) / (1 - betas[0] ** t)
    return m_hat / _root(filters.maximum("v_max", v_hat), eps)


def _root(v: Array, eps: float) -> Array:
    """sqrt(v) + eps; sqrt(TINY) in place of eps = 0 makes 0/0 be 0, and changes nothing else."""
    return np.sqrt(v) + (eps or np.sqrt(TINY))
