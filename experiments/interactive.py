"""Experiments from Python and notebooks: run one, or load a run from disk."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from experiments.record.directory import RunDirectory
from experiments.record.wording import BAR
from experiments.registry import find, meant
from experiments.result import Result


def run(name: str, *, quick: bool = False, **settings: Any) -> Result:
    """Run the experiment of that name in this process, and return what it has found.

    `settings` are those that `python -m experiments list` names; `quick` starts from ones that take
    seconds. The numbers are those of the command line, which runs trials in parallel and keeps them
    on disk. Raises ValueError for a name or a setting that is not to be had.
    """
    experiment = find(name)
    known = [f.name for f in fields(experiment.settings) if f.repr]
    for setting in settings:
        if not hasattr(experiment.settings, setting):
            raise ValueError(f"{name} has no setting {setting!r}; {meant(setting, known)}")
    settled = experiment.prepare(experiment.configured(settings, quick))
    trials = {label: make() for label, make in experiment.trials(settled).items()}
    with (
        threadpool_limits(1),
        tqdm(total=len(trials), desc=name, bar_format=BAR, miniters=0) as bar,
    ):
        for place, (label, trial) in enumerate(trials.items()):
            bar.set_postfix_str(label)
            while not trial.done:
                trial.advance()
                bar.n = place + trial.progress
                bar.update(0)
    return Result(experiment, settled, {label: one.traces() for label, one in trials.items()})


def load(path: str | Path) -> Result:
    """What the run in that directory has found; raises RunDirectoryError where there is none."""
    directory = RunDirectory(Path(path))
    manifest = directory.manifest
    experiment = find(manifest["experiment"])
    settings = experiment.configured(manifest["settings"])
    return Result(experiment, settings, directory.traces())
