"""Experiments that run, record, and plot what has been said about Adam and its answers.

    python -m experiments list
    python -m experiments run synthetic-online

Each experiment is a declaration in a file of its own: settings, trials, a figure, findings. A run
of it is a directory; a trial is a part of a run that advances by itself, such as one rule.

A module knows those below it, and none above: problems, record; data, loops; experiment; paper;
registry; workers; runner; cli.
"""

from importlib.util import find_spec
from pathlib import Path


def _refuse_other_models() -> None:
    """Raise ImportError where a folder or file `models` in the working directory hides ours."""
    ours, spec = Path(__file__).parent.with_name("models"), find_spec("models")
    if spec is not None:
        (found, *_) = spec.submodule_search_locations or [str(spec.origin)]
        if Path(found).resolve() != ours.resolve():
            raise ImportError(
                f"{found} hides the package `models` of this project, {ours}; rename it, or start "
                "in another directory."
            )


_refuse_other_models()
