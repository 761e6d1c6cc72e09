"""How runs begin: the settings that the command line asks for, and the directories of new runs.

Whatever is wrong is said before anything is written, all of it at once.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from experiments import mpi, on_dask
from experiments.experiment import Experiment
from experiments.interactive import load
from experiments.options import changed
from experiments.record.directory import COMPLETE, RunDirectory
from experiments.record.environment import code
from experiments.record.wording import listed
from experiments.registry import find
from experiments.runner import unfinished
from experiments.workers import Run, check_process
from minigrad.backend import Backend, current, make, temporarily


def created(options: argparse.Namespace) -> tuple[list[Run], Backend]:
    """A run for each experiment that is named, but for those that are there already."""
    names = dict.fromkeys(options.names)  # each once
    experiments = [find(name) for name in names]
    backend, settled, done = _settled(experiments, options)
    for directory in done:
        _keep(directory)
    runs: list[Run] = []
    try:
        for experiment, settings in settled:
            directory = RunDirectory.create(options.out, experiment.name, settings)
            runs.append(Run(experiment, settings, directory))
    except BaseException:
        for run in runs:
            run.directory.discard()
        raise
    return runs, backend


def _settled(
    experiments: list[Experiment], options: argparse.Namespace
) -> tuple[Backend, list[tuple[Experiment, Any]], list[RunDirectory]]:
    """The backend, each experiment that is to be run with its settings, and the runs that are there
    already; raises ValueError with all that is wrong.

    Nothing is written, and nothing is downloaded once something is known to be wrong.
    """
    wrong: dict[str, None] = {}  # each sentence once
    backend, changes, settled, done = Backend(), {}, [], []
    with _collected(wrong):
        backend = backend_for(options.backend, options)
    with _collected(wrong):
        changes = changed(options, experiments)
    for experiment in experiments:
        # One of the same code may have the same settings, which are not known yet
        whole = {"status": COMPLETE, "code": code()}
        if not (options.force or RunDirectory(options.out / experiment.name).has(**whole)):
            with _collected(wrong):
                RunDirectory.check_free(options.out, experiment.name, code=code())
    for experiment in experiments:
        with _collected(wrong):
            mine = {k: v for k, v in changes.items() if k in vars(experiment.settings)}
            settings = experiment.configured(mine, options.quick)
            if wrong and settings.may_download:
                continue
            with temporarily(backend):  # how long a run is depends on it
                settings = experiment.prepare(settings)
            with temporarily(Backend()):  # a device is for the workers
                # Making them raises for bad settings
                trials = [make_trial() for make_trial in experiment.trials(settings).values()]
            if options.mpi:
                mpi.check_spread(experiment.name, trials)
            directory = RunDirectory(options.out / experiment.name)
            same = {"settings": asdict(settings), "backend": backend.name, "code": code()}
            if not options.force and directory.has(status=COMPLETE, **same):
                done.append(directory)
                continue
            if not options.force:
                RunDirectory.check_free(options.out, experiment.name, **same)
            settled.append((experiment, settings))
    if options.dask and not wrong:
        with _collected(wrong):
            on_dask.check_trials(options.dask, settled)
    if wrong:
        raise ValueError("\nexperiments: ".join(wrong))
    return backend, settled, done


def _keep(directory: RunDirectory) -> None:
    """Say that a whole run is not run again, and draw what it lacks; raises RunDirectoryError where
    its traces are not whole."""
    result, again = load(directory.path), "it is not run again; --force does"
    if missing := directory.missing():
        result.save(directory.path)
        directory.write_checksums()
        again = f"{listed(missing)}, which it lacked, came from its traces"
    print(f"{directory.path} has these settings and this code, so {again}.")


@contextmanager
def _collected(wrong: dict[str, None]) -> Iterator[None]:
    """Inside, what is wrong is not raised, but added to the others."""
    try:
        yield
    except ValueError as error:
        wrong[str(error)] = None


def resumed(options: argparse.Namespace) -> tuple[list[Run], Backend]:
    """The run that is to be continued, on its backend where no other is named."""
    before = RunDirectory(options.directory).manifest.get("backend")
    backend = backend_for(options.backend or before, options)
    run = unfinished(options.directory)
    if options.dask:
        try:
            on_dask.check_trials(options.dask, [(run.experiment, run.settings)])
        except BaseException:
            run.directory.unlock()
            raise
    return [run], backend


def backend_for(name: str | None, options: argparse.Namespace) -> Backend:
    """That of the workers; raises, before anything is written, where there can be none."""
    check_process()
    backend = make(name) if name else current()
    if options.dask:
        on_dask.check(options.dask, backend.name)
    return backend
