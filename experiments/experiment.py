"""What an experiment declares, and what the machinery asks of a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import UnionType
from typing import TYPE_CHECKING, Any, Protocol, get_args, get_origin

import numpy as np

from minigrad.errors import nearest

if TYPE_CHECKING:
    from experiments.record.figure import Sheet

Traces = Mapping[str, Mapping[str, np.ndarray]]  # of each run by label: arrays by name

LARGEST = 10**12  # of any count


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of an experiment's settings: what `--set KEY=VALUE` may change."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value, least = getattr(self, f.name), 0 if f.name == "seed" else 1
            if type(value) is int and not least <= value <= LARGEST:
                size = "small" if value < least else "large"
                raise ValueError(f"{f.name}={value} is too {size}; give {least} to {LARGEST:,}.")


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
        known = {f.name: f for f in fields(self.settings)}
        merged: dict[str, Any] = dict(self.quick) if quick else {}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"{self.name} has no setting {name!r}; {nearest(name, known)}")
            try:
                merged[name] = _as(known[name].type, value)
            except (TypeError, OverflowError):
                kind = known[name].type
                wanted = kind.__name__ if isinstance(kind, type) else kind
                raise ValueError(
                    f"{name}={value!r:.60}: give {wanted}, like the default, "
                    f"{known[name].default!r}."
                ) from None
        return replace(self.settings, **merged)


def _as(kind: Any, value: Any) -> Any:
    """`value` as that annotation says; raises TypeError where that would lose something."""
    if isinstance(kind, UnionType):  # with None
        return None if value is None else _as(get_args(kind)[0], value)
    if get_origin(kind) is tuple and isinstance(value, (list, tuple)):
        inner, last = get_args(kind)
        if len(value) == 2 or (last is ... and value):
            return tuple(_as(inner, part) for part in value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError
    return value
