"""Our speed beside that of plain NumPy and of other libraries, in one interleaved run."""

import argparse
import sys
import time
from datetime import datetime
from functools import partial
from pathlib import Path

from benchmarks import bandwidth, bars, figure, imports, steps
from benchmarks.comparison import compare
from benchmarks.cores import Cores
from benchmarks.groups import GROUPS
from benchmarks.report import doubts, load, machine, write
from benchmarks.rows import Row, rows_of
from benchmarks.timing import CORES, interleave, limit_threads
from minigrad.console import lasting_output

ALL = [*GROUPS, "imports"]
PATIENCE = 300.0  # seconds to wait in all for cores to come near each other


@lasting_output()
def main() -> None:
    """Measure, print the table and write it down."""
    args = arguments()
    start = time.perf_counter()
    facts = {
        "date": f"{datetime.now():%Y-%m-%d %H:%M}",
        **machine(),
        "cores": len(CORES),
        "threads": args.threads[0],
        "load before": load(),
    }
    rows: list[Row] = []
    cores = Cores(CORES, 0.0 if args.quick else PATIENCE)
    for threads in args.threads:
        full = threads == args.threads[0]
        facts[f"threads held to {threads}"] = limit_threads(threads)
        rows += measured(args, threads, full, cores)
        if full and "imports" in args.only:
            rows += importing(args.rounds)
    facts["bars"] = "on ratios of medians, with 2 threads, or 1 where the work says so"
    missed = [f"{row.work}, {row.contestant}: {bar}" for row in rows for bar in row.bars]
    facts["bars missed"] = [bar for bar in missed if bar.endswith("MISS")]
    facts["memory"] = "the most of a process while it works, beyond that after its imports"
    facts["threads they report"] = sorted(
        {f"{row.contestant}: {row.pools} of {row.threads}" for row in rows if row.pools}
    )
    facts["minutes"] = round((time.perf_counter() - start) / 60, 1)
    facts["load after"] = load()
    facts["rounds with the cores apart"] = f"{cores.apart} of {cores.looks}"
    facts["worth nothing, because"] = doubts(facts["load before"], rows, args.quick)
    print(write(args.out, rows, facts))
    figure.draw(rows, facts, args.out)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each contestant")
    parser.add_argument(
        "--threads",
        type=int,
        nargs="+",
        default=[2, 1][-len(CORES) :],
        help="everything with the first of these and, for comparison, a part with each of the "
        "others; default: 2 1, for which the bars are",
    )
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL, metavar="GROUP")
    parser.add_argument(
        "--before",
        type=Path,
        metavar="DIR",
        help="a checkout of an earlier commit, whose steps are measured beside today's",
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test: figures mean nothing")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="default: runs/bench")
    args = parser.parse_args()
    if args.rounds < 2 or not all(1 <= threads <= len(CORES) for threads in args.threads):
        parser.error(f"--rounds is at least 2, --threads from 1 to {len(CORES)}")
    if args.before and not (args.before / "minigrad").is_dir():
        parser.error(f"--before {args.before} holds no minigrad; give the root of a checkout")
    if args.quick:
        args.rounds = 2
    return args


def measured(args: argparse.Namespace, threads: int, full: bool, cores: Cores) -> list[Row]:
    """The groups that were asked for, with so many threads."""
    wait = cores.wait if threads > 1 else lambda: None
    measure = partial(
        compare,
        seconds=0.01 if args.quick else 0.05,
        threads=threads,
        wait=wait,
        before=args.before and args.before.resolve(),
    )
    rows = []
    for name, group in GROUPS.items():
        if name not in args.only or (name == "before" and not args.before):
            continue
        if name == "compiled" and threads != min(args.threads):
            continue
        print(f"{name}, threads: {threads}", file=sys.stderr)
        found = [
            row for subject in group(full, args.quick) for row in measure(subject, args.rounds)
        ]
        if name == "optimizers":
            numbers = 2**20 if args.quick else bandwidth.NUMBERS
            most = bandwidth.measured(threads, args.rounds, numbers)
            for row in found:
                row.bandwidth = most
            found.append(Row("memory", "numpy", threads=threads, value=f"{most / 1e9:.3g} GB/s"))
            if full:
                found.append(buffers(10**5 if args.quick else 10**7))
        for row in found:
            row.group = name
        rows += found
    return rows


def buffers(size: int) -> Row:
    """The memory that a step of ours takes and gives back."""
    peak = steps.peak_bytes("AMSGrad", (size,))
    row = Row(f"AMSGrad, {size:,} parameters, a step's buffers", "ours", value=f"{peak:,} B")
    row.judge(f"< {bars.BUFFERS / 1e6:g} MB", peak < bars.BUFFERS)
    return row


def importing(rounds: int) -> list[Row]:
    """`import` of us beside that of NumPy, and what it must not import."""
    measures = {
        names: partial(imports.seconds_to_import, names) for names in ("numpy", *bars.IMPORTS)
    }
    print("imports ...", file=sys.stderr)
    times = interleave(measures, rounds)
    rows = []
    for names, bar in bars.IMPORTS.items():
        contestants = {"ours": times[names], "numpy": times["numpy"]}
        rows += rows_of(f"import {names}", contestants, [bar])
    extra = imports.unwanted(", ".join(bars.IMPORTS))
    work = f"import of {', '.join(imports.UNWANTED)}"
    rows.append(Row(work, "ours", value=" ".join(extra) or "none"))
    rows[-1].judge("none", not extra)
    for row in rows:
        row.group = "imports"
    return rows


if __name__ == "__main__":
    main()
