"""Where a run on a periodic problem is at its end, and where it would go."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.problems.drift import drift
from experiments.record.wording import listed

AT_WORST, AT_BEST = "at the worst point, +1", "at the best point, -1"
NEAR = 0.1  # within which x is said to be at an end of [-1, 1]
STILL = 0.01  # within which x has not moved over the second half of the steps

# How much of v's maximum each rule keeps in a step, as the rho of LeakyAMSGrad
KEPT = {"Adam": 0.0, "PaperAdam": 0.0, "AMSGrad": 1.0, "AMSGradTorch": 1.0, "AMSGradKeras": 1.0}

# Where x goes in Figure 1 of Reddi, Kale and Kumar 2018, and for what settings
IN_FIGURE_1, FIGURE_1 = {"Adam": 1.0, "PaperAdam": 1.0, "AMSGrad": -1.0}, (101, (0.9, 0.99))


@dataclass(frozen=True)
class Ending:
    """The end of one rule's run; `drift` is what a period moves x by, in units of alpha, where
    there is a closed form for it."""

    label: str
    x: float  # x_T
    before: float  # x_t at half of the steps
    drift: float | None

    @classmethod
    def of(cls, label: str, trace: Mapping[str, np.ndarray], s: Any) -> "Ending":
        """From the trace of OnlineTrial under PeriodicSettings."""
        x, half = trace["x"][:, 0], np.searchsorted(trace["t"], trace["t"][-1] / 2)
        kept = KEPT.get(label)
        moved = None if kept is None else float(drift(s.problem, s.betas, kept))
        return cls(label, float(x[-1]), float(x[half]), moved)

    @property
    def end(self) -> int | None:
        """Where the closed form says that x goes, +1 or -1."""
        return None if self.drift is None else 1 if self.drift > 0 else -1

    @property
    def status(self) -> str:
        """What `label` does, in a few words that several rules may share."""
        here = 1 if self.x > 1 - NEAR else -1 if self.x < NEAR - 1 else 0
        if here and self.end in (here, None):
            return AT_WORST if here > 0 else AT_BEST
        moved = self.x - self.before
        if self.end and (here or moved * self.end < -STILL):
            return f"yet to turn to {self.end:+d}"
        to = f", to {self.end:+d}" if self.end else ""
        if abs(moved) <= STILL and not self.end:
            return "between the two"
        return f"still {'climbing' if (self.end or moved) > 0 else 'descending'}{to}"

    @property
    def text(self) -> str:
        """The end in a sentence."""
        if self.drift is None:
            return f"{self.label} is {self.status}, with x = {self.x:+.3f}."
        end = "the worst point" if self.drift > 0 else "the best"
        return (
            f"{self.label} is {self.status}, with x = {self.x:+.3f}; in closed form x drifts by "
            f"{self.drift:+.3g} alpha a period, so it ends at {self.end:+d}, {end}."
        )


def grouped(endings: Mapping[str, Ending]) -> str:
    """One sentence on all of them: those that do the same are named together."""
    groups: dict[str, list[str]] = {}
    for label, ending in endings.items():
        groups.setdefault(ending.status, []).append(label)
    parts = []
    for status, labels in groups.items():
        verbs = ("ends", "end") if status in (AT_WORST, AT_BEST) else ("is", "are")
        parts.append(f"{listed(labels)} {verbs[len(labels) > 1]} {status}")
    return "; ".join(parts)
