"""What the machine's memory gives: `x += y` in NumPy over arrays far larger than the caches."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from benchmarks.timing import Contestant

NUMBERS = 2**26  # float32, 256 MB an array


def add(threads: int, numbers: int) -> Iterator[Any]:
    """In so many threads, each with its part; NumPy lets go of the interpreter meanwhile."""
    x, y = np.zeros(numbers, np.float32), np.ones(numbers, np.float32)
    parts = list(zip(np.array_split(x, threads), np.array_split(y, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:
        while True:
            list(pool.map(lambda part: np.add(*part, out=part[0]), parts))
            yield x[0]


def moved(numbers: int) -> int:
    """The bytes that are read (x, y) and written (x)."""
    return 3 * 4 * numbers


def measured(threads: int, rounds: int, numbers: int = NUMBERS) -> float:
    """Bytes per second."""
    contestant = Contestant()
    contestant.begin(partial(add, threads, numbers), 1)
    contestant.wait()
    seconds = median(contestant.measure() for _ in range(rounds))
    contestant.stop()
    return moved(numbers) / seconds
