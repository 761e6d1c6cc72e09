"""A period of the problem that a hunt has found, under the microscope of `why`."""

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from experiments.claims import why
from experiments.hunt.hunted import Hunted
from experiments.hunt.report import sentence
from experiments.hunt.verdicts import Finding
from experiments.loops.microscope import Microscope
from experiments.record.figure import own_style

BEFORE = 40_000  # steps before the period that is looked at, about


@dataclass(frozen=True)
class Looked:
    """What the figure of `why` asks of its settings."""

    problem: Any
    before: int
    lr: float = 1.0


def save(hunted: Hunted, finding: Finding, directory: Path) -> list[Path]:
    """Write figure.png, .svg and .csv of a finding on a periodic problem."""
    looked = Looked(finding.of, ceil(BEFORE / finding.of.period))
    settings = hunted.settings | {"lr": looked.lr}
    trial = Microscope(looked.problem, hunted.rule, periods=looked.before, **settings)
    while not trial.done:
        trial.advance()
    told = ", ".join(f"{name} = {value}" for name, value in hunted.settings.items())
    title = f"{hunted.name} {sentence(finding).split(' on f_t')[0].rstrip(',')}"
    with own_style():
        sheet = why.magnified(
            {hunted.name: trial.traces()},
            looked,
            title,
            looked.problem.mathtext,
            told or "hyperparameters as declared",
        )
        directory.mkdir(parents=True, exist_ok=True)
        return sheet.save(directory)
