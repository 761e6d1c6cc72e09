"""python -m experiments list | run NAME... | all | gallery | tournament | plot DIR | resume DIR |
table DIR... | diff DIR DIR | page | report RULE | hunt RULE | doctor.

Exit status: 0 on success, 1 on a run that failed, 2 on bad arguments, 130 on an interruption.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from experiments import comparing, mpi, on_dask, runner
from experiments.beginning import backend_for, created, resumed
from experiments.interactive import load
from experiments.options import add_rules, integer, positive
from experiments.problems import images
from experiments.record.directory import RunDirectory
from experiments.record.settings import parts
from experiments.registry import EXPERIMENTS, GALLERY, PAPER
from experiments.workers import Run, submitted
from minigrad.backend import Backend, current, make, temporarily
from minigrad.checkpoint import atomic_write
from minigrad.console import lasting_output
from minigrad.doctor import report
from optim.files import blamed
from optim.named import named

WORKERS_ON_DEVICE = 2  # each has a context and data of its own there


@lasting_output()
def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(options)
        return status
    except KeyboardInterrupt:
        print("experiments: interrupted", file=sys.stderr)
        return runner.INTERRUPTED
    except Exception as error:
        if where := blamed(error):
            error = RuntimeError(f"{where}; mend the rule.")
        elif not isinstance(error, (ValueError, OSError, RuntimeError, MemoryError)):
            raise
        print(f"experiments: {error}", file=sys.stderr)
        return 2


def _list(options: argparse.Namespace) -> int:
    for experiment in EXPERIMENTS.values():
        s = experiment.settings
        settings = (f"{f.name}={getattr(s, f.name)}" for f in fields(s) if f.repr)
        print(experiment.name, experiment.summary, "  ".join(settings), sep="\n    ")
    return 0


def _run(options: argparse.Namespace) -> int:
    return _execute(partial(created, options), options)


def _resume(options: argparse.Namespace) -> int:
    return _execute(partial(resumed, options), options)


def _execute(begin: Callable[[], tuple[list[Run], Backend]], options: argparse.Namespace) -> int:
    if options.mpi:
        return mpi.execute(begin, options.shards)
    if options.shards:
        raise ValueError(f"--shards {options.shards} is for ranks; give --mpi as well.")
    runs, backend = begin()
    try:
        return runner.execute(runs, backend.name, _engine(options, backend))
    finally:
        for run in runs:
            run.directory.unlock()


def _engine(options: argparse.Namespace, backend: Backend) -> Any:
    """What trials are submitted to."""
    if options.dask:
        return partial(on_dask.submitted, address=options.dask)
    default = os.cpu_count() if backend.on_host else WORKERS_ON_DEVICE
    return partial(submitted, workers=options.workers or default)


def _plot(options: argparse.Namespace) -> int:
    directory = RunDirectory(options.directory)
    for path in load(directory.path).save(directory.path):
        print(path)
    directory.write_checksums()
    return 0


def _table(options: argparse.Namespace) -> int:
    table = comparing.rows(options.directories, options.sort)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(comparing.as_csv(table) if options.csv else comparing.as_text(table, width))
    return 0


def _diff(options: argparse.Namespace) -> int:
    for line in comparing.differences(*options.directories):
        print(line)
    return 0


def _page(options: argparse.Namespace) -> int:
    from experiments.page import build

    text = build.build(options.directories, map(named, options.rules))
    with atomic_write(options.output) as file:
        file.write(text.encode())
    print(f"{options.output}, {len(text.encode()) / 1e6:.1f} MB")
    return 0


def _report(options: argparse.Namespace) -> int:
    from experiments.report import card, pages

    backend = backend_for(options.backend, options)
    submit = _engine(options, backend)
    made = card.make(options.rule, options.out, backend.name, submit, options.force)
    print(f"\n{made.verdict}", *pages.save(made), sep="\n")
    return 1 if made.failed else 0


def _hunt(options: argparse.Namespace) -> int:
    from experiments.hunt import command

    backend = make(options.backend) if options.backend else current()
    if not backend.on_host:
        raise ValueError(f"--backend {backend.name}: a hunt is played on the host; give numba.")
    with temporarily(backend):
        if options.rule is None:
            command.all_rules(options.table, options.force)
        else:
            command.one_rule(options.rule, options.schedule, options.out)
    return 0


def _doctor(options: argparse.Namespace) -> int:
    return report(images.places(), options.backend)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m experiments", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Any, help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=help)
        added.set_defaults(command=function)
        return added

    command("list", _list, "name the experiments, and their settings")
    run = command("run", _run, "run the named experiments")
    run.add_argument("names", nargs="+", metavar="NAME")
    every = command("all", _run, "run the experiments of the paper")
    every.set_defaults(names=PAPER)
    gallery = command("gallery", _run, "run all experiments but the tournament")
    gallery.set_defaults(names=GALLERY)
    tournament = command("tournament", _run, "run the tournament: many rules on many problems")
    tournament.set_defaults(names=["tournament"])
    help_ = "the problems: some of those in `list`, which is the default, or cifarnet, in hours"
    tournament.add_argument("--problems", type=parts, metavar="PROBLEM,...", help=help_)
    setting = "a setting of the experiment, by its name in `list`; may be repeated"
    resume = command("resume", _resume, "continue an interrupted run, to the same numbers")
    data = "directory of MNIST's, Fashion-MNIST's and CIFAR-10's files, 'fashion-mnist' or 'digits'"
    for one in (run, every, gallery, tournament):
        one.add_argument("--seed", type=integer, help="of every random draw")
        one.add_argument("--seeds", type=integer, help="how many seeds to repeat over")
        help_ = "length of the online problems; in the tournament, gradients of a run"
        one.add_argument("--steps", type=integer, help=help_)
        one.add_argument("--data", help=data)
        add_rules(one, "the rules to compare")
        one.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=setting)
        one.add_argument("--quick", action="store_true", help="in seconds, on the digits")
        one.add_argument("--out", type=Path, default=Path("runs"), help="default: %(default)s")
        one.add_argument("--force", action="store_true", help="replace an earlier run")
    card = command("report", _report, "try out a rule, and write a page of what was seen")
    card.add_argument("rule", metavar="RULE", help="as adam, mine.py:Mine or mine.py:Mine(lr=1e-2)")
    card.add_argument("--out", type=Path, default=Path("reports"), help="default: %(default)s")
    card.add_argument("--force", action="store_true", help="replace an earlier report")
    for one in (run, every, gallery, tournament, resume, card):
        help_ = "numpy, numba or cupy; default: MINIGRAD_BACKEND, or numpy"
        one.add_argument("--backend", help=help_)
        help_ = f"processes; default: as many as cores, on a device {WORKERS_ON_DEVICE}"
        engine = one.add_mutually_exclusive_group()
        engine.add_argument("--workers", type=positive, help=help_)
        help_ = "trials on the workers of the dask cluster with this scheduler"
        engine.add_argument("--dask", metavar="ADDRESS", help=help_)
        if one is card:
            continue
        help_ = "on the ranks that mpiexec has started, each with its part of every batch"
        engine.add_argument("--mpi", action="store_true", help=help_)
        help_ = "with --mpi: parts of a batch, for the same bits on any number of ranks"
        one.add_argument("--shards", type=positive, help=help_)
    plot = command("plot", _plot, "draw a run's figure again, from its traces")
    for one in (plot, resume):
        one.add_argument("directory", type=Path, metavar="DIR")
    table = command("table", _table, "list runs, whole or not, with settings and verdict")
    table.add_argument("directories", nargs="+", type=Path, metavar="DIR")
    columns = comparing.COLUMNS
    table.add_argument("--sort", choices=columns, default="run", help="default: %(default)s")
    table.add_argument("--csv", action="store_true", help="for a spreadsheet")
    diff = command("diff", _diff, "say in what settings and findings two runs differ")
    diff.add_argument("directories", nargs=2, type=Path, metavar="DIR")
    page = command("page", _page, "write one page of what has been run, to open in a browser")
    page.add_argument("directories", nargs="*", type=Path, default=[Path("runs")], metavar="DIR")
    page.add_argument(
        "--output", type=Path, default=Path("index.html"), help="default: %(default)s"
    )
    add_rules(page, "rules to show at first, those of your own beside ours")
    hunt = command("hunt", _hunt, "look for a problem on which the regret of a rule stays")
    hunt.add_argument(
        "rule", nargs="?", metavar="RULE", help="as adam, adam(eps=0) or mine.py:Mine"
    )
    help_ = "the step size, where it is not that of the rule's theorem"
    hunt.add_argument("--schedule", choices=("alpha", "alpha / sqrt(t)"), help=help_)
    hunt.add_argument("--out", type=Path, default=Path("hunts"), help="default: %(default)s")
    help_ = "without RULE: hunt every rule that has no row yet in this directory"
    hunt.add_argument("--table", type=Path, default=Path("docs"), metavar="DIR", help=help_)
    hunt.add_argument("--force", action="store_true", help="hunt also those that have a row")
    hunt.add_argument("--backend", help="numpy, numba or cupy; numba takes a minute, numpy hours")
    doctor = command("doctor", _doctor, "report on NumPy, CuPy, the device and the data")
    doctor.add_argument("--backend", help="that must work, beside numpy, for the exit status 0")
    return parser
