"""What a report runs: experiments with settings that take a minute on two cores, all in all."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.record.directory import RunDirectory
from experiments.registry import EXPERIMENTS
from experiments.workers import Run
from minigrad.backend import Backend, temporarily
from optim.named import named

BESIDE = ("Adam", "AMSGrad", "SGD")
TUNED = {"data": "digits", "epochs": 10, "tuning_seeds": 1, "seeds": 3}
PLAN: Mapping[str, Mapping[str, Any]] = {
    "synthetic-online": {"steps": 202_000},  # whole periods
    "regret": {"steps": 9_000, "seeds": 5},
    "why": {},
    "phase-diagram": {"steps": 20_200},
    "theorem-1": {"steps": 9_000},
    "synthetic-stochastic": {"steps": 50_000, "seeds": 50},
    "landscapes": {"steps": 500},
    "logistic": TUNED,
    "mlp": TUNED,
}
ALONE = {"phase-diagram"}  # what draws the map of one rule


def rules(rule: str) -> tuple[str, ...]:
    """The rules that are compared: this one, and those of BESIDE that it is not."""
    label = named(rule).label
    return (rule, *(name for name in BESIDE if name != label))


def settled(rule: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings of each experiment, and of each that is left out the reason."""
    known, left_out = {}, {}
    for name, changes in PLAN.items():
        experiment = EXPERIMENTS[name]
        compared = (rule,) if name in ALONE else rules(rule)
        try:
            settings = experiment.prepare(experiment.configured({**changes, "rules": compared}))
            with temporarily(Backend()):  # a device is for the workers
                for make_trial in experiment.trials(settings).values():
                    make_trial()
        except ValueError as error:
            left_out[name] = str(error)
        else:
            known[name] = settings
    return known, left_out


def begun(folder: Path, known: Mapping[str, Any], force: bool) -> list[Run]:
    """A run of each experiment in the folder; raises RunDirectoryError where some are there."""
    for name in PLAN:
        if not force:
            RunDirectory.check_free(folder, name)
        elif (folder / name).exists():
            shutil.rmtree(folder / name)
    return [
        Run(EXPERIMENTS[name], settings, RunDirectory.create(folder, name, settings))
        for name, settings in known.items()
    ]
