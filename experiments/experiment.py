"""What an experiment declares, and what the runner asks of a trial."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from experiments.record.directory import Traces
from experiments.record.figure import Sheet
from experiments.record.settings import Settings


class Trial(Protocol):
    """One label's part of an experiment: it advances in short pieces, and can resume after each."""

    done: bool
    progress: float  # the share of its work that is done

    def advance(self) -> None: ...

    def traces(self) -> dict[str, np.ndarray]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Finding:
    """A sentence on one part of a run, and the numbers in it by name.

    `stated` has those of the literature by the same names, where it has any.
    """

    text: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    stated: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """One figure: how to compute its traces, draw them, and say what they show.

    `trials` gives a function per label that makes the trial; trials are independent of each other.
    `prepare` settles, once and before anything runs, what depends on the machine. What is said of
    the traces is computed from them and the settings, so that it is true whatever these are: the
    `verdict`, one sentence, which is the title of the figure too; the `caption`, what is to be seen
    where; and the `findings`, a sentence with its numbers for each trial.
    """

    name: str
    summary: str
    settings: Settings
    quick: Mapping[str, Any]
    trials: Callable[[Any], Mapping[str, Callable[[], Trial]]]
    draw: Callable[[Traces, Any], Sheet]
    verdict: Callable[[Traces, Any], str]
    caption: Callable[[Traces, Any], str]
    findings: Callable[[Traces, Any], list[Finding]]
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
