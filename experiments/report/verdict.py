"""What was seen of a rule in each experiment of a report: in a clause, and in some sentences."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from experiments.claims import landscapes, regret_report, why
from experiments.experiment import Finding
from experiments.loops.compared import takes_betas
from experiments.loops.ending import AT_BEST, AT_WORST
from experiments.paper import (
    phase_diagram,
    synthetic_online,
    synthetic_stochastic,
    theorem_1,
)
from experiments.problems.functions import LANDSCAPES
from experiments.record.curves import fitted_power
from experiments.record.wording import listed
from experiments.report import training
from experiments.result import Result

DECADE = 10  # the last steps of a run that the exponent of its regret is read from


def sentences(result: Result, label: str) -> list[str]:
    """What the result says of the rule of that label, and beside it of the others."""
    return SAID[result.experiment.name][1](result, label)


def in_short(result: Result, label: str) -> str:
    """A clause, with the rule as `it`."""
    return SAID[result.experiment.name][0](result, label)


def _online_in_short(result: Result, label: str) -> str:
    ends = synthetic_online.endings(result.traces, result.settings)
    status = ends[label].status
    verb = "ends" if status in (AT_WORST, AT_BEST) else "is"
    alike = [one for one, end in ends.items() if end.status == status and one != label]
    return f"on the 1010 problem it {verb} {status}{_as(alike)}"


def _as(others: list[str]) -> str:
    return f", as {listed(others)} {'do' if len(others) > 1 else 'does'}" if others else ""


def _online(result: Result, label: str) -> list[str]:
    s = result.settings
    ends = synthetic_online.endings(result.traces, s)
    slopes = {one: exponent(trace, s) for one, trace in result.traces.items()}
    said = [
        f"{s.steps:,} steps{_rate(result, label)}{_betas(result, label)}: {ends[label].text}",
        _beside({one: f"{end.status}, x = {end.x:+.3f}" for one, end in ends.items()}, label),
        f"Over the last decade of steps its average regret R_t/t {slopes[label]} (fitted).",
        _beside(slopes, label),
    ]
    return said


def exponent(trace: Mapping[str, np.ndarray], s: Any) -> str:
    """How the average regret goes over the last decade, read at the ends of periods."""
    t, average = trace["t"], trace["average_regret"][:, 0]
    late = (t % s.problem.period == 0) & (t >= t[-1] / DECADE)
    if late.sum() < 2 or not np.all(average[late] > 0):
        return "is not positive throughout"
    slope = fitted_power(t[late], average[late])
    return f"goes like t^{slope:+.2f}"


def _powers(result: Result) -> dict[str, str]:
    """By rule, how its regret grows on each kind of problem."""
    found: dict[str, list[str]] = {}
    for kind, traces in regret_report.by_kind(result.traces).items():
        for label, trace in traces.items():
            power = regret_report.exponent(trace, result.settings)
            how = (
                f"as T^{round(power, 2) + 0.0:.2f}" if np.isfinite(power) else "not, being below 0,"
            )
            found.setdefault(label, []).append(f"{how} on {kind} losses")
    return {label: listed(every) for label, every in found.items()}


def _regret_in_short(result: Result, label: str) -> str:
    return f"its regret grows {_powers(result)[label]}"


def _regret(result: Result, label: str) -> list[str]:
    powers = _powers(result)
    late = f"Over the last hundredfold of {result.settings.steps:,} steps"
    return [f"{late} its regret grows {powers[label]}.", _beside(powers, label)]


def _why_in_short(result: Result, label: str) -> str:
    ways = {one: _way(why.moved(t, result.settings)[-1]) for one, t in result.traces.items()}
    alike = [one for one, way in ways.items() if way == ways[label] and one != label]
    where = f"without the interval, at a constant rate{_betas(result, label)}"
    return f"{where}, x {ways[label]}{_as(alike)}"


def _rate(result: Result, label: str) -> str:
    """The step sizes of a run, where the rule's name leaves them open."""
    s = result.settings
    return "" if "lr" in s.compared[label].fixed else f" of {s.lr:g}/sqrt(t)"


def _betas(result: Result, label: str) -> str:
    """The betas of a run, where the rule takes them."""
    s = result.settings
    return f" and beta = {s.betas}" if takes_betas(s.compared[label]) else ""


def _why(result: Result, label: str) -> list[str]:
    s = result.settings
    moves = {one: why.moved(trace, s) for one, trace in result.traces.items()}
    spike, others, total = moves[label]
    return [
        f"Without the interval, at a constant rate{_betas(result, label)}, the spike's step moves "
        f"x by {spike:+.3g} alpha, the {s.problem.period - 1} others by {others:+.3g}, the period "
        f"by {total:+.3g}: x {_way(total)}.",
        _beside({one: f"{total:+.3g}" for one, (_, _, total) in moves.items()}, label),
    ]


def _way(total: float) -> str:
    if total == 0:
        return "is where it was"
    return "climbs, away from the best point" if total > 0 else "descends, to the best point"


def _phase_in_short(result: Result, label: str) -> str:
    moved = phase_diagram.at_marked(label, result.traces[label], result.settings)
    up = [str(betas) for betas, drift in moved.items() if drift > 0]
    rest = [str(betas) for betas in moved if str(betas) not in up]
    parts = [f"at beta = {listed(up)} it drifts to the worst point"] if up else []
    parts += [f"at beta = {listed(rest)} it does not drift to the worst point"] if rest else []
    return ", and ".join(parts)


def _phase(result: Result, label: str) -> list[str]:
    (found,) = result.findings
    return [found.text]


def _theorem_1_in_short(result: Result, label: str) -> str:
    s = result.settings
    above = int((theorem_1.excess(result.traces[label], s) >= 0).sum())
    return f"its average regret reaches Theorem 1's bound at {above} of {len(s.c)} C"


def _theorem_1(result: Result, label: str) -> list[str]:
    s = result.settings
    above = {one: int((theorem_1.excess(t, s) >= 0).sum()) for one, t in result.traces.items()}
    return [
        f"After {s.steps:,} steps its average regret reaches (2C - 4)/3, which the theorem proves "
        f"for Adam, at {above[label]} of {len(s.c)} C.",
        _beside({one: f"at {n}" for one, n in above.items()}, label),
    ]


def _stochastic_in_short(result: Result, label: str) -> str:
    _, median, _, worst, best = synthetic_stochastic.ends(result.traces)[label]
    return (
        f"with random spikes it is at {median:+.2f} in the median, near the worst point on "
        f"{worst:.0%} of seeds and near the best on {best:.0%}"
    )


def _stochastic(result: Result, label: str) -> list[str]:
    return [_of(result.findings, label), f"{result.verdict}."]


def _arrived(result: Result) -> dict[str, int]:
    """By rule, on how many landscapes it arrives."""
    times = landscapes.arrivals(result.traces, result.settings).values()
    return {
        one: sum(int(np.isfinite(by_rule[one])) for by_rule in times)
        for one in result.settings.names
    }


def _landscapes_in_short(result: Result, label: str) -> str:
    return f"it arrives at a minimum on {_arrived(result)[label]} of {len(LANDSCAPES)} landscapes"


def _landscapes(result: Result, label: str) -> list[str]:
    s, there = result.settings, _arrived(result)
    return [
        f"Within {s.steps:,} steps and with the best of {len(landscapes.RATES)} rates it is near a "
        f"minimum for good on {there[label]} of {len(LANDSCAPES)} landscapes.",
        _beside({one: f"on {n}" for one, n in there.items()}, label),
    ]


def _of(findings: Iterable[Finding], label: str) -> str:
    return next(finding.text for finding in findings if _is(finding, label))


def _is(finding: Finding, label: str) -> bool:
    return finding.text.startswith((f"{label} ", f"{label}:"))


def _beside(values: Mapping[str, str], label: str) -> str:
    others = [f"{one} {value}" for one, value in values.items() if one != label]
    return f"Beside it: {'; '.join(others)}."


# By experiment, the clause and the sentences
SAID: dict[str, tuple[Callable[[Result, str], str], Callable[[Result, str], list[str]]]] = {
    "synthetic-online": (_online_in_short, _online),
    "regret": (_regret_in_short, _regret),
    "why": (_why_in_short, _why),
    "phase-diagram": (_phase_in_short, _phase),
    "theorem-1": (_theorem_1_in_short, _theorem_1),
    "synthetic-stochastic": (_stochastic_in_short, _stochastic),
    "landscapes": (_landscapes_in_short, _landscapes),
    "logistic": (training.in_short, training.sentences),
    "mlp": (training.in_short, training.sentences),
}
