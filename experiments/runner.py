"""Runs experiments in parallel processes, so that each can be interrupted and resumed.

A trial advances in short pieces. After each one the process looks whether to stop, and every few
seconds it writes a checkpoint. All processes use one BLAS thread, which makes resuming exact. The
process that starts the others may be a script, a thread of one, or a notebook.
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
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import minigrad
from experiments.experiment import Experiment
from experiments.record.directory import PARTIAL, RunDirectory, RunDirectoryError
from experiments.record.environment import environment
from experiments.registry import EXPERIMENTS
from minigrad.checkpoint import atomic_write

CHECKPOINT_SECONDS = 10.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TWICE_SECONDS = 1.0  # a shell that ends, and `timeout`, send a signal twice and mean it once
STOP, LEAVE = 1, 2  # what workers are told: to save and stop, and then to end as well
WATCH_SECONDS = 0.2
_stop: Any = SimpleNamespace(value=0)  # in a worker, shared with the process that started it
_busy = threading.Lock()  # in a worker, while it may have something to save


class Interrupted(Exception):
    """The trial was asked to stop, and has kept what continuing needs."""


@dataclass(frozen=True)
class Run:
    """One experiment with its settings and its directory."""

    experiment: Experiment
    settings: Any
    directory: RunDirectory


def check_process() -> None:
    """Raise RuntimeError where this process may start no others."""
    if multiprocessing.current_process().daemon:
        raise RuntimeError(
            "this process is a daemon, such as a worker of multiprocessing.Pool, and may start no "
            "others; run experiments outside, or in a concurrent.futures.ProcessPoolExecutor."
        )


def execute(runs: list[Run], backend: str, workers: int) -> bool:
    """Advance every trial of the runs; print what they found; say whether all are whole."""
    jobs = [(run, label) for run in runs for label in run.experiment.trials(run.settings)]
    jobs.sort(key=lambda job: -getattr(job[0].settings, "steps", 0))  # the long ones first
    ended: dict[str, dict[str, Future[float]]] = {run.experiment.name: {} for run in runs}
    for run in runs:
        run.directory.write_manifest(**environment(backend))
    whole = True
    with (
        _submitted(jobs, backend, workers) as futures,
        tqdm(as_completed(futures), total=len(futures), unit="trial", disable=None) as bar,
    ):
        for future in bar:
            run, label = futures[future]
            trials = ended[run.experiment.name]
            trials[label] = future
            if len(trials) == len(run.experiment.trials(run.settings)):
                with bar.external_write_mode():
                    whole &= _conclude(run, trials)
                run.directory.unlock()
    return whole


def _advance_to_end(name: str, settings: Any, label: str, path: Path, backend: str) -> float:
    """In a worker: advance one trial to its end, from its checkpoint if there is one.

    Returns the seconds that it took, those before the checkpoint included; 0 if it had ended.
    """
    with _busy:
        return _advance(name, settings, label, path, backend)


def _advance(name: str, settings: Any, label: str, path: Path, backend: str) -> float:
    directory, began = RunDirectory(path), time.monotonic()
    if directory.traces_path(label).exists():
        return 0.0
    if _stop.value:
        raise Interrupted(label)
    minigrad.use(backend)
    trial = EXPERIMENTS[name].trials(settings)[label]()
    checkpoint = directory.checkpoint_path(label)
    if checkpoint.exists():
        kept = minigrad.load(checkpoint)
        trial.load_state_dict(kept["trial"])
        began -= kept["seconds"]
    saved = time.monotonic()
    while not trial.done:
        stop = _stop.value
        if stop or time.monotonic() - saved > CHECKPOINT_SECONDS:
            saved = time.monotonic()
            minigrad.save(checkpoint, trial=trial, seconds=saved - began)
        if stop:
            raise Interrupted(label)
        try:
            trial.advance()
        except FloatingPointError as error:
            with atomic_write(path / f"{label}.failed.npz") as file:
                np.savez(file, **trial.traces())
            raise FloatingPointError(f"{label}: {error}") from error
    minigrad.save(directory.traces_path(label), traces=trial.traces())
    checkpoint.unlink(missing_ok=True)
    return time.monotonic() - began


def _conclude(run: Run, ended: dict[str, Future[float]]) -> bool:
    """Draw and name a whole run, or leave an unfinished one resumable; say which it was."""
    experiment, directory = run.experiment, run.directory
    print(f"\n{experiment.name}: {experiment.summary}")
    seconds, errors = directory.manifest.get("seconds", {}), []
    for label, trial in ended.items():
        if error := trial.exception():
            errors.append(error)
        elif spent := trial.result():
            seconds[label] = round(spent, 1)
    try:
        directory.write_manifest(seconds=seconds)
        if not errors:
            traces = directory.gather(list(experiment.trials(run.settings)))
            experiment.plot(traces, run.settings, directory.path)
            directory.finish()
    except Exception as error:
        errors.append(error)
    if errors:
        first = next((e for e in errors if not isinstance(e, Interrupted)), errors[0])
        _report_failure(directory, first)
        return False
    if caveat := experiment.caveat(run.settings):
        print(f"  {caveat}")
    for line in experiment.findings(traces, run.settings):
        print(f"  {line}")
    print(f"  figure: {directory.path / 'figure.png'} (and .svg, .csv)", flush=True)
    return True


def _report_failure(directory: RunDirectory, error: BaseException) -> None:
    """Say why a run is unfinished, and how to go on; raises a mistake of the program."""
    match error:
        case Interrupted():
            why = "interrupted"
        case BrokenProcessPool():
            why = "failed: a worker was killed, perhaps for want of memory; use fewer --workers"
        case _:
            why = f"failed: {error}"
    with suppress(OSError):  # on a full disk
        directory.write_manifest(status=why)
    explained = Interrupted, RuntimeError, OSError, MemoryError, ArithmeticError, ValueError
    if not isinstance(error, explained):
        raise error
    print(f"  {why}\n  what was recorded is in {directory.path}")
    if isinstance(error, ArithmeticError):
        print("  it would fail again: run it with other settings, and --force", flush=True)
    else:
        where = shlex.quote(str(directory.path))
        print(f"  continue with: python -m experiments resume {where}", flush=True)


@contextmanager
def _submitted(
    jobs: list[tuple[Run, str]], backend: str, workers: int
) -> Iterator[dict[Future[float], tuple[Run, str]]]:
    """Submit the trials to worker processes, and give them by future.

    At the first signal to stop, each worker stops after its present piece; one that comes later
    ends this process at once. A signal that is ignored, as SIGHUP is under nohup, stays so. Python
    handles signals in its main thread only: a run in another thread is not stopped by any.
    """
    context = multiprocessing.get_context("spawn")
    stop = context.RawValue("b")  # no lock, which a signal or a kill could leave taken
    before: dict[Any, Any] = {}
    first = 0.0

    def ask(number: int, _: object) -> None:
        nonlocal first
        if not stop.value:
            stop.value, first = STOP, time.monotonic()
            print("\nstopping; what was recorded is kept ...", file=sys.stderr, flush=True)
        elif time.monotonic() - first > TWICE_SECONDS:
            restore()
            signal.raise_signal(number)

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    # Whatever is started meanwhile never sees a signal that a terminal sends to all processes
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    before[number] = signal.signal(number, ask)
        with ProcessPoolExecutor(workers, context, _start_worker, (stop,)) as pool:
            signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # Python has unblocked some
            futures = {}
            with _no_main():
                for run, label in jobs:
                    what = run.experiment.name, run.settings, label, run.directory.path, backend
                    futures[pool.submit(_advance_to_end, *what)] = run, label
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            try:
                yield futures
            finally:
                stop.value = LEAVE
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        restore()


@contextmanager
def _no_main() -> Iterator[None]:
    """Inside, processes that are started do not run the user's script, which they need nothing of.

    It may have no guard for that, or no file: it may come from a pipe.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _start_worker(stop: Any) -> None:
    global _stop
    _stop = stop
    parent = multiprocessing.parent_process()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    threadpool_limits(1)  # for the BLAS, which read the environment when it was loaded
    os.environ["OMP_NUM_THREADS"] = "1"  # for the optimizers


def _end_with(parent: Any) -> None:
    """End this process with its parent, which may be killed, or when it is no longer needed.

    The pool cannot end it where another worker was killed in the middle of taking a task, since
    then no task reaches this one, and signals are blocked.
    """
    while parent.is_alive() and _stop.value != LEAVE:
        parent.join(WATCH_SECONDS)
    if parent.is_alive():
        _busy.acquire()
    os._exit(1)


def unfinished(path: Path) -> Run:
    """The unfinished run at that path; raises RunDirectoryError where there is none."""
    directory = RunDirectory(path.resolve())
    manifest = directory.manifest
    if not directory.path.name.endswith(PARTIAL):
        raise RunDirectoryError(f"{path} is not called NAME{PARTIAL}; there is nothing to resume.")
    if manifest["experiment"] not in EXPERIMENTS:
        raise RunDirectoryError(f"{path} is of the unknown experiment {manifest['experiment']!r}.")
    experiment = EXPERIMENTS[manifest["experiment"]]
    settings = experiment.configured(manifest["settings"])
    directory.lock()
    return Run(experiment, settings, directory)
