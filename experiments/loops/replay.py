"""Runs on the online problems in time-parallel form, without the rules of `optim`: a second
derivation of the stepwise run, and the way to more steps than a loop can take.

The slopes of a linear problem do not depend on x, so those of many steps are known at once. Then
moments are linear filters in time, and the projected sum of steps is a composition of clips. Both
are associative, so time is cut into lanes, and an array operation takes a step in every lane. Each
lane begins as if nothing came before it; what did is found by doubling: once the end of every lane
knows the `shift` lanes up to it, one operation makes it know 2 * shift.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from experiments.loops.online import STRETCH, recorded_times

Array = np.ndarray
Values = float | Array  # a number, or one per copy
VALUES = 2**18  # at a time, about: more leave the cache, fewer keep Python busier
LANE = 64  # steps
TINY = np.finfo(float).tiny


class Past(dict[str, Values]):
    """The filters in time, and by name the value of each at `last`, the newest step so far.

    They map arrays of shape (steps of a lane, lanes, copies): time goes down the first lane, and on
    at the top of the next.
    """

    last: tuple[int, int]  # (step of its lane, lane); what comes after only fills the last lane

    def mean(self, name: str, values: Array, beta: Values) -> Array:
        """y_t = beta y_{t-1} + (1 - beta) values_t."""
        return self._folded(np.add, name, (1 - beta) * values, beta)

    def largest(self, name: str, values: Array, rho: Values = 1.0) -> Array:
        """y_t = max(rho y_{t-1}, values_t), of values that are not negative."""
        return self._folded(np.maximum, name, values, rho)

    def total(self, name: str, values: Array) -> Array:
        """y_t = y_{t-1} + values_t."""
        return self._folded(np.add, name, values, 1.0)

    def _folded(self, op: np.ufunc, name: str, values: Array, keep: Values) -> Array:
        """y_t = op(keep y_{t-1}, values_t), for an op that scaling both arguments scales."""
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

        Of the steps up to t in a row, what they make of y is clip(y + by_t, low_t, high_t): the
        first has the ends of the box for low and high, and each later one moves and clips these.
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
    """As OnlineRun, by one of the rules below, thousands of steps at a time."""

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
        self.times = recorded_times(steps) if times is None else times
        self.stretches = max(1, VALUES // (STRETCH * copies))
        self.t = 0
        self.past = Past(x=np.full(copies, x1), regret=np.zeros(copies))
        self.recorded: dict[str, list[Array]] = {"x": [], "average_regret": []}

    @property
    def done(self) -> bool:
        return self.t >= self.steps

    def advance(self) -> None:
        """Play a few of OnlineRun's stretches, of which each has its own draws."""
        start, stop = self.t + 1, min(self.t + self.stretches * STRETCH, self.steps) + 1
        edges = [*range(start, stop, STRETCH), stop]
        rows = np.vstack([self.problem.slopes(*ends) for ends in pairwise(edges)])
        g, t = lanes(rows), lanes(np.arange(start, stop)[:, None])
        self.past.last = _place(len(rows) - 1)

        lr = self.lr(t) if callable(self.lr) else self.lr
        steps = lr * self.rule(self.past, t, g, **self.settings)
        copies = np.shape(self.past["x"])
        x = self.past.clipped("x", np.broadcast_to(steps, g.shape[:2] + copies), *self.box)
        average = self.past.total("regret", self.problem.regret(g, x)) / t
        at = _place(self.times[(start <= self.times) & (self.times < stop)] - start)
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
        return {"t": self.t, "past": dict(self.past), "recorded": recorded}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        self.t, self.past = state["t"], Past(state["past"])
        self.recorded = {name: list(values) for name, values in state["recorded"].items()}


def lanes(rows: Array) -> Array:
    """Rows of one step each, (steps, copies), as the filters take them; the last fills its lane."""
    whole = np.pad(rows, ((0, -len(rows) % LANE), (0, 0)), mode="edge")
    return whole.reshape(-1, LANE, rows.shape[1]).swapaxes(0, 1).astype(float, order="C")


def _place(row: Any) -> Any:
    """Where the filters have that row."""
    lane, step = divmod(row, LANE)
    return step, lane


# The rules: what x moves against, in units of alpha, at each step t given its slope g.


def sgd(past: Past, t: Array, g: Array) -> Array:
    return g


def adagrad(past: Past, t: Array, g: Array, eps: float = 0.0) -> Array:
    return g / _root(past.total("s", g * g), eps)


def paper_adam(past: Past, t: Array, g: Array, betas: Any, eps: float = 0.0) -> Array:
    return past.mean("m", g, betas[0]) / _root(past.mean("v", g * g, betas[1]), eps)


def adam(past: Past, t: Array, g: Array, betas: Any, eps: float = 0.0) -> Array:
    m_hat = past.mean("m", g, betas[0]) / (1 - betas[0] ** t)
    return m_hat / _root(past.mean("v", g * g, betas[1]) / (1 - betas[1] ** t), eps)


def adamnc(past: Past, t: Array, g: Array, betas: Any, eps: float = 0.0) -> Array:
    """betas[1] is 1 - 1/t, by which v is the mean of all squares."""
    return past.mean("m", g, betas[0]) / _root(past.total("s", g * g) / t, eps)


def amsgrad(
    past: Past, t: Array, g: Array, betas: Any, eps: float = 0.0, rho: Values = 1.0
) -> Array:
    """With rho < 1 it is LeakyAMSGrad."""
    v_max = past.largest("v_max", past.mean("v", g * g, betas[1]), rho)
    return past.mean("m", g, betas[0]) / _root(v_max, eps)


def amsgrad_torch(past: Past, t: Array, g: Array, betas: Any, eps: float = 0.0) -> Array:
    v_max = past.largest("v_max", past.mean("v", g * g, betas[1]))
    m_hat = past.mean("m", g, betas[0]) / (1 - betas[0] ** t)
    return m_hat / _root(v_max / (1 - betas[1] ** t), eps)


def amsgrad_keras(past: Past, t: Array, g: Array, betas: Any, eps: float = 0.0) -> Array:
    corrections = np.sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t)
    return corrections * amsgrad(past, t, g, betas, eps)


def amsgrad_optax(past: Past, t: Array, g: Array, betas: Any, eps: float = 0.0) -> Array:
    v_hat = past.mean("v", g * g, betas[1]) / (1 - betas[1] ** t)
    m_hat = past.mean("m", g, betas[0]) / (1 - betas[0] ** t)
    return m_hat / _root(past.largest("v_max", v_hat), eps)


def _root(v: Array, eps: float) -> Array:
    """sqrt(v) + eps; without eps, 0/0 is to be 0, and nothing else to change."""
    return np.sqrt(v) + (eps or np.sqrt(TINY))
