"""The loop on functions of the plane: backward, step."""

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.loops.compared import check_separate
from experiments.loops.online import recorded_times
from experiments.problems.functions import Landscape
from minigrad import Parameters, Tensor, to_host, xp
from optim import Box, Optimizer

STRETCH = 100  # steps between two looks at the clock


class Descent:
    """One rule on a landscape, in float64, with each of many rates: a copy each, of one arena.

    The window is a box that no path leaves. Records x and y before the step, (times, rates). All
    copies see the same noise.
    """

    def __init__(
        self,
        landscape: Landscape,
        rule: Callable[..., Optimizer],
        *,
        rates: np.ndarray,
        steps: int,
        seed: int,
    ):
        self.landscape, self.steps, self.seed = landscape, steps, seed
        points = (Tensor(np.full(len(rates), z), requires_grad=True) for z in landscape.start)
        self.point = list(points)
        self.params = Parameters.of(self.point)
        lo, hi = (np.repeat(ends, len(rates)) for ends in zip(*landscape.window, strict=True))
        box = Box(xp.asarray(lo, "float64"), xp.asarray(hi, "float64"))
        self.opt = rule(self.params, lr=xp.asarray(np.tile(rates, 2)), projection=box)
        check_separate(self.opt)
        self.times = recorded_times(steps)
        self.recorded: list[np.ndarray] = []  # x and y of each time

    @property
    def progress(self) -> float:
        """The share of the steps that are taken."""
        return self.opt.t / self.steps

    @property
    def done(self) -> bool:
        return self.opt.t >= self.steps

    def advance(self) -> None:
        """Take a stretch of steps."""
        start = self.opt.t + 1
        stop = min(start + STRETCH, self.steps + 1)
        signs = np.random.default_rng([self.seed, start]).choice([-1.0, 1.0], (stop - start, 2))
        for t, row in zip(range(start, stop), signs.tolist(), strict=True):
            if self.times[len(self.recorded)] == t:
                self.recorded.append(np.stack([to_host(z.data).copy() for z in self.point]))
            noise = [self.landscape.noise * sign for sign in row[: len(self.landscape.others)]]
            self.opt.zero_grad()
            self.landscape.function(*self.point, *noise).sum().backward()
            self.opt.step()

    def traces(self) -> dict[str, np.ndarray]:
        """What was recorded so far, with the times `t`."""
        n, copies = len(self.recorded), self.point[0].size
        x, y = np.reshape(self.recorded, (n, 2, copies)).swapaxes(0, 1)
        return {"t": self.times[:n], "x": x, "y": y}

    def state_dict(self) -> dict[str, Any]:
        """Everything that continuing needs."""
        return {
            "params": self.params.state_dict(),
            "opt": self.opt.state_dict(),
            "recorded": np.array(self.recorded),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        self.params.load_state_dict(state["params"])
        self.opt.load_state_dict(state["opt"])
        self.recorded = list(state["recorded"])
