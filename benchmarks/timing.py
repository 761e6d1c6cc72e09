"""Interleaved timing, A B C A B C ..., with each contestant in a process of its own.

A contestant is a function that returns an iterator: every `next` takes one more step and gives a
number that shows whether it computes what the others compute.
"""

import gc
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from multiprocessing import get_context
from typing import Any

from threadpoolctl import threadpool_info

CHECKED = 5  # the step after which contestants must agree
PAUSE = 0.2  # threads of OpenBLAS spin on for 0.1 s after work, on the cores of whoever is next


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(threads: int) -> str:
    """Hold the processes started from here on to so many threads; says how."""
    for library in ("OMP", "OPENBLAS", "MKL", "BLIS"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    os.environ["VECLIB_MAXIMUM_THREADS"] = str(threads)
    if threads >= cores():
        return "as many as there are cores"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
        return "by environment variables and, for jax, by giving every process that many cores"
    return "by environment variables; jax knows none, and here uses every core"


class Contestant:
    """A process that takes steps when told: no library meets another one's threads and heap."""

    def __init__(self, name: str, steps: Callable[[], Iterator[Any]]):
        self.name = name
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, steps), daemon=True)
        self.process.start()
        theirs.close()  # so that recv raises EOFError once the process is gone

    def wait(self) -> None:
        """Wait for the first steps, compilation included."""
        self.value, self.threads = self._answer()

    def size(self, seconds: float) -> None:
        """Choose how many steps make one measurement of so long."""
        self.count = 1
        self.count = max(1, round(seconds / min(self.measure() for _ in range(3))))

    def measure(self) -> float:
        """Seconds per step."""
        time.sleep(PAUSE)
        seconds: float = self._answer(self.count)
        return seconds

    def stop(self) -> None:
        """End the process."""
        self.pipe.send(0)
        self.process.join()

    def _answer(self, *requests: int) -> Any:
        try:
            for request in requests:
                self.pipe.send(request)
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            sys.exit(f"{self.name}: its process ended with exit code {self.process.exitcode}.")


def interleave(measures: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """The seconds that each measure gave, in each round, by name."""
    times: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            times[name].append(measure())
    return times


def _serve(pipe: Any, make: Callable[[], Iterator[Any]]) -> None:
    steps = make()
    value = _take(steps, CHECKED)
    pools = [f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info()]
    pipe.send((value, ", ".join(pools)))
    while count := pipe.recv():
        _take(steps, 1 + count // 10)  # wakes the threads and fills the caches
        gc.collect()
        gc.disable()
        start = time.perf_counter()
        _take(steps, count)
        seconds = time.perf_counter() - start
        gc.enable()
        pipe.send(seconds / count)


def _take(steps: Iterator[Any], count: int) -> float:
    """Take so many steps; float() waits for the last one, where a library runs ahead."""
    (last,) = deque(islice(steps, count), maxlen=1)
    return float(last)
