"""What a worker of a dask cluster does: it says whether it is fit, and advances trials."""

import os
import time
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

import minigrad
from experiments.advancing import Interrupted, advance_from
from experiments.record.directory import MANIFEST, RunDirectory
from experiments.record.environment import environment
from experiments.registry import EXPERIMENTS
from minigrad.backend import Backend, temporarily
from minigrad.errors import one_line

LOOK_SECONDS = 1.0  # between two looks whether to stop

# The seconds, and the traces where they are not on disk
Done = tuple[float, dict[str, Any] | None]


def surroundings(backend: str) -> dict[str, Any]:
    """What has to be the same wherever a trial is computed; the processor should be as well."""
    known = environment(backend)
    return {"Python": known["python"], **known["versions"], "code": known["code"][:12]}


def unfit(backend: str, ours: dict[str, Any], dask_worker: Any = None) -> str:
    """In a worker: why it would not compute the same, if so; in a trial dask does not say where."""
    from distributed import get_worker

    if (threads := (dask_worker or get_worker()).state.nthreads) != 1:
        return (
            f"has {threads} threads, which would share one BLAS and one backend; start it with "
            "--nthreads 1."
        )
    theirs = surroundings(backend)
    for what, value in ours.items():
        if theirs.get(what) != value:
            return f"has other {what}, {theirs.get(what)} and not {value}; give it the same."
    return ""


def lacking(name: str, settings: Any) -> str:
    """In a worker: why it cannot make the trials of an experiment, if so."""
    try:
        with temporarily(Backend()):  # a device is for the trials
            for make_trial in EXPERIMENTS[name].trials(settings).values():
                make_trial()
    except Exception as error:
        return f"cannot run {name}: {error if isinstance(error, ValueError) else one_line(error)}"
    return ""


def advance(
    name: str,
    settings: Any,
    label: str,
    path: Path,
    kept: dict[str, Any] | None,
    backend: str,
    ours: dict[str, Any],
    stop: str,
) -> Done:
    """In a worker: advance one trial to its end, from what was kept of it.

    What is on disk goes first, since another worker may have come further.
    """
    asked, looked = event(stop), 0.0

    def look(progress: float) -> int:
        nonlocal looked
        if (now := time.monotonic()) - looked < LOOK_SECONDS:
            return 0
        looked = now
        return int(asked.is_set())

    if against := unfit(backend, ours):  # a worker that came later
        raise RuntimeError(f"a worker {against}")
    directory = RunDirectory(path)
    shared = (path / MANIFEST).exists()
    kept = directory.kept(label) if shared else kept
    if kept == {}:
        return 0.0, None
    if look(0.0):
        raise Interrupted(label)
    os.environ["OMP_NUM_THREADS"] = "1"  # for the optimizers
    minigrad.use(backend)
    with threadpool_limits(1):
        trial = EXPERIMENTS[name].trials(settings)[label]()
        seconds = advance_from(kept, trial, directory, label, look, saves=shared)
    return seconds, None if shared else trial.traces()


def event(name: str, client: Any = None) -> Any:
    from distributed import Event

    return Event(name, client=client)
