"""Runs experiments in parallel processes, so that each can be interrupted and resumed.

A run advances in short pieces; between two it looks whether to stop, and every few seconds it
writes a checkpoint. All processes use one BLAS thread, which makes resuming exact.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import minigrad
from experiments.experiment import Experiment
from experiments.registry import EXPERIMENTS
from experiments.store import Store, StoreError, environment

CHECKPOINT_SECONDS = 10.0
_stop: Any = threading.Event()  # in a worker, the event of the process that started it


class Interrupted(Exception):
    """The run was asked to stop, and has kept what continuing needs."""


ASKING = (signal.SIGINT, signal.SIGTERM)  # signals that ask to stop
RECURRING = (ArithmeticError, ValueError)  # what would come again


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
    left = Counter(task.experiment.name for task, _ in jobs)
    whole = True
    with _started(jobs, backend, workers) as futures:
        bar = tqdm(as_completed(futures), total=len(futures), unit="run", disable=None)
        for future in bar:
            task, _ = futures[future]
            left[task.experiment.name] -= 1
            if not left[task.experiment.name]:
                ended = {label: one for one, (of, label) in futures.items() if of is task}
                with bar.external_write_mode():
                    whole &= _conclude(task, ended, environment(backend))
    return whole


def _run(name: str, settings: Any, label: str, directory: Path) -> float:
    """In a worker: advance one run to its end, from its checkpoint if there is one.

    Returns the seconds that it took, those up to the checkpoint included; 0 if it was whole.
    """
    store, began = Store(directory), time.monotonic()
    if store.part(label).exists():
        return 0.0
    if _stop.is_set():
        raise Interrupted(label)
    run = EXPERIMENTS[name].runs(settings)[label]()
    checkpoint = store.checkpoint(label)
    if checkpoint.exists():
        kept = minigrad.load(checkpoint)
        run.load_state_dict(kept["run"])
        began -= kept["seconds"]
    saved = time.monotonic()
    while not run.done:
        stop = _stop.is_set()
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
    partial = store.part(label).with_suffix(".tmp.npz")
    np.savez(partial, **run.traces())
    partial.rename(store.part(label))
    checkpoint.unlink(missing_ok=True)
    return time.monotonic() - began


def _conclude(task: Task, ended: dict[str, Future[float]], facts: dict[str, Any]) -> bool:
    """Draw and name a whole run, or leave an unfinished one resumable; say which it was."""
    experiment, store = task.experiment, task.store
    print(f"\n{experiment.name}: {experiment.summary}")
    errors = [error for run in ended.values() if (error := run.exception())]
    spent = {label: run.result() for label, run in ended.items() if not run.exception()}
    try:
        seconds = {label: round(value, 1) for label, value in spent.items() if value}
        store.write_manifest(seconds=store.manifest.get("seconds", {}) | seconds, **facts)
        if not errors:
            traces = store.gather(list(experiment.runs(task.settings)))
            store.finish(keep=store.draw(experiment, task.settings, traces))
    except OSError as error:
        errors.append(error)
    if errors:
        _leave(store, min(errors, key=lambda error: isinstance(error, Interrupted)))
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
        case ArithmeticError() | ValueError() | RuntimeError() | OSError() | MemoryError():
            why = f"failed: {error}"
        case _:
            raise error
    with suppress(OSError):  # on a full disk
        store.write_manifest(status=why)
    print(f"  {why}; what was recorded is in {store.path}")
    if isinstance(error, RECURRING):
        print("  it would fail again: run it with other settings, and --force", flush=True)
    else:
        print(f"  continue with: python -m experiments resume {store.path}", flush=True)


@contextmanager
def _started(
    jobs: list[tuple[Task, str]], backend: str, workers: int
) -> Iterator[dict[Future[float], tuple[Task, str]]]:
    """The jobs in processes, by future; each stops at its next piece when this one is asked to."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()

    def ask(*_: object) -> None:
        if not stop.is_set():
            print("\nstopping; what was recorded is kept ...", file=sys.stderr, flush=True)
        stop.set()

    # Ignored by what is started now: a terminal sends Ctrl-C to all, and this process decides
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ASKING}
    try:
        with ProcessPoolExecutor(workers, context, _start_worker, (stop, backend)) as pool:
            futures = {
                pool.submit(_run, task.experiment.name, task.settings, label, task.store.path): (
                    task,
                    label,
                )
                for task, label in jobs
            }
            for number in ASKING:
                signal.signal(number, ask)
            try:
                yield futures
            finally:
                stop.set()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start_worker(stop: Any, backend: str) -> None:
    global _stop
    _stop = stop
    for number in ASKING:
        signal.signal(number, signal.SIG_IGN)  # where it is not inherited
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
    store = Store(directory)
    manifest = store.manifest
    if manifest["experiment"] not in EXPERIMENTS:
        raise StoreError(f"{directory} is of the unknown experiment {manifest['experiment']!r}.")
    if manifest["status"] == "complete":
        raise StoreError(f"{directory} is complete; there is nothing to resume.")
    experiment = EXPERIMENTS[manifest["experiment"]]
    return Task(experiment, experiment.configured(manifest["settings"]), store)
