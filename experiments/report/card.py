"""The report of a rule: what is known of it once the plan has run in a folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import runner
from experiments.interactive import load
from experiments.record.directory import MANIFEST, PARTIAL, RunDirectory
from experiments.record.wording import listed
from experiments.registry import EXPERIMENTS
from experiments.report import plan, trace, unconstrained, verdict
from experiments.result import Result
from optim.check import Outcome, check_rule, scale
from optim.files import blamed
from optim.named import NamedRule, named


@dataclass(frozen=True)
class Section:
    """A heading, what there is to say, and the run whose figure it has."""

    title: str
    sentences: list[str]
    run: str | None = None

    @property
    def heading(self) -> str:
        """The title with a capital letter."""
        return self.title[0].upper() + self.title[1:]


@dataclass(frozen=True)
class Card:
    """A rule, and what came of the plan."""

    rule: NamedRule
    folder: Path  # of the runs
    results: dict[str, Result]  # by experiment, of the runs that are whole
    failed: dict[str, str]  # by experiment, what became of the others
    left_out: dict[str, str]  # by experiment, why there is no run
    outcomes: dict[str, Outcome]  # of optim.check
    descents: dict[str, unconstrained.Ends]  # empty for a rule with a closure

    @property
    def verdict(self) -> str:
        """What was seen, in sentences."""
        label, broken = self.rule.label, [k for k, one in self.outcomes.items() if not one.holds]
        held = len(self.outcomes) - len(broken)
        said = [f"{held} of {len(self.outcomes)} checks hold for {label}"]
        said[0] += f" (not: {', '.join(broken)})" if broken else ""
        said += [verdict.in_short(result, label) for result in self.results.values()]
        if self.descents:
            said.append(unconstrained.in_short(label, self.descents))
        if without := [*self.failed, *self.left_out]:
            said.append(f"nothing is known from {listed(without)}")
        said.append("all this is of these runs and settings, and proves nothing")
        return " ".join(f"{clause[0].upper()}{clause[1:]}." for clause in said)

    @property
    def sections(self) -> Iterator[Section]:
        """The trace, the checks, and the experiments."""
        yield Section("The trace", trace.sentences(self.rule))
        checks = sorted(self.outcomes.items(), key=lambda item: item[1].holds)
        said = [f"{name}: {outcome}." for name, outcome in checks]
        yield Section("What was checked", [*said, f"Scale, without eps: {scale(self.rule)}."])
        for name in plan.PLAN:
            if name in self.results:
                result = self.results[name]
                said = verdict.sentences(result, self.rule.label)
                yield Section(result.experiment.summary, said, name)
            else:
                why = self.failed.get(name) or f"left out: {self.left_out[name]}"
                yield Section(EXPERIMENTS[name].summary, [f"{name} {why}"])
        if self.descents:
            said = unconstrained.sentences(self.rule.label, self.descents)
            yield Section(unconstrained.NAME, said)


def make(text: str, out: Path, backend: str, submit: Any, force: bool = False) -> Card:
    """Run the plan for the rule of that name, in a folder of `out`, by what `submit` submits to.

    What is whole there is not run again, and what was interrupted goes on. Raises ValueError for no
    rule, RunDirectoryError where there is another report, and KeyboardInterrupt.
    """
    rule = named(text)
    folder = out / rule.label
    known, left_out = plan.settled(text)
    runs = plan.begun(folder, known, backend, force)
    folder.mkdir(parents=True, exist_ok=True)  # also where no experiment takes the rule
    try:
        if runner.execute(runs, backend, submit) == runner.INTERRUPTED:
            print("  the same command goes on with all of them, and writes the report")
            raise KeyboardInterrupt
    finally:
        for run in runs:
            run.directory.unlock()
    results, failed = {}, {}
    for name in known:
        if (folder / name / MANIFEST).exists():
            results[name] = load(folder / name)
        else:
            failed[name] = RunDirectory(folder / f"{name}{PARTIAL}").manifest["status"]
    beside = {one.label: one for one in map(named, plan.rules(text))}
    descents: dict[str, unconstrained.Ends] = {}
    if not rule.rule.needs_closure:
        try:
            descents = unconstrained.descents(beside)
        except Exception as error:
            if not (where := blamed(error)):
                raise
            left_out[unconstrained.NAME] = where
    return Card(rule, folder, results, failed, left_out, check_rule(rule), descents)
