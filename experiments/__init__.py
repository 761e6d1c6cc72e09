"""Experiments that run, record, and plot what has been said about Adam and its answers.

    python -m experiments list
    python -m experiments run synthetic-online

    import experiments
    result = experiments.run("why", c=3)  # its settings, traces, findings, figure
    result = experiments.load("runs/why")  # the same of a run on disk

Each experiment is a declaration in a file of its own: settings, trials, a figure, and what is said
of it. A run of it is a directory; a trial is a part of a run that advances by itself, such as one
rule.

A module knows those below it, and none above: problems, record; data, loops; experiment; paper;
claims; result; registry; interactive, workers; runner; page; report; cli.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["load", "run"]


def _refuse_other_packages() -> None:
    """Raise ImportError where a folder or file on the way hides a package of this project.

    A command, which has the name -m as long as its module is looked for, ends with the sentence.
    """
    for name in ("minigrad", "optim", "models"):
        ours, spec = Path(__file__).parent.with_name(name), find_spec(name)
        if spec is not None:
            (found, *_) = spec.submodule_search_locations or [str(spec.origin)]
            if Path(found).resolve() != ours.resolve():
                hides = (
                    f"{found} hides the package `{name}` of this project, {ours}; rename it, or "
                    "start in another directory."
                )
                if sys.argv[:1] == ["-m"]:
                    sys.exit(f"experiments: {hides}")
                raise ImportError(hides)


_refuse_other_packages()


def __getattr__(name: str) -> Any:
    """Import `run` and `load` when they are asked for: the command line looks around first."""
    if name not in __all__:
        raise AttributeError(f"module 'experiments' has no attribute {name!r}")
    from experiments import interactive

    return getattr(interactive, name)
