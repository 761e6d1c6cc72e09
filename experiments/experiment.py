"""What an experiment declares, and what the runner asks of a trial."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from experiments.record.directory import Traces
from experiments.record.figure import Sheet, own_style
from experiments.record.settings import Settings


class Trial(Protocol):
    """One label's part of an experiment: it advances in short pieces, and can resume after each."""

    done: bool

    def advance(self) -> None: ...

    def traces(self) -> dict[str, np.ndarray]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Experiment:
    """One figure: how to compute its traces, draw them, and say what they show.

    `trials` gives a function per label that makes the trial; trials are independent of each other.
    `prepare` settles, once and before anything runs, what depends on the machine.
    """

    name: str
    summary: str
    settings: Settings
    quick: Mapping[str, Any]
    trials: Callable[[Any], Mapping[str, Callable[[], Trial]]]
    draw: Callable[[Traces, Any], Sheet]
    findings: Callable[[Traces, Any], list[str]]
    prepare: Callable[[Any], Any] = field(default=lambda settings: settings)

    def configured(self, changes: Mapping[str, Any], quick: bool = False) -> Any:
        """The settings with some changed; raises ValueError for unknown names and wrong types."""
        cut = {**self.quick, "quick": True} if quick and self.quick else {}
        return self.settings.changed({**cut, **changes})

    def caveat(self, settings: Any) -> str:
        """One sentence about a run with --quick: what was cut; of others, nothing."""
        if not settings.quick:
            return ""
        cut = ", ".join(f"{name}={getattr(settings, name)}" for name in self.quick)
        return f"A quick run ({cut}): it shows that everything works, and ranks nothing."

    def plot(self, traces: Traces, settings: Any, directory: Path) -> list[Path]:
        """Draw the figure into the directory: the same bytes each time, whatever the user's
        matplotlibrc says."""
        with own_style():
            sheet = self.draw(traces, settings)
            sheet.remark(self.caveat(settings))
            return sheet.save(directory)
