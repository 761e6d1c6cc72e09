"""Trials on the workers of a dask cluster, for `--dask ADDRESS`, wherever these run.

A worker that sees the run's directory keeps checkpoints there, as a process of this machine does,
and whoever takes its trial over goes on from the last one. Of one that does not, the traces are
sent back, and its trial begins again elsewhere.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

import minigrad
from experiments.record.directory import MANIFEST, RunDirectory
from experiments.record.environment import environment
from experiments.registry import EXPERIMENTS
from experiments.workers import Interrupted, Run, advance_from, asked_to_stop

CONNECT_SECONDS = 10.0
LEAVE_SECONDS = 30.0  # for workers to save what they have
LOOK_SECONDS = 1.0  # between two looks of a worker whether to stop
DEATHS = 3  # of its workers, after which a trial has failed

# The seconds, and the traces where they are not on disk
Done = tuple[float, dict[str, Any] | None]


def check(address: str, backend: str) -> None:
    """Raise ValueError where there is no such cluster, or where its workers would not compute the
    same: they need one thread each, and the versions and the code of this machine."""
    with _connected(address) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        found = client.run(surroundings, backend)
    if not workers:
        raise ValueError(
            f"--dask {address}: the scheduler has no workers; start some with `dask worker "
            f"{address} --nthreads 1`."
        )
    for name, worker in workers.items():
        if (threads := worker["nthreads"]) != 1:
            raise ValueError(
                f"--dask {address}: the worker {name} has {threads} threads, which would share one "
                "BLAS and one backend; start it with --nthreads 1."
            )
    ours = surroundings(backend)
    for name, theirs in found.items():
        for what, value in theirs.items():
            if value != ours[what]:
                raise ValueError(
                    f"--dask {address}: the worker {name} has other {what} than this machine, "
                    f"{value} and not {ours[what]}; give it the same."
                )


@contextmanager
def submitted(
    jobs: list[tuple[Run, str]], backend: str, address: str
) -> Iterator[tuple[dict[Future[float], tuple[Run, str]], Any]]:
    """Submit the trials to a dask cluster; give them by future, and the progress of each."""
    progress = [0.0] * len(jobs)
    with _connected(address) as client:
        client.run_on_scheduler(_bound_deaths)
        stop = _event(f"stop-{os.getpid()}-{time.time_ns()}", client)
        with asked_to_stop(threading.Thread(target=stop.set, daemon=True).start):
            futures, sent = {}, []
            for place, (run, label) in enumerate(jobs):
                directory = run.directory
                kept = directory.kept(label)
                what = run.experiment.name, run.settings, label, directory.path, kept, backend
                ended: Future[float] = Future()
                sent.append(client.submit(advance, *what, stop.name, pure=False))
                sent[-1].add_done_callback(
                    partial(_keep, ended, directory, label, progress, place, address)
                )
                futures[ended] = run, label
            try:
                yield futures, progress
            finally:
                if not all(future.done() for future in futures) and client.status == "running":
                    stop.set()
                    wait(futures, LEAVE_SECONDS)


def _keep(
    ended: Future[float],
    directory: RunDirectory,
    label: str,
    progress: list[float],
    place: int,
    address: str,
    done: Any,
) -> None:
    """End a trial's future with what came from the cluster, whose traces are written down."""
    try:
        seconds, traces = _result(done, label, address)
        if traces is not None:
            minigrad.save(directory.traces_path(label), traces=traces)
            directory.checkpoint_path(label).unlink(missing_ok=True)
        progress[place] = 1.0
        ended.set_result(seconds)
    except BaseException as error:
        ended.set_exception(error)


def _result(done: Any, label: str, address: str) -> Done:
    """What a trial's worker returned; raises what it raised, and RuntimeError where workers died or
    the scheduler is gone."""
    from distributed import KilledWorker

    try:
        error = done.exception(CONNECT_SECONDS)
        if error is None:
            returned: Done = done.result(CONNECT_SECONDS)
            return returned
    except (CancelledError, OSError):
        raise RuntimeError(f"the connection to the scheduler at {address} is lost") from None
    if isinstance(error, KilledWorker):
        raise RuntimeError(f"{label}: {DEATHS} workers died of it, perhaps for want of memory")
    raise error


def advance(
    name: str,
    settings: Any,
    label: str,
    path: Path,
    kept: dict[str, Any] | None,
    backend: str,
    stop: str,
) -> Done:
    """In a worker: advance one trial to its end, from what was kept of it.

    What is on disk goes first, since another worker may have come further.
    """
    asked, looked = _event(stop), 0.0

    def look(progress: float) -> int:
        nonlocal looked
        if (now := time.monotonic()) - looked < LOOK_SECONDS:
            return 0
        looked = now
        return int(asked.is_set())

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


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        raise ValueError(
            f"--dask {address} needs dask; install it with pip install -e '.[dask]'."
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # a lost scheduler is ours to name
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"--dask {address}: no scheduler answers there ({error}); start one with `dask "
            "scheduler`, which prints its address."
        ) from error
    try:
        yield client
    finally:
        client.close(timeout=LOOK_SECONDS)


def surroundings(backend: str) -> dict[str, Any]:
    """What has to be the same wherever a trial is computed; the processor should be as well."""
    known = environment(backend)
    return {what: known[what] for what in ("python", "versions", "code")}


def _bound_deaths(dask_scheduler: Any) -> None:
    dask_scheduler.allowed_failures = DEATHS - 1


def _event(name: str, client: Any = None) -> Any:
    from distributed import Event

    return Event(name, client=client)
