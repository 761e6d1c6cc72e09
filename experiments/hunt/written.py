"""The page of all hunts, in Markdown: docs/hunt.md."""

import re
from collections.abc import Iterable
from typing import Any

from experiments.hunt import lasting, verdicts
from experiments.hunt.claimed import CLAIMS, theorem
from experiments.hunt.drift import CERTAIN, STILL
from experiments.hunt.exactly import DIGITS
from experiments.hunt.exactly import PERIODS as AGAIN
from experiments.hunt.hunted import OTHER
from experiments.hunt.problems import PERIODS
from experiments.hunt.report import evidence, sentence, tried
from experiments.hunt.verdicts import Finding

HEAD = f"""# The hunt

For every rule that can be hunted, the simplest problem that was found on which its average regret
does not vanish, by drift and runs, or what was tried in vain. To hunt one:
`python -m experiments hunt RULE --backend numba`; `make hunt` makes this page. The numbers are
those of `hunt.json` beside it, which also has the settings of each rule, the SHA-256 of its text
and of the code, and how many seconds passed, with other work on the machine.

A problem is linear, f_t(x) = g_t x on [-1, 1], and its slopes repeat with a period; one of them, or
a few in a row, or a block, are the spike. Periods are as long as {max(PERIODS):,}. Small slopes are
1; where no drift is wrong at every t, and those of four problems are others if they are 0.01 or
100, these too. The problem of a row is the simplest of those that were tried, which are not all, so
that the periods of two rows do not rank their rules. The *drift* D(t) is what a period moves x by
in the end, without projection and in units of alpha_t, if all its steps were step t. There is no
formula behind it: periods are played until D and all of the rule's state stand still, to a share of
{STILL:g} between n and 2 n periods. D is wrong where it leads to the worst point, and has no sign
below {CERTAIN:g} of its moves. What is said of a rule is one of:

- **{verdicts.WORST}**: D(t) is wrong at t = 10^3, 10^4, ..., 10^12, and runs from both ends are
  within {lasting.NEAR:g} of the worst point at T and at 10 T, with R_T/T within
  {100 * lasting.SHARE:.0f} % of what it is there, twice the mean slope;
- **{verdicts.DRIFTS}**: D(t) is wrong at all of these t, and a run from the best point gets nearer
  to the worst; one that shows that it stays there takes longer than the hunt waits;
- **climbs until** t\\*: D(t) is wrong before t\\*, and right after, t\\* by bisection, and a run
  has climbed by then;
- **climbs from** t\\* on: the reverse, and a run from the best point leaves it after t\\*;
- **{verdicts.STILL}**: where no D(t) decides, log R_T/T over log T has a slope above
  {verdicts.FLAT:g} over the last two decades, and does not fall ever faster; it may go on to fall
  more slowly than any power of T;
- **{verdicts.DIVERGES}**: on a finite sum without projection, whose members have these slopes up to
  the best point of [-1, 1] and are quadratics beyond, |x| grows like the root of T;
- **{verdicts.SLOW}**: x moves by less than {lasting.LEAST:g} in all;
- **{verdicts.NOTHING}**, with what was tried, which is no proof.

A drift that is wrong at first is no verdict by itself: at step t a rule may remember more than one
all whose steps are step t, as AdamNC does, whose v is the mean of all squares.

D is computed again in {DIGITS} decimal digits, over {AGAIN} periods, from the trace of the rule,
where it has one. AdaShift, Padam and the rules that see a tensor whole are not compiled: they are
tried on fewer problems, at every third power of ten, and in shorter runs, and where they see a
tensor whole, each coordinate is one. Settings are the defaults where none are given; penalties of
the weights are 0, since they belong to another problem. At a constant alpha the regret of most
rules has a floor of the order of alpha, so alpha_t is that of the rule's own theorem, or
alpha / sqrt(t).

"""
COLUMNS = "rule", "alpha_t", "verdict", "on f_t(x) =", "drift of a period"


def page(known: dict[str, Any], missing: Iterable[str] = ()) -> str:
    """The whole page, of rows by name, and the names of those that are not there yet."""
    rows = [COLUMNS, ("---",) * len(COLUMNS)]
    for name, row in known.items():
        rule, *others = cells(name, row)
        rows.append((f"`{rule}`", *others))
    parts = [HEAD, *(f"| {' | '.join(row)} |\n" for row in rows)]
    parts.append("\n## What each row rests on\n")
    for name, row in known.items():
        parts.append(f"\n`{name}`, alpha_t = {row['schedule']} ({row['source']})\n\n")
        for finding in _findings(row):
            parts.append(f"- {sentence(finding)}\n")
            parts += [f"  - {line}\n" for line in evidence(finding.numbers, finding.alpha)]
        parts += [f"- {line}\n" for line in tried(row["tried"])]
        if row["findings"]:
            parts.append(f"- its theorem: {theorem(name)}\n")
    parts.append(CLAIMS)
    parts.append("\n## Not hunted\n\n")
    parts += [f"- `{name}`: not run yet.\n" for name in missing]
    parts += [f"- `{name}`: {why}.\n" for name, why in OTHER.items()]
    return "".join(parts)


def _findings(row: dict[str, Any]) -> list[Finding]:
    return [Finding(**one) for one in row["findings"]]


def shown(row: dict[str, Any]) -> Finding | None:
    """The finding that stands in the table: of the worst verdict the problem that is shortest."""
    findings = _findings(row)
    worst = [one for one in findings if one.verdict == findings[0].verdict]
    return min(worst, key=lambda one: (_period(one), len(one.problem)), default=None)


def _period(finding: Finding) -> int:
    found = re.search(r"mod (\d+)", finding.problem)
    return int(found[1]) if found else 0


def cells(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    """A row of the table, under COLUMNS."""
    finding = shown(row)
    if finding is None:
        p, runs = (row["tried"].get(kind, {}) for kind in ("periodic", "runs"))
        many = (runs if p["undecided"] == p["problems"] else p)["problems"]
        wrong = p["drift wrong at every t"]
        verdict = f"no run confirms the drift, wrong on {wrong}" if wrong else verdicts.NOTHING
        return name, row["schedule"], verdict, f"{many:,} problems", ""
    numbers = finding.numbers
    drift = ", ".join(_drift(numbers["drift"])) if "drift" in numbers else ""
    turn = f" = {numbers['t*']:,}" if "t*" in numbers else ""
    verdict = finding.verdict.replace("t*", f"t*{turn}")
    if finding.verdict == verdicts.FROM and "T" not in numbers:
        verdict += ", by its drift alone"
    return name, row["schedule"], verdict, finding.problem, drift


def _drift(found: dict[str, float]) -> list[str]:
    """The drift at the first and at the last t, if they differ."""
    (early, first), *_, (late, last) = found.items()
    if abs(first - last) <= 1e-6 * max(abs(first), abs(last)):
        return [f"{first:+.4g}"]
    return [f"{first:+.4g} at {early}", f"{last:+.4g} at {late}"]
