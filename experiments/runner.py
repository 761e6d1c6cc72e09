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
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
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
    waiting = {task.experiment.name: 0 for task in tasks}
    trouble: dict[str, str] = {}
    began = time.monotonic()
    with _stoppable(workers, backend) as pool:
        futures = {
            pool.submit(_run, task.experiment.name, task.settings, label, task.store.path): task
            for task, label in jobs
        }
        for task, _ in jobs:
            waiting[task.experiment.name] += 1
        bar = tqdm(as_completed(futures), total=len(futures), unit="run", disable=None)
        for future in bar:
            task, name = futures[future], futures[future].experiment.name
            why = _why(future)
            if why:
                trouble.setdefault(name, why)
            waiting[name] -= 1
            if not waiting[name]:
                seconds = time.monotonic() - began
                with bar.external_write_mode():
                    _conclude(task, trouble.get(name), environment(backend), seconds)
    return not trouble


def _run(name: str, settings: Any, label: str, directory: Path) -> None:
    """In a worker: advance one run to its end, from its checkpoint if there is one."""
    store = Store(directory)
    if store.part(label).exists():
        return
    if _stop.is_set():
        raise Interrupted(label)
    run = EXPERIMENTS[name].runs(settings)[label]()
    checkpoint = store.checkpoint(label)
    if checkpoint.exists():
        run.load_state_dict(minigrad.load(checkpoint)["run"])
    saved = time.monotonic()
    while not run.done:
        stop = _stop.is_set()
        if stop or time.monotonic() - saved > CHECKPOINT_SECONDS:
            minigrad.save(checkpoint, run=run)
            saved = time.monotonic()
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


def _why(future: Future[None]) -> str | None:
    """Why a run did not end well: None if it did."""
    try:
        future.result()
    except Interrupted:
        return "interrupted"
    except (ArithmeticError, ValueError, RuntimeError, OSError, MemoryError) as error:
        return f"failed: {error}"
    return None


def _conclude(task: Task, why: str | None, facts: dict[str, Any], seconds: float) -> None:
    """Draw and name a whole run; leave an unfinished one resumable."""
    experiment, store = task.experiment, task.store
    print(f"\n{experiment.name}: {experiment.summary}")
    spent = round(store.manifest.get("wall_seconds", 0) + seconds, 1)
    try:
        if why:
            store.write_manifest(status=why, wall_seconds=spent, **facts)
        else:
            traces = store.gather(list(experiment.runs(task.settings)))
            store.write_manifest(wall_seconds=spent, **facts)
            store.finish(keep=store.draw(experiment, task.settings, traces))
    except OSError as error:
        why = f"failed: {error}"
    if why:
        print(f"  {why}; what was recorded is in {store.path}")
        print(f"  continue with: python -m experiments resume {store.path}", flush=True)
        return
    for line in experiment.findings(traces, task.settings):
        print(f"  {line}")
    print(f"  figure: {store.path / 'figure.png'} (and .svg, .csv)", flush=True)


@contextmanager
def _stoppable(workers: int, backend: str) -> Iterator[Executor]:
    """A pool whose runs stop at the next piece when the user or the system asks this process to."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()

    def ask(*_: object) -> None:
        if not stop.is_set():
            print("\nstopping; what was recorded is kept ...", file=sys.stderr, flush=True)
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ProcessPoolExecutor(workers, context, _start_worker, (stop, backend)) as pool:
            yield pool
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start_worker(stop: Any, backend: str) -> None:
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threadpool_limits(1)  # of the BLAS, which read its environment when it was loaded
    os.environ["OMP_NUM_THREADS"] = "1"  # of the optimizers
    minigrad.use(backend)


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
