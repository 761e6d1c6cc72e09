"""Runs experiments on the ranks of MPI, each of which does its part of every batch.

    mpiexec -n N python -m experiments run NAME --mpi

Rank 0 alone reads and writes the directory. What one rank alone raises ends them all, since the
others would wait for it.
"""

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

import minigrad
from experiments import runner
from experiments.advancing import advance_from
from experiments.experiment import Trial
from experiments.record.directory import RunDirectory
from experiments.registry import EXPERIMENTS
from experiments.workers import Run
from minigrad.backend import Backend
from optim.wrappers.ranks import Ranks

Begin = Callable[[], tuple[list[Run], Backend]]


def execute(begin: Begin, shards: int | None) -> int:
    """On every rank: advance the trials of the runs that `begin` makes, and give the exit status.

    `begin` is called on rank 0; what it raises is raised there, and the others give the status 2.
    With `shards` the numbers do not depend on how many ranks there are.
    """
    ranks, runs = Ranks(), list[Run]()
    told: Any = None
    refused: Exception | None = None
    with _aborting(ranks):
        if ranks.rank == 0:
            try:
                _check_shards(shards, ranks)
                runs, backend = begin()
                told = backend.name, [_described(run, ranks, shards) for run in runs]
            except (ValueError, OSError, RuntimeError, MemoryError) as error:
                refused = error
        told = ranks.objects(told)[0]
        if told is not None:
            name, described = told
            threadpool_limits(1)
            os.environ["OMP_NUM_THREADS"] = "1"
            minigrad.use(name)
            for run in runs:
                runner.begin(run, name, ranks=ranks.size)
            shown = redirect_stdout(sys.stdout if ranks.rank == 0 else StringIO())
            with shown:  # what every rank would print, once
                every = [_run(ranks, *one, runs[i : i + 1]) for i, one in enumerate(described)]
            return 0 if all(every) else 1
    for run in runs:
        run.directory.unlock()
    if refused:
        raise refused
    return 2


@contextmanager
def _aborting(ranks: Ranks) -> Iterator[None]:
    """Inside, whatever is raised is printed, and ends all ranks."""
    try:
        yield
    except BaseException:
        print(f"rank {ranks.rank}:", file=sys.stderr)
        traceback.print_exc()
        sys.stderr.flush()
        ranks.abort()


def check_spread(name: str, trials: Iterable[Trial]) -> None:
    """Raise ValueError where an experiment has trials of which ranks can do no parts."""
    if not all(hasattr(trial, "spread") for trial in trials):
        raise ValueError(
            f"--mpi: {name} has no batches to spread; run it without, in several --workers."
        )


def _check_shards(shards: int | None, ranks: Ranks) -> None:
    if shards is not None and shards % ranks.size:
        raise ValueError(
            f"--shards {shards} is not a multiple of the {ranks.size} ranks; start as many as "
            "divide it."
        )


def _described(run: Run, ranks: Ranks, shards: int | None) -> tuple[str, Any, Path, int | None]:
    """What the other ranks have to know of a run; raises ValueError where it has other shards."""
    before = run.directory.manifest.get("shards", shards)
    if shards is not None and before != shards:
        raise ValueError(f"--shards {shards}: this run has {before}; leave it out.")
    _check_shards(before, ranks)
    run.directory.write_manifest(shards=before)
    return run.experiment.name, run.settings, run.directory.path, before


def _run(
    ranks: Ranks, name: str, settings: Any, path: Path, shards: int | None, mine: list[Run]
) -> bool:
    """Advance the trials of one run, one after the other; say whether it is whole."""
    ended: dict[str, Future[float]] = {}
    directory = RunDirectory(path)
    for label, make_trial in EXPERIMENTS[name].trials(settings).items():
        ended[label] = future = Future()
        kept = directory.kept(label) if ranks.rank == 0 else None
        kept = ranks.objects(kept)[0]
        if kept == {}:
            future.set_result(0.0)
            continue
        trial: Any = make_trial()
        trial.spread(shards)
        try:
            future.set_result(advance_from(kept, trial, directory, label, saves=ranks.rank == 0))
        except FloatingPointError as error:  # on all ranks alike
            future.set_exception(error)
    whole = [runner.conclude(run, ended) for run in mine]
    for run in mine:
        run.directory.unlock()
    ranks.wait()
    return all(ranks.objects(all(whole)))
