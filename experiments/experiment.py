"""What an experiment declares, and what the machinery asks of a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from minigrad.errors import nearest

if TYPE_CHECKING:
    from experiments.figure import Sheet

Traces = Mapping[str, Mapping[str, np.ndarray]]  # of each run by label: arrays by name


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of an experiment's settings: what `--set KEY=VALUE` may change."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if type(value) is int and value < (0 if f.name == "seed" else 1):
                raise ValueError(f"{f.name}={value} is too small; give a positive number.")


class Run(Protocol):
    """Something that advances in short pieces, and can be put down and taken up between two."""

    done: bool

    def advance(self) -> None: ...

    def traces(self) -> dict[str, np.ndarray]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Experiment:
    """One figure: how to compute its traces, draw them, and say what they show.

    `runs` gives a function per label that makes the run; runs are independent of each other.
    `prepare` settles, once and before anything runs, what depends on the machine.
    """

    name: str
    summary: str
    settings: Settings
    quick: Mapping[str, Any]
    runs: Callable[[Any], Mapping[str, Callable[[], Run]]]
    draw: Callable[[Traces, Any], "Sheet"]
    findings: Callable[[Traces, Any], list[str]]
    prepare: Callable[[Any], Any] = field(default=lambda settings: settings)

    def configured(self, changes: Mapping[str, Any], quick: bool = False) -> Any:
        """The settings with some changed; raises ValueError for unknown names and wrong types."""
        defaults = {f.name: f.default for f in fields(self.settings)}
        merged: dict[str, Any] = dict(self.quick) if quick else {}
        for name, value in changes.items():
            if name not in defaults:
                raise ValueError(f"{self.name} has no setting {name!r}; {nearest(name, defaults)}")
            merged[name] = _like(defaults[name], value, name)
        return replace(self.settings, **merged)


def _like(default: Any, value: Any, name: str) -> Any:
    """`value` in the type of the default, where that loses nothing."""
    if isinstance(default, tuple) and isinstance(value, (list, tuple)):
        return tuple(value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if default is not None and type(value) is not type(default):
        raise ValueError(f"{name}={value!r} is not like its default {default!r}; give that type.")
    return value
