"""Pieces of work, and all contestants at them side by side."""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.rows import Bar, Row, duration, rows_of
from benchmarks.timing import Contestant, Failure, interleave

Contestants = dict[str, Callable[[], Iterator[Any]]]
NEEDS = {  # the libraries of a contestant, by the words of its name
    "ours": ("minigrad", "optim", "models"),
    "numba": ("numba",),
    "torch": ("torch",),
    "jax": ("jax", "optax"),
    "autograd": ("autograd",),
    "mygrad": ("mygrad",),
    "tinygrad": ("tinygrad",),
}
ABSENT = "absent: pip install -e .[bench]"
CHECKED = 5  # the step after which contestants must agree
BUDGET, FEWEST = 12.0, 3  # rounds stop after so many seconds, but not before so many rounds


@dataclass(frozen=True)
class Work:
    """What is compared: contestants by name, "ours" among them, and what is asked of us.

    Rules are compiled where a name says "numba", and are those of another checkout where it says
    "before".
    """

    name: str
    contestants: Contestants
    bars: tuple[Bar, ...] = ()
    most: dict[str, float] = field(default_factory=dict)  # seconds that some may take
    otherwise: dict[str, str] = field(default_factory=dict)  # why it computes something else
    scale: dict[str, float] = field(default_factory=dict)  # what the times are multiplied by
    first: int = CHECKED  # steps before the check
    whole: bool = False  # each step is a measurement, however short
    repeats: int = 1  # rounds for each that is asked for
    size: int = 0
    moved: int = 0
    memory: int = 0  # bytes that all of them need at once, about
    headline: bool = False


def compare(
    works: list[Work],
    rounds: int,
    seconds: float,
    threads: int,
    wait: Callable[[], None],
    before: Path | None = None,
) -> list[Row]:
    """Rows of all contestants, those not installed included. Works that only differ in size share
    the contestants' processes, from the smallest size to the largest. `wait` returns once a round
    may begin."""
    running = {}
    for name in dict.fromkeys(name for work in works for name in work.contestants):
        words = name.split()
        modules = [module for word in words for module in NEEDS.get(word, ())]
        backend = "numba" if "numba" in words else "numpy"
        if all(map(find_spec, modules)):
            running[name] = Contestant(modules, backend, before if "before" in words else None)
    rows: list[Row] = []
    try:
        for work in works:
            rows += _measured(work, running, rounds, seconds, wait)
    except Failure as failure:  # amid the rounds, so that no round is whole
        rows.append(Row(work.name, "all", note=f"stopped: {failure}", headline=work.headline))
    finally:
        for contestant in running.values():
            contestant.stop()
    for row in rows:
        row.threads = threads
    return rows


def _measured(
    work: Work,
    running: dict[str, Contestant],
    rounds: int,
    seconds: float,
    wait: Callable[[], None],
) -> Iterator[Row]:
    print(f"{work.name} ...", file=sys.stderr, flush=True)
    if work.memory > _free_memory():
        needs = f"needs {work.memory / 1e9:.0f} GB, of which {_free_memory() / 1e9:.0f} are free"
        yield Row(work.name, "all", note=f"left out: {needs}", headline=work.headline)
        return
    notes = {name: ABSENT for name in work.contestants if name not in running}
    ready = _begun(work, running, notes)

    measures = {}
    for name, contestant in ready.items():
        if not work.whole:
            contestant.size(seconds)
        measures[name] = contestant.measure
    times = {name: [once[0]] for name, once in interleave(measures, 1, wait).items()}
    per_round = sum(times[name][0] * ready[name].count for name in ready)
    more = min(rounds * work.repeats, max(FEWEST, int(BUDGET / per_round))) - 1
    for name, seconds_each in interleave(measures, more, wait).items():
        times[name] += seconds_each

    scaled = {
        name: [t * work.scale.get(name, 1.0) for t in times.get(name, [])]
        for name in work.contestants
    }
    for row in rows_of(work.name, scaled, work.bars):
        row.headline, row.size, row.moved = work.headline, work.size, work.moved
        row.note = notes.get(row.contestant, "")
        if row.contestant in ready:
            row.pools = ready[row.contestant].pools
            row.peak = ready[row.contestant].finish()
        if row.contestant in work.most and row.median:
            most = work.most[row.contestant]
            row.judge(f"< {duration(most)}", row.median < most)
        yield row


def _begun(
    work: Work, running: dict[str, Contestant], notes: dict[str, str]
) -> dict[str, Contestant]:
    """Those that took the first steps and agree with us; why the others did not goes to `notes`."""
    entered = {name: running[name] for name in work.contestants if name in running}
    failed, values = {}, {}
    for name, contestant in entered.items():
        try:
            contestant.begin(work.contestants[name], work.first)
        except Failure as failure:
            failed[name] = f"cannot: {failure}"
    for name, contestant in entered.items():
        try:
            if name not in failed:
                values[name] = contestant.wait()
        except Failure as failure:
            failed[name] = f"cannot: {failure}"
    for name, why in failed.items():
        if name.startswith("ours"):
            sys.exit(f"{work.name}: {name} {why}")
    ours = values["ours"]
    for name, value in values.items():
        start = next((start for start in work.otherwise if name.startswith(start)), None)
        if start is not None:
            notes[name] = work.otherwise[start]
        elif not math.isclose(value, ours, rel_tol=1e-3):
            failed[name] = f"WRONG: gives {value:.6g} after the first steps, ours {ours:.6g}"
    notes.update(failed)
    return {name: contestant for name, contestant in entered.items() if name not in failed}


def _free_memory() -> float:
    """Bytes; infinite where nobody counts."""
    info = Path("/proc/meminfo")
    if not info.exists():
        return math.inf
    lines = dict(line.split(":") for line in info.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024.0
