"""How far apart two cores are: what a write costs after the other core has read.

The cores of a virtual machine move about. While they share no cache, whatever two threads share
takes several times as long, and a training step with two threads up to twice as long.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numpy as np

NUMBERS, WRITES = 2**16, 20  # float32, 256 KB
PAUSE = 2.0  # seconds between two looks
APART = 12.0  # so many times a write to what nobody else has read: 2 to 6 where a cache is shared


class Cores:
    """Watches the first two of some cores; nothing, where one is all or threads cannot be held."""

    def __init__(self, cores: Sequence[int], patience: float):
        able = hasattr(os, "sched_setaffinity") and len(cores) > 1
        self._threads = [
            ThreadPoolExecutor(1, initializer=os.sched_setaffinity, initargs=(0, {core}))
            for core in (cores[:2] if able else ())
        ]
        self._x = np.zeros(NUMBERS, np.float32)
        self.patience = patience  # seconds that may be waited, in all
        self.looks = self.apart = 0  # how often they were looked at, and were apart in the end

    def wait(self) -> None:
        """Wait until they are near, while there is patience."""
        self.looks += 1
        while self.distance() > APART:
            if self.patience <= 0:
                self.apart += 1
                return
            time.sleep(PAUSE)
            self.patience -= PAUSE

    def distance(self) -> float:
        """The cost of a write to what the other core has read, over that of another write; 0 where
        nobody watches."""
        if not self._threads:
            return 0.0
        writer, reader = self._threads
        alone = median(_seconds(writer, self._write) for _ in range(WRITES))
        shared = []
        for _ in range(WRITES):
            reader.submit(self._x.sum).result()
            shared.append(_seconds(writer, self._write))
        return median(shared) / alone

    def _write(self) -> None:
        np.add(self._x, 1, out=self._x)


def _seconds(thread: ThreadPoolExecutor, work: Callable[[], None]) -> float:
    def timed() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return thread.submit(timed).result()
