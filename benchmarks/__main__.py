"""Our speed beside that of plain NumPy and of other libraries, in one interleaved run."""

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import imports, steps, training
from benchmarks.report import Row, doubts, load, machine, rows_of, write
from benchmarks.timing import CHECKED, Contestant, cores, interleave, limit_threads

Contestants = dict[str, Callable[[], Iterator[Any]]]
NEEDS = {"torch": ("torch",), "jax": ("jax", "optax"), "autograd": ("autograd",)}


def main() -> None:
    """Measure everything, print the table and write it down."""
    args = arguments()
    rounds, seconds, size = (3, 0.01, 10**6) if args.quick else (args.rounds, 0.1, 10**7)
    facts = {
        "date": f"{datetime.now():%Y-%m-%d %H:%M}",
        **machine(),
        "cores": cores(),
        "threads": f"{args.threads}, {limit_threads(args.threads)}",
        "rounds": rounds,
        "load before": load(),
    }
    measure = partial(compare, rounds=rounds, seconds=seconds)
    rows = training_steps(measure) + optimizer_steps(measure, size) + importing(rounds)
    threads = {row.contestant: row.threads for row in rows if row.threads}
    facts["threads they report"] = [f"{name}: {count}" for name, count in threads.items()]
    facts["load after"] = load()
    facts["worth nothing, because"] = doubts(facts["load before"], rows, args.quick)
    print(write(args.out, rows, facts))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=11, help="measurements of each contestant")
    parser.add_argument("--threads", type=int, default=cores(), help="default: one per core")
    parser.add_argument("--quick", action="store_true", help="a smoke test: figures mean nothing")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="default: runs/bench")
    args = parser.parse_args()
    if args.rounds < 2 or not 1 <= args.threads <= cores():
        parser.error(f"--rounds is at least 2, --threads from 1 to {cores()}")
    return args


def training_steps(measure: Callable[..., list[Row]]) -> list[Row]:
    """A step of each of two models, with Adam."""
    rows = []
    for name, sizes, bar in (
        ("MLP 784-100-10", [784, 100, 10], 1.15),
        ("softmax 784-10", [784, 10], 1.25),
    ):
        every = {
            "ours": partial(training.ours, sizes),
            "by hand": partial(training.by_hand, sizes),
            **peers(training, sizes),
            "autograd": partial(training.autograd, sizes),
        }
        bars = {"by hand": bar, "torch": 0.9, "jax": 0.9, "autograd": 0.4}
        rows += measure(f"{name}, a step of Adam", every, bars, alike=every)
    return rows


def optimizer_steps(measure: Callable[..., list[Row]], size: int) -> list[Row]:
    """A step of AMSGrad alone, and its memory."""

    def here(size: int) -> Contestants:
        return {"ours": partial(steps.ours, size), "textbook": partial(steps.textbook, size)}

    work = f"AMSGrad, {size / 1e6:.0f} M parameters"
    bars = {"textbook": 0.5, "torch default": 0.6}
    rows = measure(work, {**here(size), **peers(steps, size)}, bars, ["textbook"])

    peak = steps.peak_bytes(size) / 1e6
    rows.append(Row(f"{work}, peak memory", "ours", value=f"{peak:.2f} MB"))
    rows[-1].judge("< 4 MB", peak < 4)

    one = measure("AMSGrad, 1 parameter", here(1), {}, ["textbook"])
    one[0].judge("< 25 us", one[0].median < 25e-6)
    return rows + one


def importing(rounds: int) -> list[Row]:
    """`import` of all of us beside that of NumPy, and what it must not import."""
    extra = imports.unwanted()
    row = Row("import of matplotlib, cupy", "ours", value=" ".join(extra) or "none")
    row.judge("none", not extra)
    measures = {
        "ours": partial(imports.seconds_to_import, imports.OURS),
        "numpy": partial(imports.seconds_to_import, "numpy"),
    }
    return [*rows_of("import", interleave(measures, rounds), {"numpy": 1.5}), row]


def peers(module: Any, task: Any) -> Contestants:
    """The other libraries at a task."""
    return {
        "torch default": partial(module.torch, task),
        "torch foreach": partial(module.torch, task, foreach=True),
        "torch fused": partial(module.torch, task, fused=True),
        "jax": partial(module.jax, task),
    }


def compare(
    work: str,
    every: Contestants,
    bars: dict[str, float],
    alike: Iterable[str],
    rounds: int,
    seconds: float,
) -> list[Row]:
    """Rows of all contestants, those not installed included; `alike` must agree with us first."""
    print(f"{work} ...", file=sys.stderr)
    running = {
        name: Contestant(name, make)
        for name, make in every.items()
        if all(map(find_spec, NEEDS.get(name.split()[0], ())))
    }
    for contestant in running.values():
        contestant.wait()
    for name in set(alike) & set(running):
        value, ours = running[name].value, running["ours"].value
        if not math.isclose(value, ours, rel_tol=1e-3):
            sys.exit(f"{work}: after {CHECKED} steps {name} gives {value}, ours {ours}.")
    for contestant in running.values():
        contestant.size(seconds)
    times = interleave({name: c.measure for name, c in running.items()}, rounds)
    for contestant in running.values():
        contestant.stop()

    rows = rows_of(work, {name: times.get(name, []) for name in every}, bars)
    for row in rows:
        if row.contestant in running:
            row.threads = running[row.contestant].threads
    return rows


if __name__ == "__main__":
    main()
