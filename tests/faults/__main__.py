"""Faults on purpose and at random: nothing may go wrong in silence.

    python -m tests.faults [PART ...] [--seed N] [--count N]

saves       kill -9 a process that trains and saves after every step
runs        kill -9 a run of an experiment, all of it or a part, and resume it
files       load checkpoints, manifests, traces and images with damage
sequences   step, refuse, interrupt, set, average, save and load any nest of optimizers

A part prints what it did, and each fault that it found; the seed that is printed does the same
again, but for the moments of the kills. Exit status 1 where there are faults.
"""

import argparse
import secrets
import sys
import time

import numpy as np

from tests.faults import damage, kills, sequences
from tests.faults.part import Part

PARTS: dict[str, Part] = {
    "saves": Part(kills.of_saves, 200),
    "runs": Part(kills.of_runs, 100),
    "files": Part(damage.of_files, 2000),
    "sequences": Part(sequences.of_sequences, 500),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the parts named, or all; 1 if there are faults."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m tests.faults", None, __doc__, formatter_class=form)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--count", type=int, help="of faults in each part, instead of its own")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.parts if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}, but {', '.join(PARTS)}")
    found = 0
    for name in options.parts or PARTS:
        part, began = PARTS[name], time.monotonic()
        count = options.count or part.count
        said, faults = part.function(count, np.random.default_rng(options.seed))
        seconds = time.monotonic() - began
        print(f"{name}, seed {options.seed}, {seconds:.0f} s: {said}", *faults, sep="\n    ")
        print(f"    {len(faults)} faults", flush=True)
        found += len(faults)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
