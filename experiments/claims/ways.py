"""Ways to the best point of the problem of Reddi, Kale and Kumar: every rule that remembers for
longer, or divides by what came before, and Adam with a large beta2.

That v must never fall is sufficient, not necessary: Zhang et al. 2022 for a large beta2, Zhou et
al. 2019 and Taniguchi et al. 2024 for a v of earlier steps.
"""

from dataclasses import dataclass, replace

import numpy as np

from experiments.experiment import Experiment, Finding
from experiments.loops.compared import exceptions
from experiments.loops.online import PeriodicSettings, trials_of_rules
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.wording import listed, number
from optim.rules import delayed, long_memory

AT_END, STILL = 0.1, 0.02  # within which x is at an end of [-1, 1], and has not moved


@dataclass(frozen=True, kw_only=True)
class Ways(PeriodicSettings):
    rules: tuple[str, ...] = ("Adam", *sorted(long_memory.__all__), *sorted(delayed.__all__))
    steps: int = 300_000
    large: float = 0.9999  # beta2 of one more Adam


def trials(s):
    wide = replace(s, rules=("Adam",), betas=(s.betas[0], s.large))
    return trials_of_rules(s) | {f"Adam beta2={s.large:g}": trials_of_rules(wide)["Adam"]}


def ends(traces):
    """By label, from the lowest x_T: x over the second half of the steps, and R_T/T."""
    found = {}
    for label, trace in traces.items():
        late = trace["x"][trace["t"] >= trace["t"][-1] / 2, 0]
        found[label] = late, float(trace["average_regret"][-1, 0])
    return dict(sorted(found.items(), key=lambda item: item[1][0][-1]))


def way(late):
    """Where x is, or what it does, in a word or two."""
    x, moved = late[-1], late[-1] - late[0]
    if abs(x) > 1 - AT_END:
        return "at +1" if x > 0 else "at -1"
    return "still" if abs(moved) <= STILL else "climbs" if moved > 0 else "descends"


def verdict(traces, s):
    ways = {label: way(late) for label, (late, _) in ends(traces).items()}
    best, worst = ([k for k, one in ways.items() if one == end] for end in ("at -1", "at +1"))
    going = [label for label, one in ways.items() if one == "descends"]
    return (
        f"{len(best)} of {len(ways)} ways are at the best point after {s.steps:,} steps, "
        f"{len(going)} on their way; at the worst: {listed(worst) if worst else 'none'}"
    )


def draw(traces, s):
    found = ends(traces)
    sheet = Sheet(
        verdict(traces, s),
        s.problem.mathtext,
        rf"$\alpha_t = {s.lr:g}/\sqrt{{t}}$,  $\beta = {s.betas}$ where a rule has no others,  "
        rf"$x_1 = {s.start:g}$,  $T = {number(s.steps)}$;  nothing is random",
        rows=1,
        columns=2,
        size=(5.4, 0.27 * len(found) + 1.0),
    )
    styles = looks(found)
    points = sheet.panel(0, 0, "x over the second half of the steps", "$x$", "")
    points.ranges({k: late for k, (late, _) in found.items()}, styles, at="last")
    regret = sheet.panel(0, 1, "average regret in the end", r"$R_T\,/\,T$", "")
    averages = {label: np.array([average]) for label, (_, average) in found.items()}
    notes = {label: way(late) for label, (late, _) in found.items()}
    regret.ranges(averages, styles, notes)
    regret.axes.tick_params(labelleft=False)
    points.axes.set_xlim(-1.08, 1.08)
    points.axes.axvline(-1, color="black", linewidth=0.6)
    return sheet


def caption(traces, s):
    return (
        f"f_t(x) = {s.problem}, on [-1, 1], under {len(traces)} rules: {s.steps:,} steps of "
        f"alpha_t = {s.lr:g}/sqrt(t) from x_1 = {s.start:g}, beta = {s.betas}; once more Adam with "
        f"beta2 = {s.large:g}.{exceptions(s)} Left: x_T as a "
        "marker, and the range of x over the second half of the steps, at the ends of periods; -1 "
        "is the best point, +1 the worst. Right: R_T/T, the average regret against -1, and where x "
        "is or what it does. From the lowest x_T to the highest. "
        + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = []
    for label, (late, average) in ends(traces).items():
        does = way(late)
        text = f"{label} {'is ' if does[:2] in ('at', 'st') else ''}{does}: x = {late[-1]:+.3f}, "
        numbers = {"x_T": float(late[-1]), "R_T/T": average}
        found.append(Finding(f"{text}R_T/T = {average:.4f}.", numbers))
    return found


EXPERIMENT = Experiment(
    name="ways",
    summary="every rule with a long memory or a delay, and a large beta2, on the same problem",
    settings=Ways(),
    quick={"steps": 5_000},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
