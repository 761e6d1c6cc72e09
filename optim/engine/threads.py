"""How a pass goes over its arrays: in blocks that stay in cache, which threads share where there
are many of them, since NumPy lets other threads run while it computes."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import copy_context
from functools import cache
from time import sleep
from typing import Any

from minigrad.arena import Parameters
from minigrad.backend import current

MOST_THREADS = 3  # each has temporaries of its own, and many would wait for the interpreter
Work = Callable[[Iterator[Any]], Iterable[Any]]
SUMMED = 2**15  # coordinates at a time
exhaust: Any = deque(maxlen=0).extend  # an iterable; Ctrl-C waits for the end if it runs no Python
BLOCKS_EACH = 2  # with fewer for each thread, waking the others costs more than they save


def block_length(params: Parameters) -> int:
    """How many coordinates are in a block: what fits the cache; on a device, all."""
    limit = current().block_bytes
    return limit // params.dtype.itemsize if limit else max(params.size, 1)


def summed_length(params: Parameters) -> int:
    """How many coordinates are summed at a time, whatever the block is; on a device, all."""
    return SUMMED if current().on_host else max(params.size, 1)


def useful_threads(params: Parameters) -> int:
    """How many threads a pass over one value per coordinate is worth; on a device, one."""
    if not current().on_host:
        return 1
    return max(1, min(allowed_threads(), params.size // (BLOCKS_EACH * block_length(params))))


def share(works: Sequence[Work], blocks: Iterable[Any], begin: Callable[[bool], None]) -> None:
    """Exhaust what each of the works makes of the blocks that are left, until none is, after
    begin(True); each has a thread.

    Ends, or raises, when all have ended, after Ctrl-C too.
    """
    mine, *others = works
    if not others:
        begin(True)
        exhaust(mine(iter(blocks)))
        return
    waiting, busy, errors = deque(blocks), list[None](), list[BaseException]()

    def take(work: Work) -> None:
        busy.append(None)
        waiting.append(None)  # where it ends
        try:
            exhaust(work(iter(waiting.popleft, None)))
        except BaseException as error:
            errors.append(error)
        finally:
            busy.pop()

    try:
        begin(True)
        tasks = [_pool().submit(copy_context().run, take, work) for work in others]
        take(mine)
        for task in tasks:
            task.result()
    except KeyboardInterrupt as interrupt:
        errors.append(interrupt)
        begin(True)
        take(mine)  # all that is left
        while busy:  # a task that was being submitted is not in `tasks`
            sleep(1e-3)
    if errors:
        raise errors[0]


def allowed_threads() -> int:
    """As many as OMP_NUM_THREADS says, or as there are cores for this process; at most three."""
    given = os.environ.get("OMP_NUM_THREADS")
    if not given:
        own = hasattr(os, "sched_getaffinity")
        return min(MOST_THREADS, len(os.sched_getaffinity(0)) if own else os.cpu_count() or 1)
    try:
        return min(MOST_THREADS, max(1, int(given.split(",")[0])))  # then come nested levels
    except ValueError:
        raise ValueError(f"OMP_NUM_THREADS={given!r} is no number of threads; give one.") from None


@cache
def _pool() -> Any:
    from concurrent.futures import ThreadPoolExecutor  # with the logging that it brings, a while

    return ThreadPoolExecutor(MOST_THREADS - 1, "optim")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a fork has none of the threads
