"""What a run has found: its traces, and what its experiment reads from them."""

import io
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.experiment import Experiment, Finding
from experiments.record.directory import Traces
from experiments.record.figure import Sheet, own_style
from minigrad.checkpoint import atomic_write

FINDINGS = "findings.json"


@dataclass(frozen=True, repr=False)
class Result:
    """The traces of one run by label and name, and what they show; a notebook shows the figure."""

    experiment: Experiment
    settings: Any
    traces: Traces

    @cached_property
    def verdict(self) -> str:
        """What came out, in one sentence."""
        return self.experiment.verdict(self.traces, self.settings)

    @cached_property
    def caption(self) -> str:
        """What the figure shows, and where."""
        return self.experiment.caption(self.traces, self.settings)

    @cached_property
    def findings(self) -> list[Finding]:
        """A sentence with its numbers for each trial."""
        return self.experiment.findings(self.traces, self.settings)

    @property
    def sheet(self) -> Sheet:
        """The figure and the numbers in it, drawn anew."""
        sheet = self.experiment.draw(self.traces, self.settings)
        sheet.remark(self.experiment.caveat(self.settings))
        return sheet

    @cached_property
    def figure(self) -> Any:
        """The matplotlib Figure."""
        with own_style():
            return self.sheet.finish()

    def save(self, directory: Path) -> list[Path]:
        """Write figure.png, .svg and .csv, the other tables and findings.json."""
        with atomic_write(directory / FINDINGS) as file:
            found = {
                "experiment": self.experiment.name,
                "verdict": self.verdict,
                "caveat": self.experiment.caveat(self.settings),
                "caption": self.caption,
                "findings": [asdict(finding) for finding in self.findings],
            }
            file.write(json.dumps(found, indent=2, allow_nan=False).encode() + b"\n")
        with own_style():
            return [*self.sheet.save(directory), directory / FINDINGS]

    def __repr__(self) -> str:
        lines = [f"{self.experiment.name}: {self.verdict}"]
        return "\n  ".join(lines + [finding.text for finding in self.findings])

    def _repr_png_(self) -> bytes:
        image = io.BytesIO()
        with own_style():
            self.figure.savefig(image, format="png")
        return image.getvalue()
