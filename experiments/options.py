"""What the options of the command line mean: whole numbers, and changes of settings."""

import argparse
import ast
from contextlib import suppress
from dataclasses import fields
from typing import Any

from experiments.experiment import Experiment
from experiments.record.settings import parts
from experiments.registry import meant


def changed(options: argparse.Namespace, experiments: list[Experiment]) -> dict[str, Any]:
    """The settings that the options change; each must be known to one of the experiments."""
    given = {name: getattr(options, name) for name in ("seed", "seeds", "steps", "data")}
    changes: dict[str, Any] = {name: v for name, v in given.items() if v is not None}
    if options.rules:
        changes["rules"] = options.rules
    if problems := getattr(options, "problems", None):
        changes["problems"] = problems
    for pair in options.set:
        key, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"--set {pair!r} is not KEY=VALUE.")
        try:
            changes[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            changes[key] = text
    settings = (f for experiment in experiments for f in fields(experiment.settings))
    known = dict.fromkeys(f.name for f in settings if f.repr)
    for name in changes:
        if name not in known:
            raise ValueError(f"no experiment here has a setting {name!r}; {meant(name, known)}")
    return changes


def add_rules(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --rules, which gives a list of names."""
    help_ = f"{what}: adam,mine.py:Mine,'mine.py:Mine(lr=1e-2)'; may be repeated"
    parser.add_argument(
        "--rules", action="extend", type=parts, default=[], metavar="RULE,...", help=help_
    )


def integer(text: str) -> int:
    """A whole number, as 100000 or 1e5."""
    with suppress(ValueError):
        return int(text)
    with suppress(ValueError, OverflowError):
        if (number := float(text)).is_integer():
            return int(number)
    message = f"{text!r} is not a whole number; write it as in 100000 or 1e5"
    raise argparse.ArgumentTypeError(message)


def positive(text: str) -> int:
    """A whole number from 1."""
    if (number := integer(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is too small; give 1 or more")
    return number
