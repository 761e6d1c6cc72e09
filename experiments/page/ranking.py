"""A tournament on the page: the scores as a table to sort, the steps to each target, and profiles
in which a reader chooses the rules, of the tables that the run has left."""

import csv
from html import escape
from typing import Any

import numpy as np

from experiments.record.directory import RunDirectory
from experiments.tournament import scores
from experiments.tournament.wording import titled

NAMED = "Adam", "AMSGrad", "SGD"  # in the profiles at first, beside the first three
HEADINGS = (
    *("rule", "score", f"{scores.CONFIDENCE} % interval", "tie", "targets reached"),
    *("failed runs", "at an edge of its grid on"),
)


class Ranking:
    """The results of the tournament in a run directory, with rules from the highest score; raises
    RunDirectoryError for tables that are missing."""

    def __init__(self, directory: RunDirectory):
        self.scores = directory.read("scores.csv", _lines)
        steps = directory.read("steps.csv", _lines)
        self.rules = [line["rule"] for line in self.scores]
        self.targets = {line["problem"]: float(line["target"]) for line in steps}
        of_seeds: dict[tuple[str, str], list[float]] = {}
        for line in steps:
            of_seeds.setdefault((line["rule"], line["problem"]), []).append(float(line["steps"]))
        self.steps = scores.median(
            np.array([[of_seeds[rule, name] for name in self.targets] for rule in self.rules])
        )

    @property
    def data(self) -> dict[str, Any]:
        """What the page draws."""
        shares = scores.profile(scores.ratios(self.steps), scores.TAUS).round(4).tolist()
        profiles = dict(zip(self.rules, shares, strict=True))
        return {"taus": scores.TAUS.round(4).tolist(), "profiles": profiles}

    @property
    def shown(self) -> str:
        """The rules that are named at first."""
        named = [*self.rules[:3], *(name for name in NAMED if name in self.rules)]
        return ";".join(dict.fromkeys(named))

    @property
    def html(self) -> str:
        """The figure's place, and the tables."""
        return f"""<div id="tournament">
<p class="note sideways">The tables go on to the right: scroll them sideways.</p>
<div class="ranking">
<figure id="profiles"></figure>
<div class="scroll" tabindex="0" role="region" aria-label="Scores">
{_table(HEADINGS, map(self._line, self.scores))}
</div>
</div>
<details>
<summary>Steps to the target of each problem, by the median seed</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Steps to the targets">
{_table(("rule", *map(titled, self.targets)), map(self._steps_of, range(len(self.rules))))}
</div>
</details>
</div>"""

    def _line(self, line: dict[str, str]) -> list[str]:
        rule = escape(line["rule"])
        score, low, high = (f"{float(line[key]):.3f}" for key in ("score", "low", "high"))
        edges = line["at_edge"].split()
        return [
            f'<label><input type="checkbox" data-shown="{rule}">'
            f'<span class="swatch"></span> {rule}</label>',
            *(score, f"{low} to {high}", line["tie"]),
            *(f"{line['reached']} of {len(self.targets)}", line["failed"]),
            f"{len(edges)}: {', '.join(map(titled, edges))}" if edges else "",
        ]

    def _steps_of(self, place: int) -> list[str]:
        steps, fastest = self.steps[place], self.steps.min(axis=0)
        cells = (
            "never" if one == np.inf else f"<b>{one:,.0f}</b>" if one == least else f"{one:,.0f}"
            for one, least in zip(steps, fastest, strict=True)
        )
        return [escape(self.rules[place]), *cells]


def _table(headings: Any, lines: Any) -> str:
    head = "".join(f'<th scope="col"><button type="button">{one}</button></th>' for one in headings)
    rows = "\n".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{one}</td>" for one in others)}</tr>'
        for first, *others in lines
    )
    return f"""<table class="sortable">
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>"""


def _lines(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(text.decode().splitlines()))
