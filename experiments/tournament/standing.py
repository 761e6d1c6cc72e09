"""The results of a tournament, computed from its traces."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from experiments.tournament import scores
from experiments.tournament.entries import NETWORKS
from experiments.tournament.scores import Played

REACH = 4  # half decades on either side of the best rate


def key(rule: str, problem: str) -> str:
    """The label of a trial."""
    return f"{rule} on {problem}"


@dataclass(frozen=True, eq=False)
class Standing:
    """The results of a run, with rules in the order of the settings."""

    traces: Any
    settings: Any

    @cached_property
    def rules(self) -> list[str]:
        return list(self.settings.entrants)

    @cached_property
    def played(self) -> dict[str, dict[str, Played]]:
        """By rule and problem."""
        return {
            rule: {
                name: Played(self.traces[key(rule, name)], name not in NETWORKS)
                for name in self.settings.problems
            }
            for rule in self.rules
        }

    @cached_property
    def targets(self) -> dict[str, float]:
        """By problem."""
        return {
            name: scores.target([self.played[rule][name] for rule in self.settings.references])
            for name in self.settings.problems
        }

    @cached_property
    def arrivals(self) -> dict[str, dict[str, np.ndarray]]:
        """By rule and problem, the steps to the target at each rate with each seed."""
        return {
            rule: {name: scores.arrivals(one, self.targets[name]) for name, one in of.items()}
            for rule, of in self.played.items()
        }

    @cached_property
    def steps(self) -> np.ndarray:
        """To the target at the best rate, (rules, problems, seeds); inf: never."""
        return np.array(
            [
                [self.arrivals[rule][name][self.played[rule][name].best] for name in self.targets]
                for rule in self.rules
            ]
        )

    @cached_property
    def median(self) -> np.ndarray:
        """Over seeds, (rules, problems)."""
        return scores.median(self.steps)

    @cached_property
    def score(self) -> np.ndarray:
        """Of each rule."""
        return scores.score(self.median)

    @cached_property
    def samples(self) -> np.ndarray:
        """Scores, (resamples, rules)."""
        s = self.settings
        return scores.resampled(self.steps, s.resamples, s.seed)

    @cached_property
    def interval(self) -> Any:
        """The lower and the upper ends of the intervals of the scores."""
        return scores.interval(self.samples)

    @cached_property
    def reached(self) -> np.ndarray:
        """How many targets the median seed of each rule reaches."""
        count: np.ndarray = np.isfinite(self.median).sum(axis=1)
        return count

    @cached_property
    def order(self) -> np.ndarray:
        """The places of the rules, from the highest score."""
        return np.argsort(-self.score, kind="stable")

    @cached_property
    def tied(self) -> np.ndarray:
        """Which rules tie with the first, which does itself."""
        return scores.ties(self.samples, int(self.order[0]))

    def failed(self, rule: str) -> dict[str, int]:
        """The problems on which runs at the best rate failed, and how many did."""
        return {name: one.failed for name, one in self.played[rule].items() if one.failed}

    def at_edge(self, rule: str) -> list[str]:
        """The problems on which its best rate is at an edge of its grid."""
        return [name for name, one in self.played[rule].items() if one.at_edge]

    def share_by_rate(self, rule: str) -> tuple[np.ndarray, np.ndarray]:
        """The share of the problems on which the median seed reaches the target at rates of so
        many half decades from the best, where that rate was tried on at least half of them."""
        reached: dict[int, list[bool]] = {}
        for name, steps in self.arrivals[rule].items():
            best = self.played[rule][name].best
            for place, median in enumerate(scores.median(steps)):
                reached.setdefault(place - best, []).append(bool(np.isfinite(median)))
        enough = len(self.settings.problems) / 2
        off = sorted(k for k in reached if abs(k) <= REACH and len(reached[k]) >= enough)
        return 10.0 ** (np.array(off) / 2), np.array([np.mean(reached[k]) for k in off])
