"""Runs on the online problems in time-parallel form, without the rules of `optim`: a second
derivation of the stepwise run, and the way to more steps than a loop can take.

The slopes of a linear problem do not depend on x, so those of many steps are known at once. Then
moments are linear filters in time, and the projected sum of steps is a composition of clips. Both
are associative, so each is a scan by doubling: once every row holds the `shift` rows up to it, one
array operation makes it hold 2 * shift.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from experiments.online import POINTS, STRETCH

Array = np.ndarray
Values = float | Array  # a number, or one per copy
VALUES = 8000  # at a time, about: more leave the cache, fewer keep Python busier
TINY = np.finfo(float).tiny


class Past(dict[str, Values]):
    """The filters in time, and the last row of each by name: nothing before the first stretch."""

    def mean(self, name: str, values: Array, beta: Values) -> Array:
        """y_t = beta y_{t-1} + (1 - beta) values_t."""
        y = (1 - beta) * values
        y[0] += beta * self.get(name, 0.0)
        for shift in _shifts(y):
            weight = beta**shift
            weight = np.where(weight < TINY, 0.0, weight)  # subnormal numbers are slow
            if not weight.any():
                break
            y[shift:] += weight * y[:-shift]
        self[name] = y[-1].copy()
        return y

    def largest(self, name: str, values: Array, rho: Values = 1.0) -> Array:
        """y_t = max(rho y_{t-1}, values_t), of values that are not negative."""
        y = values.copy()
        y[0] = np.maximum(y[0], rho * self.get(name, 0.0))
        for shift in _shifts(y):
            np.maximum(y[shift:], rho**shift * y[:-shift], out=y[shift:])
        self[name] = y[-1].copy()
        return y

    def total(self, name: str, values: Array) -> Array:
        """y_t = y_{t-1} + values_t."""
        y = values.copy()
        y[0] += self.get(name, 0.0)
        np.cumsum(y, axis=0, out=y)
        self[name] = y[-1].copy()
        return y

    def clipped(self, name: str, steps: Array, lo: float, hi: float) -> Array:
        """y_t = clip(y_{t-1} - steps_t, lo, hi).

        Of the steps up to t in a row, what they make of y is clip(y + by_t, low_t, high_t).
        """
        by = -steps
        low, high = np.full_like(by, lo), np.full_like(by, hi)
        for shift in _shifts(by):
            last = by[shift:], low[shift:], high[shift:]
            low[shift:], high[shift:] = (_clip(low[:-shift], *last), _clip(high[:-shift], *last))
            by[shift:] += by[:-shift]
        y = _clip(self[name], by, low, high)
        self[name] = y[-1].copy()
        return y


def _clip(y: Array, by: Array, low: Array, high: Array) -> Array:
    """clip(y + by, low, high); np.clip is three times as slow."""
    y = y + by
    np.maximum(y, low, out=y)
    np.minimum(y, high, out=y)
    return y


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
        geometric = np.unique(np.geomspace(1, steps, POINTS).round().astype(int))
        self.times = geometric if times is None else times
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
        g = np.vstack([self.problem.slopes(*ends) for ends in pairwise(edges)]).astype(float)
        t = np.arange(float(start), stop)[:, None]
        lr = self.lr(t) if callable(self.lr) else self.lr
        first, past = self.past["x"], self.past
        steps = np.broadcast_to(lr * self.rule(past, t, g, **self.settings), (len(t), len(first)))
        x = np.vstack([first, past.clipped("x", steps, *self.box)[:-1]])
        average = past.total("regret", self.problem.regret(g, x)) / t
        at = self.times[(start <= self.times) & (self.times < stop)] - start
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
