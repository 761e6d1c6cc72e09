"""Schedules that begin low: in front of another schedule, or all of a run."""

from typing import Annotated, Any

import numpy as np

from optim.engine.kinds import FROM_0, Steps, Value
from optim.schedules.base import CheckedSchedule, check, progress
from optim.schedules.functions import between


class WarmUp(CheckedSchedule):
    """t / steps of the schedule's first value for `steps` steps, then the schedule from its t = 1.

    Goyal et al. 2017; from 0 and per step as in Ma and Yarats 2021.
    """

    steps: Annotated[Steps, FROM_0]
    schedule: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "schedule", callable(self.schedule), "one such as Constant(0.1)")

    def __call__(self, t: int) -> Any:
        if t <= self.steps:
            return self.schedule(1) * (t / self.steps)
        return self.schedule(t - self.steps)


class WarmUpStableDecay(CheckedSchedule):
    """A rise to value in `warm_up` steps, `stable` steps there, a line to end in `decay` steps.

    Hu et al. 2024 (WSD), whose decay is exponential; in a line as in Hägele et al. 2024.
    """

    value: Value
    warm_up: Annotated[Steps, FROM_0]
    stable: Annotated[Steps, FROM_0]
    decay: Annotated[Steps, FROM_0]
    end: Value = 0.0

    def __call__(self, t: int) -> Any:
        if t <= self.warm_up:
            return self.value * (t / self.warm_up)
        done = t - 1 - self.warm_up - self.stable
        if done < 0:
            return self.value
        return between(self.value, self.end, progress(done, self.decay))


class MemoryWarmUp(CheckedSchedule):
    """A beta from start to end, both inside (0, 1), whose memory 1 / -log(beta) grows linearly.

    Pagliardini, Ablin and Grangier 2024, Section 3, for AdEMAMix's beta3.
    """

    start: Value
    end: Value
    steps: Annotated[Steps, FROM_0]

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("start", "end"):
            value = getattr(self, name)
            check(self, name, isinstance(value, float) and 0 < value < 1, "a number inside (0, 1)")

    def __call__(self, t: int) -> Any:
        if t >= self.steps:
            return self.end
        done = t / self.steps
        return np.exp(1 / ((1 - done) / np.log(self.start) + done / np.log(self.end)))
