"""Runs experiments in parallel processes, so that each can be interrupted and resumed.

A run advances in short pieces; between two it looks whether to stop, and every few seconds it
writes a checkpoint. All processes use one BLAS thread, which makes resuming exact.
"""

import multiprocessing
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import minigrad
from experiments.experiment import Experiment
from experiments.registry import EXPERIMENTS
from experiments.store import PARTIAL, Store, StoreError, environment
from minigrad.checkpoint import atomic_write

CHECKPOINT_SECONDS = 10.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_stop: Any = SimpleNamespace(value=0)  # in a worker, what it shares with who started it


class Interrupted(Exception):
    """The run was asked to stop, and has kept what continuing needs."""


@dataclass(frozen=True)
class Task:
    """One experiment with its settings and its directory."""

    experiment: Experiment
    settings: Any
    store: Store


def execute(tasks: list[Task], backend: str, workers: int) -> bool:
    """Run the tasks, each as its runs; print what they found; say whether all are whole."""
    jobs = [(task, label) for task in tasks for label in task.experiment.runs(task.settings)]
    jobs.sort(key=lambda job: -getattr(job[0].settings, "steps", 0))  # the long ones first
    ended: dict[str, dict[str, Future[float]]] = {task.experiment.name: {} for task in tasks}
    for task in tasks:
        task.store.write_manifest(**environment(backend))
    whole = True
    with _running(jobs, backend, workers) as futures:
        bar = tqdm(as_completed(futures), total=len(futures), unit="run", disable=None)
        for future in bar:
            task, label = futures[future]
            runs = ended[task.experiment.name]
            runs[label] = future
            if len(runs) == len(task.experiment.runs(task.settings)):
                with bar.external_write_mode():
                    whole &= _conclude(task, runs)
                task.store.unlock()
    return whole


def _run(name: str, settings: Any, label: str, directory: Path) -> float:
    """In a worker: advance one run to its end, from its checkpoint if there is one.

    Returns the seconds that it took, those up to the checkpoint included; 0 if it was whole.
    """
    store, began = Store(directory), time.monotonic()
    if store.part(label).exists():
        return 0.0
    if _stop.value:
        raise Interrupted(label)
    run = EXPERIMENTS[name].runs(settings)[label]()
    checkpoint = store.checkpoint(label)
    if checkpoint.exists():
        kept = minigrad.load(checkpoint)
        run.load_state_dict(kept["run"])
        began -= kept["seconds"]
    saved = time.monotonic()
    while not run.done:
        stop = _stop.value
        if stop or time.monotonic() - saved > CHECKPOINT_SECONDS:
            saved = time.monotonic()
            minigrad.save(checkpoint, run=run, seconds=saved - began)
        if stop:
            raise Interrupted(label)
        try:
            run.advance()
        except FloatingPointError as error:
            np.savez(directory / f"{label}.failed.npz", **run.traces())
            raise FloatingPointError(f"{label}: {error}") from error
    with atomic_write(store.part(label)) as file:
        np.savez(file, **run.traces())
    checkpoint.unlink(missing_ok=True)
    return time.monotonic() - began


def _conclude(task: Task, ended: dict[str, Future[float]]) -> bool:
    """Draw and name a whole run, or leave an unfinished one resumable; say which it was."""
    experiment, store = task.experiment, task.store
    print(f"\n{experiment.name}: {experiment.summary}")
    seconds, errors = store.manifest.get("seconds", {}), []
    for label, run in ended.items():
        if error := run.exception():
            errors.append(error)
        elif spent := run.result():
            seconds[label] = round(spent, 1)
    try:
        store.write_manifest(seconds=seconds)
        if not errors:
            traces = store.gather(list(experiment.runs(task.settings)))
            store.draw(experiment, task.settings, traces)
            store.finish()
    except Exception as error:
        errors.append(error)
    if errors:
        _leave(store, next((e for e in errors if not isinstance(e, Interrupted)), errors[0]))
        return False
    for line in experiment.findings(traces, task.settings):
        print(f"  {line}")
    print(f"  figure: {store.path / 'figure.png'} (and .svg, .csv)", flush=True)
    return True


def _leave(store: Store, error: BaseException) -> None:
    """Say why a run is unfinished, and how to go on; raises what is no fault of the run."""
    match error:
        case Interrupted():
            why = "interrupted"
        case BrokenProcessPool():
            why = "failed: a worker was killed, perhaps for want of memory; use fewer --workers"
        case _:
            why = f"failed: {error}"
    with suppress(OSError):  # on a full disk
        store.write_manifest(status=why)
    said = Interrupted, RuntimeError, OSError, MemoryError, ArithmeticError, ValueError
    if not isinstance(error, said):
        raise error
    print(f"  {why}\n  what was recorded is in {store.path}")
    if isinstance(error, ArithmeticError):
        print("  it would fail again: run it with other settings, and --force", flush=True)
    else:
        where = shlex.quote(str(store.path))
        print(f"  continue with: python -m experiments resume {where}", flush=True)


@contextmanager
def _running(
    jobs: list[tuple[Task, str]], backend: str, workers: int
) -> Iterator[dict[Future[float], tuple[Task, str]]]:
    """The jobs in processes, by future; each stops at its next piece when this one is asked to.

    Asked a second time, this one stops at once.
    """
    context = multiprocessing.get_context("spawn")
    stop = context.RawValue("b")  # without a lock, which a signal or a kill could leave taken
    before: dict[Any, Any] = {}

    def ask(*_: object) -> None:
        stop.value = 1
        restore()
        print("\nstopping; what was recorded is kept ...", file=sys.stderr, flush=True)

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        with ProcessPoolExecutor(workers, context, _start_worker, (stop, backend)) as pool:
            # Blocked also in what is started here, since a terminal sends Ctrl-C to all
            signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
            try:
                before.update({number: signal.signal(number, ask) for number in STOP_SIGNALS})
                futures = {}
                for task, label in jobs:
                    of = task.experiment.name, task.settings, label, task.store.path
                    futures[pool.submit(_run, *of)] = task, label
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            try:
                yield futures
            finally:
                stop.value = 1  # after an error here the others need not go on
    finally:
        restore()


def _start_worker(stop: Any, backend: str) -> None:
    global _stop
    _stop = stop
    threading.Thread(target=_follow, args=(multiprocessing.parent_process(),), daemon=True).start()
    threadpool_limits(1)  # of the BLAS, which read its environment when it was loaded
    os.environ["OMP_NUM_THREADS"] = "1"  # of the optimizers
    minigrad.use(backend)


def _follow(parent: Any) -> None:
    """End this process with its parent, which may be killed."""
    parent.join()
    os._exit(1)


def resume(directory: Path) -> Task:
    """The task of an unfinished run; raises StoreError for anything else."""
    store = Store(directory.resolve())
    manifest = store.manifest
    if not store.path.name.endswith(PARTIAL):
        raise StoreError(f"{directory} is not called NAME{PARTIAL}; there is nothing to resume.")
    if manifest["experiment"] not in EXPERIMENTS:
        raise StoreError(f"{directory} is of the unknown experiment {manifest['experiment']!r}.")
    store.lock()
    experiment = EXPERIMENTS[manifest["experiment"]]
    return Task(experiment, experiment.configured(manifest["settings"]), store)
