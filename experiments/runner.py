"""Runs experiments in parallel processes, so that each can be interrupted and resumed."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from experiments.advancing import Interrupted
from experiments.record.directory import PARTIAL, RunDirectory, RunDirectoryError
from experiments.record.environment import environment
from experiments.record.wording import BAR, listed
from experiments.registry import EXPERIMENTS
from experiments.result import Result
from experiments.workers import Run
from optim.files import RuleError

LOOK_SECONDS = 0.5  # between two looks at the progress
WHOLE, FAILED, INTERRUPTED = 0, 1, 130  # exit statuses

Jobs = list[tuple[Run, str]]  # a trial each, by its label
# Trials by the future of their seconds, and the share of each that is done
Submitted = tuple[dict[Future[float], tuple[Run, str]], Iterable[float]]


def execute(
    runs: list[Run], backend: str, submit: Callable[[Jobs, str], AbstractContextManager[Submitted]]
) -> int:
    """Advance every trial of the runs; print what they found; give the exit status.

    `submit` gives the trials to an engine, such as processes of this machine.
    """
    try:
        return _execute(runs, backend, submit)
    except KeyboardInterrupt:  # before signals are heard, or because of a second one
        for run in runs:
            if run.directory.path.name.endswith(PARTIAL):
                _report_failure(run.directory, Interrupted())
        return INTERRUPTED


def _execute(runs: list[Run], backend: str, submit: Any) -> int:
    jobs = [(run, label) for run in runs for label in run.experiment.trials(run.settings)]
    jobs.sort(key=lambda job: -getattr(job[0].settings, "steps", 0))  # the long ones first
    due = Counter(run.experiment.name for run, _ in jobs)
    ended: dict[str, dict[str, Future[float]]] = {run.experiment.name: {} for run in runs}
    for run in runs:
        begin(run, backend)
    status = WHOLE
    with (
        submit(jobs, backend) as (futures, progress),
        tqdm(total=len(jobs), bar_format=BAR, smoothing=0, disable=None) as bar,
    ):
        for future in _ended(futures, progress, bar):
            run, label = futures[future]
            trials = ended[run.experiment.name]
            trials[label] = future
            if len(trials) == due[run.experiment.name]:
                with bar.external_write_mode():
                    whole = conclude(run, trials)
                run.directory.unlock()
                stopped = any(isinstance(one.exception(), Interrupted) for one in trials.values())
                status = max(status, WHOLE if whole else INTERRUPTED if stopped else FAILED)
    return status


def begin(run: Run, backend: str, **facts: Any) -> None:
    """Record what the numbers may depend on; what was begun with other code is of both, and says
    so."""
    known = environment(backend)
    before = run.directory.manifest.get("code", known["code"])
    if not before.endswith(known["code"]):
        print(f"{run.experiment.name} began with other code: what it finds is of both.")
        known["code"] = f"{before}, {known['code']}"
    run.directory.write_manifest(**facts, **known)


def _ended(
    futures: Iterable[Future[float]], progress: Iterable[float], bar: Any
) -> Iterator[Future[float]]:
    """The futures as they end; meanwhile the bar shows how far all trials are."""
    running = set(futures)
    while running:
        ended, running = wait(running, LOOK_SECONDS, FIRST_COMPLETED)
        bar.n = sum(progress)
        bar.refresh()
        yield from ended


def conclude(run: Run, ended: dict[str, Future[float]]) -> bool:
    """Draw and name a whole run, or leave an unfinished one resumable; say which it was."""
    experiment, directory = run.experiment, run.directory
    print(f"\n{experiment.name}: {experiment.summary}")
    seconds, errors = directory.manifest.get("seconds", {}), []
    for label, trial in ended.items():
        if error := trial.exception():
            errors.append(error)
        elif spent := trial.result():
            seconds[label] = round(spent, 1)
    try:
        directory.write_manifest(seconds=seconds)
        if not errors:
            traces = directory.gather(list(experiment.trials(run.settings)))
            result = Result(experiment, run.settings, traces)
            figure, *others = (path.name for path in result.save(directory.path))
            directory.finish()
    except Exception as error:
        errors.append(error)
    if errors:
        first = next((e for e in errors if not isinstance(e, Interrupted)), errors[0])
        _report_failure(directory, first)
        return False
    if caveat := experiment.caveat(run.settings):
        print(f"  {caveat}")
    print(f"  {result.verdict}")
    for finding in result.findings:
        print(f"  {finding.text}")
    print(f"  figure: {directory.path / figure}, beside {listed(others)}", flush=True)
    return True


def _report_failure(directory: RunDirectory, error: BaseException) -> None:
    """Say why a run is unfinished, and how to go on; raises a mistake of the program."""
    match error:
        case Interrupted():
            why = "interrupted"
        case BrokenProcessPool():
            why = "failed: a worker was killed, perhaps for want of memory; use fewer --workers"
        case _:
            why = f"failed: {error}"
    with suppress(OSError):  # on a full disk
        directory.write_manifest(status=why)
    explained = Interrupted, RuntimeError, OSError, MemoryError, ArithmeticError, ValueError
    if not isinstance(error, explained):
        raise error
    print(f"  {why}\n  what was recorded is in {directory.path}")
    if isinstance(error, ArithmeticError | RuleError):
        change = "mend the rule" if isinstance(error, RuleError) else "run it with other settings"
        print(f"  it would fail again: {change}, and --force", flush=True)
    else:
        where = shlex.quote(str(directory.path))
        print(f"  continue with: python -m experiments resume {where}", flush=True)


def unfinished(path: Path) -> Run:
    """The unfinished run at that path; raises RunDirectoryError where there is none."""
    directory = RunDirectory(path.resolve())
    manifest = directory.manifest
    if not directory.path.name.endswith(PARTIAL):
        raise RunDirectoryError(f"{path} is not called NAME{PARTIAL}; there is nothing to resume.")
    if manifest["experiment"] not in EXPERIMENTS:
        raise RunDirectoryError(f"{path} is of the unknown experiment {manifest['experiment']!r}.")
    experiment = EXPERIMENTS[manifest["experiment"]]
    settings = experiment.configured(manifest["settings"])
    directory.lock()
    return Run(experiment, settings, directory)
