"""The figure of a tournament, and what is said of it."""

from typing import Any

import numpy as np

from experiments.experiment import Finding
from experiments.loops.compared import of_names
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.wording import counted, listed
from experiments.tournament import scores
from experiments.tournament.entries import NETWORKS
from experiments.tournament.scores import SHARE, SLACK, TAUS
from experiments.tournament.search import NEAR
from experiments.tournament.standing import Standing
from experiments.tournament.tables import tables
from experiments.tournament.wording import of_closures, titled

SHOWN = 8  # rules of which curves are drawn
ROW = 0.2  # inches, of a rule
MOST_NAMED = 4  # rules that tie


def verdict(traces: Any, s: Any) -> str:
    standing = Standing(traces, s)
    first, *_ = standing.order
    tied = [standing.rules[k] for k in standing.order if standing.tied[k] and k != first]
    if not standing.score[first]:
        return f"None of {len(standing.rules)} rules reaches a target on {_problems(s)}"
    said = f"Of {len(standing.rules)} rules on {_problems(s)} {standing.rules[first]} scores "
    said += f"highest, {standing.score[first]:.2f} of 1"
    if tied:
        others = listed(tied) if len(tied) <= MOST_NAMED else f"{len(tied)} others"
        said += f", and {others} {'ties' if len(tied) == 1 else 'tie'} with it"
    return said


def draw(traces: Any, s: Any) -> Sheet:
    standing = Standing(traces, s)
    sheet = Sheet(
        verdict(traces, s),
        r"score: the mean of $\rho(\tau)$ for $1 \leq \tau \leq 4$;   $\rho(\tau)$: share of the "
        r"problems solved in $\tau$ times the steps of the fastest",
        f"{s.steps:,} steps, {counted(s.seeds, 'seed')}; {s.rates} rates for each rule and "
        f"problem, half a decade apart, and {s.rates // 2} more where the best is at an edge; "
        f"targets: the best of {listed(s.references)} at {SHARE:.0%} of the steps",
        rows=3,
        columns=2,
        size=(5.4, max(3.5, ROW * len(standing.rules) / 3)),
    )
    ranked = [standing.rules[k] for k in standing.order]
    shown = ranked[:SHOWN]
    low, high = standing.interval
    values = {
        standing.rules[k]: np.array([low[k], high[k], standing.score[k]]) for k in standing.order
    }
    styles = looks(shown)
    plain = {"color": "black", "marker": "|"}
    notes = {}
    for k in standing.order:
        failed = standing.failed(standing.rules[k])
        said = ["tie"] if standing.tied[k] and k != standing.order[0] else []
        said += [f"failed on {len(failed)}"] if failed else []
        notes[standing.rules[k]] = ", ".join(said)
    panel = sheet.panel(slice(0, 3), 0, "1. scores, with 95 % intervals", "score", "")
    panel.ranges(values, {rule: styles.get(rule, plain) for rule in values}, notes, at="last")
    panel.axes.tick_params("y", labelsize=9)
    panel.axes.set_xlim(-0.02, 1.02)
    profiles = sheet.panel(0, 1, "2. performance profiles", r"$\tau$", r"$\rho(\tau)$")
    by_rate = sheet.panel(
        1, 1, "3. how well the rate has to be known", "rate over the best", "targets reached"
    )
    last = s.problems[-1]
    what = "test loss" if last in NETWORKS else "above the least value"
    at_end = sheet.panel(2, 1, f"4. {titled(last)}, in the end", "rate", what)
    rho = scores.profile(scores.ratios(standing.median), TAUS)
    for rule in shown:
        share = rho[standing.rules.index(rule)]
        profiles.line(rule, TAUS, share, drawstyle="steps-post", **styles[rule])
        by_rate.line(rule, *standing.share_by_rate(rule), **styles[rule])
        trace = standing.played[rule][last].trace
        if len(trace["rates"]) > 1:
            end = np.median(trace["reported"][-1].astype(float), axis=1)
            end = np.where(np.isfinite(end), end, np.nan)
            at_end.line(rule, trace["rates"], end, **styles[rule])
    profiles.axes.set_ylim(-0.02, 1.02)
    by_rate.axes.set(xscale="log", ylim=(-0.02, 1.02))
    at_end.axes.set(xscale="log", yscale="log")
    sheet.tables = tables(standing)
    return sheet


def caption(traces: Any, s: Any) -> str:
    standing = Standing(traces, s)
    networks = set(s.problems) & set(NETWORKS)
    data = f" The images are those of {s.images}." if networks else ""
    return (
        f"{counted(len(standing.rules), 'rule')} on {_problems(s)}: "
        f"{listed(titled(name) for name in s.problems)}. Each rule has, on each problem, {s.rates} "
        f"rates half a decade apart around its own, and {s.rates // 2} more beyond an edge where "
        f"the best is at one; each rate {s.steps:,} steps of one gradient with "
        f"{counted(s.seeds, 'seed')} (from {s.seed} on), of the start and of what is drawn. The "
        f"best rate is the first to come within {NEAR:g} of the way to the least value with all "
        "seeds, or else the one that ends lowest in the mean; for networks, on the validation "
        f"loss, where the test loss is reported.{data} The target of a problem is where the "
        f"median seed of the best of {listed(s.references)} has come to at {SHARE:.0%} of the "
        f"steps, and {SLACK - 1:.0%} more, and no nearer than {NEAR:g} of the way. 1: scores, and "
        f"where 95 % of {s.resamples:,} resamples of problems and seeds are; a tie: 0 is in that "
        "interval of the difference from the highest; failed: runs at the best rate that left all "
        f"bounds. 2: the profiles of the first {min(SHOWN, len(standing.rules))}. 3: the share of "
        "the targets that the median seed reaches at other rates, where at least half of them "
        f"were tried. 4: the median seed at each rate.{of_closures(s)}{of_names(s)}"
    )


def findings(traces: Any, s: Any) -> list[Finding]:
    standing = Standing(traces, s)
    low, high = standing.interval
    found = []
    for place, k in enumerate(standing.order, 1):
        rule, reached = standing.rules[k], standing.reached[k]
        text = f"{place}. {rule}: {standing.score[k]:.3f} ({low[k]:.3f} to {high[k]:.3f})"
        text += ", a tie with the first" if standing.tied[k] and place > 1 else ""
        text += f"; reaches {reached} of {counted(len(s.problems), 'target')}"
        if failed := standing.failed(rule):
            runs = (f"{titled(n)} ({count} of {s.seeds})" for n, count in failed.items())
            text += f"; failed at its best rate on {listed(runs)}"
        if edges := standing.at_edge(rule):
            text += f"; best at an edge of its grid on {listed(map(titled, edges))}"
        numbers = {
            "score": float(standing.score[k]),
            "low": float(low[k]),
            "high": float(high[k]),
            "reached": float(reached),
            "failed": float(sum(failed.values())),
        }
        found.append(Finding(f"{text}.", numbers))
    return found


def _problems(s: Any) -> str:
    return counted(len(s.problems), "problem")
