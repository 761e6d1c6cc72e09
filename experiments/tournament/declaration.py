"""A tournament of rules: many problems, one protocol, rates tuned for each rule and problem."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np

from experiments.experiment import Experiment
from experiments.loops.compared import Compared
from experiments.problems import images
from experiments.tournament import entries, report
from experiments.tournament.search import Search
from experiments.tournament.standing import key
from minigrad.errors import nearest
from optim import RULES
from optim.named import NamedRule, named

ALL = "all"
REFERENCES = "Momentum", "Nesterov", "AdamW", "NAdamW"  # AlgoPerf's, of which the targets are
LOOKS = 60  # at a run


@dataclass(frozen=True, kw_only=True)
class Tournament(Compared):
    closures: ClassVar[bool] = True

    # "all": every rule of optim
    rules: tuple[str, ...] = ("SGD", *REFERENCES, "AdaGrad", "RMSProp", "Adam", "AMSGrad", "Lion")
    problems: tuple[str, ...] = tuple(name for name in entries.names() if name != entries.LONG)
    data: str = images.DIGITS  # or a directory of MNIST or Fashion-MNIST, and for cifarnet CIFAR-10
    # which data are there, by those wanted, and their SHA-256
    found: dict[str, str] = field(default_factory=dict, repr=False)
    data_sha256: dict[str, str] = field(default_factory=dict, repr=False)
    rates: int = 9  # of each grid, half a decade apart; half as many more at an edge
    steps: int = 1000  # of one gradient each; one of several uses up as many
    seeds: int = 5
    seed: int = 0
    resamples: int = 1000  # for intervals

    def __post_init__(self) -> None:
        every = [n for n, one in RULES.items() if one.__module__.startswith("optim.")]
        lists = [every if name == ALL else [name] for name in self.rules]
        given = dict.fromkeys(name for names in lists for name in names)
        object.__setattr__(self, "rules", tuple(given))
        super().__post_init__()
        for name in self.problems:
            if name not in entries.names():
                raise ValueError(f"problem {name!r} is unknown; {nearest(name, entries.names())}")
        if len(set(self.problems)) < len(self.problems):
            raise ValueError("problems: one is there twice; leave it out.")
        if not 3 <= self.rates <= 21:
            raise ValueError(f"rates={self.rates}: give 3 to 21.")

    @property
    def may_download(self) -> bool:
        return self.data == images.FASHION

    @property
    def images(self) -> str:
        """What the data are called in text, once they are found."""
        others = images.TITLES[self.found[images.MNIST]] if images.MNIST in self.found else ""
        if images.CIFAR10 not in self.found:
            return others
        last = images.TITLES[self.found[images.CIFAR10]]
        return f"{others}, and for CIFARNET those of {last}" if others not in ("", last) else last

    @property
    def references(self) -> dict[str, NamedRule]:
        """The rules that set the targets, by their labels."""
        return {name: named(name) for name in REFERENCES}

    @property
    def entrants(self) -> dict[str, NamedRule]:
        """All rules that take part, by their labels."""
        return self.compared | self.references

    @property
    def times(self) -> np.ndarray:
        """The gradients before which runs are looked at."""
        return np.unique(np.geomspace(1, self.steps + 1, LOOKS).round().astype(int))


def trials(s: Tournament) -> Mapping[str, partial[Search]]:
    common = {"points": s.rates, "seeds": range(s.seed, s.seed + s.seeds), "times": s.times}

    def search(rule: NamedRule, name: str) -> partial[Search]:
        sha256 = s.data_sha256.get(entries.NETWORKS.get(name, ""), "")
        made = partial(entries.entry, name, s.seeds, s.seed, s.data, sha256)
        return partial(Search, made, rule, **common)

    return {
        key(label, name): search(rule, name)
        for label, rule in s.entrants.items()
        for name in s.problems
    }


def prepare(s: Tournament) -> Tournament:
    """Find the data, once for all processes and for resuming."""
    wanted = dict.fromkeys(entries.NETWORKS[n] for n in s.problems if n in entries.NETWORKS)
    found = {one: entries.images_of(s.data, one) for one in wanted}
    for one in found.values():
        if one.note:
            print(one.note)
    there = [one.source for one in found.values() if one.name != images.DIGITS]
    return replace(
        s,
        data=there[0] if there else images.DIGITS,
        found={wanted: one.name for wanted, one in found.items()},
        data_sha256={wanted: one.sha256 for wanted, one in found.items()},
    )


EXPERIMENT = Experiment(
    name="tournament",
    summary="rules against each other on many problems, each with its best rate",
    settings=Tournament(),
    quick={
        "rules": ("SGD", *REFERENCES, "Adam"),
        "problems": ("quadratic", "rosenbrock", "wood", "softmax"),
        "rates": 5,
        "steps": 100,
        "seeds": 2,
        "resamples": 100,
    },
    trials=trials,
    draw=report.draw,
    verdict=report.verdict,
    caption=report.caption,
    findings=report.findings,
    prepare=prepare,
)
