"""A trial from where it is to its end, with what is left of it on disk meanwhile."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad
from experiments.experiment import Trial
from experiments.record.directory import RunDirectory
from minigrad.checkpoint import atomic_write
from optim.files import RuleError, blamed

CHECKPOINT_SECONDS = 10.0


class Interrupted(Exception):
    """The trial was asked to stop, and has kept what continuing needs."""


def advance_from(
    kept: dict[str, Any] | None,
    trial: Trial,
    directory: RunDirectory,
    label: str,
    look: Callable[[float], int] = lambda progress: 0,
    saves: bool = True,
) -> float:
    """Advance a trial to its end, from what was kept of it; the seconds that all of it took.

    `look` is told before each piece how far it is, and at 1 that it is done; Interrupted is raised
    once it says so. Traces, and meanwhile checkpoints, are left in the directory, unless somebody
    else `saves` them.
    """
    began = time.monotonic()
    if kept:
        trial.load_state_dict(kept["trial"])
        began -= kept["seconds"]
    saved = time.monotonic()
    while not trial.done:
        stopping = look(trial.progress)
        if saves and (stopping or time.monotonic() - saved > CHECKPOINT_SECONDS):
            saved = time.monotonic()
            minigrad.save(directory.checkpoint_path(label), trial=trial, seconds=saved - began)
        if stopping:
            raise Interrupted(label)
        try:
            trial.advance()
        except FloatingPointError as error:
            if saves:
                with atomic_write(directory.path / f"{label}.failed.npz") as file:
                    np.savez(file, **trial.traces())
            raise FloatingPointError(f"{label}: {error}") from error
        except Interrupted:
            raise
        except Exception as error:
            if where := blamed(error):
                raise RuleError(f"{label}: {where}") from error
            raise
    look(1.0)
    if saves:
        minigrad.save(directory.traces_path(label), traces=trial.traces())
        directory.checkpoint_path(label).unlink(missing_ok=True)
    return time.monotonic() - began
