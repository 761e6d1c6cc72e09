"""Advancing the trials of experiments."""

from typing import Any


def finished(trial: Any) -> Any:
    """The traces of a trial at its end."""
    while not trial.done:
        trial.advance()
    return trial.traces()
