"""The table of hunts: a row for each rule at its defaults, and for some settings of the literature.

Rows are kept in a JSON file, each as soon as it is there, so that making the table goes on where
it was interrupted.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optim
from experiments.hunt import report
from experiments.hunt.hunted import COMMON, OTHER, Hunted
from experiments.hunt.search import Hunt, hunt
from experiments.hunt.written import page
from experiments.record.environment import code
from minigrad.checkpoint import atomic_write

JSON, PAGE = "hunt.json", "hunt.md"
MORE = (  # rows beside the defaults
    ("PaperAdam", {"betas": (0.0, 0.1)}, None),  # Theorem 1 with C = 3
    ("Adam", {"betas": (0.9, 0.99)}, None),
    ("RMSProp", {"alpha": 0.999}, None),
    ("AMSGrad", {"betas": (0.9, 0.99)}, None),
    ("AMSGrad", {"betas": (0.99, 0.9)}, None),  # beyond beta1 < sqrt(beta2), which theorems ask for
    ("ADOPT", {"betas": (0.9, 0.5)}, None),
    ("ADOPT", {"betas": (0.9, 0.9)}, None),
    ("ADOPT", {"betas": (0.9, 0.99)}, None),
    ("ADOPT", {"betas": (0.9, 0.999)}, None),
    ("AdaShift", {"betas": (0.9, 0.9)}, None),
    ("AdaGrad", {}, COMMON[0]),
)
AGAIN = (  # rows that a test makes again
    *("SGD", "SignSGD", "Signum", "Lion(weight_decay=0.0)"),
    "PaperAdam(betas=(0.0, 0.1))",
)


def rows() -> Iterator[tuple[str, Hunted]]:
    """What is hunted, by the name of its row."""
    for rule in optim.RULES.values():
        if rule.__name__ in OTHER or not rule.__module__.startswith("optim."):
            continue
        for name, settings, schedule in ((rule.__name__, {}, None), *MORE):
            if name == rule.__name__:
                hunted = Hunted.of(name, schedule, **settings)
                yield str(hunted) + (f", {schedule}" if schedule else ""), hunted


def make(directory: Path, force: bool = False, echo: Callable[[str], None] = print) -> None:
    """Hunt what has no row yet, or with `force` all, and write both files after each."""
    path = directory / JSON
    known = {} if force or not path.exists() else json.loads(path.read_text())
    for name, hunted in rows():
        if name not in known:
            echo(name)
            known[name] = as_row(found := hunt(hunted, echo))
            echo("\n".join(report.lines(found)) + f"\n  {found.seconds:.0f} s")
            _write(directory, known)
    _write(directory, known)


def _write(directory: Path, known: dict[str, Any]) -> None:
    every = [name for name, _ in rows()]
    ordered = {name: known[name] for name in every if name in known}
    missing = [name for name in every if name not in known]
    for name, text in ((JSON, as_json(ordered)), (PAGE, page(ordered, missing))):
        with atomic_write(directory / name) as file:
            file.write(text.encode())


def as_json(known: dict[str, Any]) -> str:
    """The rows by name, each in a line."""
    lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in known.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def as_row(found: Hunt) -> dict[str, Any]:
    """A hunt as JSON has it."""
    hunted = found.hunted
    declared = hunted.rule.hyperparameters() | hunted.settings
    return {
        "schedule": hunted.schedule,
        "source": hunted.source,
        "settings": {name: str(value) for name, value in declared.items() if name != "lr"},
        "sha256": {"rule": hunted.digest, "code": code()},
        "findings": [
            {
                "verdict": one.verdict,
                "problem": one.problem,
                "alpha": one.alpha,
                "numbers": one.numbers,
            }
            for one in found.findings
        ],
        "tried": found.tried,
        "seconds": round(found.seconds),
    }
