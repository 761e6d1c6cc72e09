"""Trials on the workers of a dask cluster, for `--dask ADDRESS`, wherever these run.

A worker that sees the run's directory keeps checkpoints there, as a process of this machine does,
and whoever takes its trial over goes on from the last one. Of one that does not, the traces are
sent back, and its trial begins again elsewhere.
"""

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError, wait
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from tqdm import tqdm

import minigrad
from experiments.advancing import Interrupted
from experiments.dask_worker import Done, advance, event, lacking, surroundings, unfit
from experiments.experiment import Experiment
from experiments.record.directory import RunDirectory
from experiments.workers import Run, asked_to_stop
from minigrad.errors import one_line

CONNECT_SECONDS = 10.0
LEAVE_SECONDS = 20.0  # for workers to save what they have
LOOK_SECONDS = 1.0  # between two looks whether there are workers
ALONE_SECONDS = 5.0  # without workers, before that is said
DEATHS = 3  # of its workers, after which a trial has failed


def check(address: str, backend: str) -> None:
    """Raise ValueError where there is no such cluster, or where its workers would not compute the
    same: they need one thread each, and the versions and the code of this machine."""
    with _connected(address) as client:
        _check_each(client, address, unfit, backend, surroundings(backend))


def check_trials(address: str, settled: Iterable[tuple[Experiment, Any]]) -> None:
    """Raise ValueError where workers lack what these experiments need: what the files of rules
    import, or the data."""
    with _connected(address) as client:
        for experiment, settings in settled:
            _check_each(client, address, lacking, experiment.name, settings)


def _check_each(client: Any, address: str, ask: Callable[..., str], *about: Any) -> None:
    """Raise ValueError for what workers say against themselves."""
    try:
        found = client.run(ask, *about)
    except ImportError as error:
        raise ValueError(
            f"--dask {address}: a worker lacks this project ({one_line(error)}); start it where it "
            "is installed."
        ) from error
    if not found:
        raise ValueError(
            f"--dask {address}: the scheduler has no workers; start some with `dask worker "
            f"{address} --nthreads 1`."
        )
    for worker, against in found.items():
        if against:
            raise ValueError(f"--dask {address}: the worker {worker} {against}")


@contextmanager
def submitted(
    jobs: list[tuple[Run, str]], backend: str, address: str
) -> Iterator[tuple[dict[Future[float], tuple[Run, str]], Any]]:
    """Submit the trials to a dask cluster; give them by future, and the progress of each.

    At the first signal to stop, workers are asked to save; what has not ended then is given up.
    """
    progress, ours = [0.0] * len(jobs), surroundings(backend)
    futures: dict[Future[float], tuple[Run, str]] = {Future(): job for job in jobs}
    with _connected(address) as client:
        client.run_on_scheduler(_bound_deaths)
        stop = event(f"stop-{os.getpid()}-{time.time_ns()}", client)

        def give_up() -> None:
            wait(futures, LEAVE_SECONDS)
            for future, (_, label) in futures.items():
                _end(future, Interrupted(label))

        def ask() -> None:
            for what in (stop.set, give_up):  # either may take its time
                threading.Thread(target=what, daemon=True).start()

        with asked_to_stop(ask), _watched(client, address):
            sent = []
            for place, (ended, (run, label)) in enumerate(futures.items()):
                directory = run.directory
                path, kept = directory.path.resolve(), directory.kept(label)
                what = run.experiment.name, run.settings, label, path, kept, backend, ours
                sent.append(client.submit(advance, *what, stop.name, pure=False))
                sent[-1].add_done_callback(
                    partial(_keep, ended, directory, label, progress, place, address)
                )
            try:
                yield futures, progress
            finally:
                if not all(future.done() for future in futures) and client.status == "running":
                    stop.set()
                    wait(futures, LEAVE_SECONDS)


@contextmanager
def _watched(client: Any, address: str) -> Iterator[None]:
    """Inside, it is said when there have been no workers for some seconds."""
    over = threading.Event()

    def watch() -> None:
        without = 0.0
        while not over.wait(LOOK_SECONDS):
            with suppress(Exception):  # a lost connection is said elsewhere
                workers = client.scheduler_info(n_workers=-1)["workers"]
                without = 0.0 if workers else without + LOOK_SECONDS
                if without == ALONE_SECONDS:
                    tqdm.write(
                        f"the scheduler at {address} has no workers; it waits for some, or for "
                        "Ctrl-C ...",
                        file=sys.stderr,
                    )

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _end(future: Future[float], outcome: float | BaseException) -> None:
    """Give a future its outcome, unless it has one."""
    with suppress(InvalidStateError):
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


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
    if ended.done():  # it was given up
        return
    try:
        seconds, traces = _result(done, ended, label, address)
        if traces is not None:
            minigrad.save(directory.traces_path(label), traces=traces)
            directory.checkpoint_path(label).unlink(missing_ok=True)
        progress[place] = 1.0
        _end(ended, seconds)
    except BaseException as error:
        _end(ended, error)


def _result(done: Any, ended: Future[float], label: str, address: str) -> Done:
    """What a trial's worker returned; raises what it raised, and RuntimeError where workers died or
    the scheduler is gone."""
    from distributed import KilledWorker

    while True:
        try:
            returned: Done = done.result(CONNECT_SECONDS)
            return returned
        except KilledWorker:
            raise RuntimeError(
                f"{label}: {DEATHS} workers died of it, perhaps for want of memory"
            ) from None
        except (CancelledError, OSError) as error:
            if done.status == "error":  # the trial's own
                raise
            # Of a result that its worker died with, another makes a new one
            again = isinstance(error, TimeoutError) and done.client.status == "running"
            if ended.done() or not again:
                raise RuntimeError(
                    f"the connection to the scheduler at {address} is lost"
                ) from None


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        raise ValueError(
            f"--dask {address} needs dask; install it with pip install -e '.[dask]'."
        ) from None
    # A lost scheduler, and its consequences, are ours to name
    for name in ("distributed", "distributed.client", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        # A Client waits without end for the answer of what is no scheduler, such as a dashboard
        asyncio.run(asyncio.wait_for(_answer(address), CONNECT_SECONDS))
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, MemoryError) as error:
        raise ValueError(
            f"--dask {address}: no scheduler answers there ({one_line(error)}); start one with "
            "`dask scheduler`, which prints its address."
        ) from error
    try:
        yield client
    finally:
        client.close(timeout=LOOK_SECONDS)


async def _answer(address: str) -> None:
    """Return once something that speaks as dask does has answered there."""
    from distributed.comm import connect

    comm = await connect(address, timeout=CONNECT_SECONDS)
    comm.abort()


def _bound_deaths(dask_scheduler: Any) -> None:
    dask_scheduler.allowed_failures = DEATHS - 1
