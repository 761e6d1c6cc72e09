"""The drift D(t): how far a period moves x in the end, in units of lr, if every step were step t.

The state is at its periodic limit, which is found by playing periods until it stands still, and D
with it: there is no formula of any rule here.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.hunt.hunted import Hunted
from optim.engine.settings import value_at

STILL = 1e-9  # share by which D and the state may differ between n and 2 n periods, at the limit
VANISHED = 1e-12  # below which a number of the state, as beta2^t, counts as 0
FREE = 1e-5  # share of the moves by which it may depend on x
CERTAIN = 1e-5  # share of the moves below which D has no sign
VALUES = 2**20  # steps times coordinates that are played at once
MOST, FEWER = 2**21, 2**17  # steps to wait for a limit, where they are one loop, and where not
AWAY = 0.5  # another place of x


@dataclass(frozen=True)
class Drift:
    """D(t) of each problem, NaN where there is none, and the sum of the sizes of its moves.

    `excess` is how much larger than at the worst point the mean regret of a step is where x lies at
    that end of the box, by which each period moves it a little; in units of lr.
    """

    d: np.ndarray
    size: np.ndarray
    excess: np.ndarray
    steps: int  # of the period, which all problems have

    def wrong(self, worst: Any) -> np.ndarray:
        """Whether D leads to the worst point of each problem."""
        return self.d * worst > CERTAIN * self.size

    def right(self, worst: Any) -> np.ndarray:
        """Whether D leads to the best point of each problem."""
        return self.d * worst < -CERTAIN * self.size


class Frozen:
    """A rule on problems (period, problems), whose steps after a first period are all step t,
    without projection."""

    def __init__(self, hunted: Hunted, slopes: np.ndarray, t: int):
        self.hunted, self.slopes, self.t, self.steps = hunted, slopes, t, 0
        self.opt, self.params = hunted.built(np.zeros(slopes.shape[1]))
        self.opt.play(slopes)  # some rules remember how they began
        self.lr = value_at("lr", self.opt.lr, t)

    def play(self, periods: int) -> None:
        """Play so many."""
        at_once = max(1, VALUES // self.slopes.size)
        while periods:
            some = min(periods, at_once)
            self.params.data[...] = 0.0  # lest x grow so large that its moves are rounded
            self.opt.play(np.tile(self.slopes, (some, 1)), at=self.t)
            periods -= some
            self.steps += some * len(self.slopes)

    def moves(self, x: float = 0.0) -> np.ndarray:
        """Those of a period that begins at x."""
        self.params.data[...] = x
        played = self.opt.play(self.slopes, at=self.t)
        self.steps += len(self.slopes)
        return np.diff(np.vstack([played, self.params.data]), axis=0) / self.lr

    def _state(self) -> np.ndarray:
        """A row for each number of the state, a column for each problem."""
        rows, problems = [], self.slopes.shape[1]
        for values in self.opt.state.values():
            if not values.ndim:
                rows.append(np.full((1, problems), values * (abs(values) >= VANISHED)))
            elif self.hunted.apart:
                rows.append(np.reshape(values, (-1, problems)))
            else:
                rows.append(np.reshape(values, (problems, -1)).T)
        return np.vstack([np.zeros((1, problems)), *rows])

    def settle(self) -> Drift:
        """Play until D and the state stand still, or for as many steps as can be waited for."""
        most = MOST if self.hunted.fast else FEWER
        self.play(1)
        periods, before, state = 1, None, self._state()
        largest = np.abs(state)  # so far, since a number may be near 0 at the end of a period
        still = np.zeros(self.slopes.shape[1], bool)
        while not still.all() and self.steps < most:
            moves, now = self.moves(), self._state()
            d, largest = moves.sum(axis=0), np.maximum(largest, np.abs(now))
            periods += 1
            if before is not None:
                still = np.abs(d - before) <= STILL * np.abs(moves).sum(axis=0)
                still &= (np.abs(now - state) <= STILL * largest).all(axis=0)
            if not still.all():
                before, state = d, now
                self.play(periods)
                periods *= 2
        moves, elsewhere = self.moves(), self.moves(AWAY)
        d, size = moves.sum(axis=0), np.abs(moves).sum(axis=0)
        exists = still & (np.abs(elsewhere.sum(axis=0) - d) <= FREE * size)
        excess = _excess(self.slopes, moves)
        return Drift(np.where(exists, d, np.nan), size, excess, len(self.slopes))


def _excess(slopes: np.ndarray, moves: np.ndarray) -> np.ndarray:
    worst, away = np.sign(slopes.mean(axis=0)), np.zeros(slopes.shape[1])
    for _ in range(2):  # the second begins as it ends
        total = np.zeros(slopes.shape[1])
        for g, move in zip(slopes, moves, strict=True):
            total += g * away
            away = worst * np.minimum(worst * (away + move), 0.0)
    return total / len(slopes)


def drift(hunted: Hunted, slopes: np.ndarray, t: int) -> Drift:
    """D(t) of the problems whose slopes of one period are (period, problems)."""
    return Frozen(hunted, slopes, t).settle()
