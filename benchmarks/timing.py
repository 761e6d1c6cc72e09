"""Interleaved timing, A B C B C A ..., with each contestant in a process of its own.

A contestant is a function that returns an iterator: every `next` takes one more step and gives a
number that shows whether it computes what the others compute. Its process imports its libraries
first, so that the memory counted afterwards is that of the work.
"""

import gc
import os
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

PAUSE = 0.15  # threads of OpenBLAS spin on for 0.1 s after work, on the cores of whoever is next
WARM_UP = 0.06  # seconds of steps before the clock runs: so long until two cores are both awake
CPU = {"JAX_PLATFORMS": "cpu", "DEV": "CPU", "MINIGRAD_BACKEND": "numpy"}  # DEV is tinygrad's


def _cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


POOL = ("internal_api", "architecture", "num_threads")  # what a library says of its threads
CORES = _cores()  # before limit_threads takes some away


def limit_threads(threads: int) -> str:
    """Hold the processes started from here on to so many threads, on the CPU; says how."""
    os.environ.update(CPU, NUM_CPU_THREADS=str(threads), VECLIB_MAXIMUM_THREADS=str(threads))
    for library in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMBA"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, CORES[:threads])
        return "by environment variables and, for jax, by giving every process that many cores"
    return "by environment variables; jax knows none, and uses every core"


class Failure(Exception):
    """Why a contestant cannot do the work."""


class Contestant:
    """A process that takes steps when told: no library meets another one's threads and heap.

    It has a backend of ours, and imports us from a folder, if one is given.
    """

    def __init__(
        self, modules: Iterable[str] = (), backend: str = "numpy", folder: Path | None = None
    ):
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        args = theirs, tuple(modules), backend, folder
        self.process = context.Process(target=_serve, args=args, daemon=True)
        self.process.start()
        theirs.close()  # so that recv raises EOFError once the process is gone

    def begin(self, make: Callable[[], Iterator[Any]], first: int) -> None:
        """Start on a piece of work, with the first few steps; does not wait for them."""
        self.count, self.warm_up = 1, 0
        self._ask("begin", make, first)

    def wait(self) -> float:
        """What the last of the first steps gave, compilation done."""
        value: float
        value, self.pools = self._answer()
        return value

    def size(self, seconds: float) -> None:
        """Choose how many steps make one measurement of so long, and how many warm it up."""
        time.sleep(PAUSE)
        count = 1
        # the better of two, since one may have been disturbed
        while (took := count * min(self._per_step(count) for _ in range(2))) < seconds / 4:
            count *= 4
        self.count = max(1, round(count * seconds / took))
        self.warm_up = round(count * WARM_UP / took)

    def measure(self) -> float:
        """Seconds per step."""
        time.sleep(PAUSE)
        return self._per_step(self.count, self.warm_up)

    def _per_step(self, count: int, warm_up: int = 0) -> float:
        self._ask("take", count, warm_up)
        seconds: float = self._answer()
        return seconds

    def finish(self) -> int | None:
        """Drop the work; the most bytes of memory it held beyond those after the imports."""
        self._ask("finish")
        peak: int | None = self._answer()
        return peak

    def stop(self) -> None:
        """End the process."""
        self.pipe.close()
        self.process.join(timeout=10)
        self.process.kill()

    def _ask(self, *request: Any) -> None:
        try:
            self.pipe.send(request)
        except OSError:
            raise Failure("its process is gone") from None

    def _answer(self) -> Any:
        try:
            value, why = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            raise Failure(f"its process ended with exit code {self.process.exitcode}") from None
        if why:
            raise Failure(why)
        return value


def interleave(
    measures: dict[str, Callable[[], float]], rounds: int, wait: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """The seconds that each measure gave, in each round, by name; `wait` returns once a round may
    begin."""
    times: dict[str, list[float]] = {name: [] for name in measures}
    order, draw = list(measures), random.Random(0)
    for _ in range(rounds):
        wait()
        draw.shuffle(order)  # or one of them would always come after the most disturbing other
        for name in order:
            times[name].append(measures[name]())
    return times


class _Server:
    """What a contestant's process can be asked for."""

    def __init__(self, modules: Iterable[str]):
        for name in modules:
            import_module(name)
        self.imported = _memory("VmRSS")

    def begin(self, make: Callable[[], Iterator[Any]], first: int) -> tuple[float, str]:
        if self.imported is not None:
            Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
        self.steps = make()
        value = _take(self.steps, first)
        pools = [
            " ".join(str(pool[key]) for key in POOL if key in pool) for pool in threadpool_info()
        ]
        return value, ", ".join(pools)

    def take(self, count: int, warm_up: int) -> float:
        if warm_up:
            _take(self.steps, warm_up)
        gc.collect()
        gc.disable()
        start = time.perf_counter()
        _take(self.steps, count)
        seconds = time.perf_counter() - start
        gc.enable()
        return seconds / count

    def finish(self) -> int | None:
        del self.steps
        gc.collect()
        return None if self.imported is None else _memory("VmHWM") - self.imported


def _serve(pipe: Any, modules: Iterable[str], backend: str, folder: Path | None) -> None:
    os.environ["MINIGRAD_BACKEND"] = backend
    if folder:
        sys.path.insert(0, str(folder))
    server = None
    while True:
        try:
            name, *args = pipe.recv()
        except EOFError:
            return
        try:
            server = server or _Server(modules)
            answer = getattr(server, name)(*args), ""
        except Exception as error:
            answer = None, f"{type(error).__name__}: {error}".split("\n")[0]
        pipe.send(answer)


def _take(steps: Iterator[Any], count: int) -> float:
    """Take so many steps; float() waits for the last one, where a library runs ahead."""
    (last,) = deque(islice(steps, count), maxlen=1)
    return float(last)


def _memory(field: str) -> Any:
    """Bytes of memory of this process, now (VmRSS) or at most (VmHWM); None where nobody counts."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines[field].split()[0]) * 1024
