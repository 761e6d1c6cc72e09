"""What a report runs: experiments with settings that take a minute on two cores, all in all."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.record.directory import COMPLETE, PARTIAL, RunDirectory
from experiments.record.environment import code
from experiments.registry import EXPERIMENTS
from experiments.runner import unfinished
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


def begun(folder: Path, known: Mapping[str, Any], backend: str, force: bool) -> list[Run]:
    """A run in the folder of each experiment that is not whole there; one that was interrupted goes
    on. Raises RunDirectoryError where there are others."""
    kept, here = {}, {"backend": backend, "code": code()}
    for name, settings in known.items() if not force else ():
        same = {"settings": asdict(settings), **here}
        whole, partial = RunDirectory(folder / name), RunDirectory(folder / f"{name}{PARTIAL}")
        if whole.has(status=COMPLETE, **same):
            kept[name] = None
        elif not whole.path.exists() and partial.has(**same):
            kept[name] = partial.path
        else:
            RunDirectory.check_free(folder, name, **same)
    runs = []
    for name, settings in known.items():
        if name not in kept:
            if (folder / name).exists():
                shutil.rmtree(folder / name)
            directory = RunDirectory.create(folder, name, settings)
            runs.append(Run(EXPERIMENTS[name], settings, directory))
        elif path := kept[name]:
            runs.append(unfinished(path))
    return runs
