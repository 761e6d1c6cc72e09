"""The processes that advance trials, from where they are started and in them.

All use one BLAS thread, which makes resuming exact. After each piece of a trial the process looks
whether to stop, and every few seconds it writes a checkpoint. The process that starts them may be a
script, a thread of one, or a notebook.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from threadpoolctl import threadpool_limits

import minigrad
from experiments.advancing import Interrupted, advance_from
from experiments.experiment import Experiment
from experiments.record.directory import RunDirectory
from experiments.registry import EXPERIMENTS

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TWICE_SECONDS = 1.0  # a shell that ends, and `timeout`, send a signal twice and mean it once
STOP, LEAVE = 1, 2  # what workers are told: to save and stop, and then to end as well
PIECE_SECONDS = 15.0  # for a worker that is asked to stop to end its present piece
LEAVE_SECONDS = 10.0  # for one that is to end to save what it has
WATCH_SECONDS = 0.2
_stop: Any = SimpleNamespace(value=0)  # in a worker, shared with the process that started it
_progress: Any = [0.0]  # likewise, the share of each trial that is done
_busy = threading.Lock()  # in a worker, while it may have something to save


class _BrokenOff(BaseException):
    """A piece has gone on for too long; no rule that catches exceptions is to keep it."""


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


@contextmanager
def submitted(
    jobs: list[tuple[Run, str]], backend: str, workers: int
) -> Iterator[tuple[dict[Future[float], tuple[Run, str]], Any]]:
    """Submit the trials to worker processes; give them by future, and the progress of each.

    At the first signal to stop, each worker stops after its present piece.
    """
    context = multiprocessing.get_context("spawn")
    stop = context.RawValue("b")  # no lock, which a signal or a kill could leave taken
    progress = context.RawArray("d", len(jobs))

    def ask() -> None:
        stop.value = STOP

    # Whatever is started meanwhile never sees a signal that a terminal sends to all processes
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        with (
            asked_to_stop(ask),
            ProcessPoolExecutor(workers, context, _start_worker, (stop, progress)) as pool,
        ):
            signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # Python has unblocked some
            futures = {}
            with _no_main():
                for place, (run, label) in enumerate(jobs):
                    what = run.experiment.name, run.settings, label, run.directory.path, backend
                    futures[pool.submit(advance_to_end, *what, place)] = run, label
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            try:
                yield futures, progress
            finally:
                stop.value = LEAVE
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def asked_to_stop(ask: Callable[[], None]) -> Iterator[None]:
    """Inside, the first signal to stop calls `ask`, and one that comes later ends this process.

    A signal that is ignored, as SIGHUP is under nohup, stays so. Python handles signals in its main
    thread only: in another thread none is heard.
    """
    before: dict[Any, Any] = {}
    first = 0.0

    def heard(number: int, _: object) -> None:
        nonlocal first
        if not first:
            first = time.monotonic()
            print("\nstopping; what was recorded is kept ...", file=sys.stderr, flush=True)
            ask()
        elif time.monotonic() - first > TWICE_SECONDS:
            restore()
            signal.raise_signal(number)

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    before[number] = signal.signal(number, heard)
        yield
    finally:
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


def advance_to_end(
    name: str, settings: Any, label: str, path: Path, backend: str, place: int = 0
) -> float:
    """In a worker: advance one trial to its end, from its checkpoint if there is one.

    Returns the seconds that it took, those before the checkpoint included; 0 if it had ended.
    """
    with _busy:
        try:
            return _advance(name, settings, label, path, backend, place)
        except _BrokenOff:
            raise Interrupted(label) from None


def _advance(name: str, settings: Any, label: str, path: Path, backend: str, place: int) -> float:
    def look(progress: float) -> int:
        _progress[place] = progress
        return int(_stop.value)

    directory = RunDirectory(path)
    kept = directory.kept(label)
    if kept == {}:
        look(1.0)
        return 0.0
    if _stop.value:
        raise Interrupted(label)
    minigrad.use(backend)
    trial = EXPERIMENTS[name].trials(settings)[label]()
    return advance_from(kept, trial, directory, label, look)


def _start_worker(stop: Any, progress: Any) -> None:
    global _stop, _progress
    _stop, _progress = stop, progress
    parent = multiprocessing.parent_process()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    threadpool_limits(1)  # for the BLAS, which read the environment when it was loaded
    os.environ["OMP_NUM_THREADS"] = "1"  # for the optimizers
    signal.signal(signal.SIGINT, _break_off)


def _break_off(*_: object) -> None:
    if _busy.locked():
        raise _BrokenOff


def _end_with(parent: Any) -> None:
    """End this process with its parent, which may be killed, or when it is no longer needed; and
    break off a piece that goes on although it is asked to stop, as of a rule that never returns.

    The pool cannot end it where another worker was killed in the middle of taking a task, since
    then no task reaches this one, and signals are blocked.
    """
    asked = 0.0
    while parent.is_alive() and _stop.value != LEAVE:
        parent.join(WATCH_SECONDS)
        asked += WATCH_SECONDS if _stop.value else 0
        if asked > PIECE_SECONDS:
            interrupt_main()
    if parent.is_alive():
        _busy.acquire(timeout=LEAVE_SECONDS)
    os._exit(1)
