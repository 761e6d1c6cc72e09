"""ADOPT on the problem of Reddi, Kale and Kumar: it converges with any beta2, as is claimed of it,
but climbs until its clip, t^(1/4), has outgrown what the other slopes of a period pull against the
spike.

Taniguchi et al., arXiv:2411.02853; their first version had no clip. For problems on which it ends
at the worst point see docs/hunt.md.
"""

from dataclasses import dataclass, replace

import numpy as np

import optim
from experiments.experiment import Experiment, Finding
from experiments.loops.online import LONGER, OnlineTrial, check_start, long_run
from experiments.problems.drift import adopt_pulls
from experiments.problems.linear import Periodic
from experiments.record.curves import looks
from experiments.record.figure import Sheet
from experiments.record.settings import Settings
from experiments.record.wording import counted, listed, number
from minigrad.backend import current
from optim.schedules import InverseSqrt

LABEL = "ADOPT by beta2"  # of the trial
NEAR = 0.1  # of -1, where x is said to have come down


@dataclass(frozen=True, kw_only=True)
class Adopt(Settings):
    beta2s: tuple[float, ...] = (0.5, 0.9, 0.99, 0.999)
    beta1: float = 0.9
    c: int = 101  # the period too
    steps: int | None = None  # None: as many as suit the backend
    lr: float = 0.5  # alpha_t is lr / sqrt(t)
    start: float = 0.0  # x_1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("[0, 1)", "beta1", "beta2s")
        self.check("[3, 1000]", "c")
        self.check("(0, inf)", "lr")
        check_start(self.start)

    @property
    def problem(self) -> Periodic:
        """What is played."""
        return Periodic(large=10.0 * self.c, small=10.0, period=self.c)


def prepare(s):
    compiled = 10 * LONGER  # in which most of the default beta2s turn
    return replace(s, steps=s.steps or (compiled if current().compiles else long_run()))


def trials(s):
    def trial():
        return OnlineTrial(
            s.problem,
            optim.ADOPT,
            steps=s.steps,
            x1=s.start,
            copies=len(s.beta2s),
            lr=InverseSqrt(s.lr),
            betas=(s.beta1, np.array(s.beta2s)),
        )

    return {LABEL: trial}


def drift(s, beta2, t):
    """What a period moves x by at a clip that is held at that of step t, in units of alpha."""
    spike, others = adopt_pulls(s.problem, beta2)
    return others - np.minimum(spike, (np.asarray(t) - 1.0) ** 0.25)


def turn(s, beta2):
    """The step from which on a period moves x down."""
    _, others = adopt_pulls(s.problem, beta2)
    return 1 + float(others) ** 4


def runs(traces, s):
    """By beta2: x_t, the last recorded step at which x is highest, and whether x has come down."""
    t, x = traces[LABEL]["t"], traces[LABEL]["x"]
    return {
        beta2: (one, int(t[len(one) - 1 - one[::-1].argmax()]), one[-1] < NEAR - 1)
        for beta2, one in zip(s.beta2s, x.T, strict=True)
    }


def written(t):
    """A step in plain text, to three digits if it has more than four."""
    if t < 10_000:
        return f"{t:.0f}"
    digits, exponent = f"{t:.2e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


def verdict(traces, s):
    turns = listed(written(turn(s, beta2)) for beta2 in s.beta2s)
    down = sum(arrived for *_, arrived in runs(traces, s).values())
    betas = listed(f"{beta2:g}" for beta2 in s.beta2s)
    return (
        f"ADOPT drifts to the worst point until step {turns} at beta2 = {betas}, then to the best; "
        f"after {written(s.steps)} step{'s' * (s.steps > 1)} {down} of {len(s.beta2s)} are there"
    )


def draw(traces, s):
    sheet = Sheet(
        verdict(traces, s),
        s.problem.mathtext + r";   the clip is $t^{1/4}$",
        rf"$\alpha_t = {s.lr:g}/\sqrt{{t}}$,  $\beta_1 = {s.beta1:g}$,  $x_1 = {s.start:g}$,  "
        rf"$T = {number(s.steps)}$;  nothing is random",
        rows=1,
        columns=2,
    )
    played = sheet.panel(0, 0, "the point played, and when the drift turns (star)", "$t$", "$x_t$")
    moved = sheet.panel(0, 1, "the drift of a period, t held", "$t$", r"moves of $x$, in $\alpha$")
    t, found = traces[LABEL]["t"], runs(traces, s)
    last = 3 * max(s.steps, *(turn(s, beta2) for beta2 in s.beta2s))
    steps = np.geomspace(1, last, 400)
    styles = looks(f"{beta2:g}" for beta2 in s.beta2s)
    for beta2, (x, _, _) in found.items():
        label, style = f"beta2 = {beta2:g}", styles[f"{beta2:g}"]
        end = rf"$\beta_2 = {beta2:g}$"
        played.line(label, t, x, end=end, **style)
        star = {"color": style["color"], "marker": "*", "markersize": 9}
        at = turn(s, beta2)
        close = sum(at / 3 < turn(s, other) < at for other in s.beta2s)
        played.points(f"turn at {label}", [at], [np.interp(at, t, x)], **star)
        moved.line(label, steps, drift(s, beta2, steps), end=end, **style)
        moved.points(f"turn at {label}", [at], [0.0], **star)
        offset = 7 if close else -7, 4 + 10 * max(close - 1, 0)
        moved.tag(written(at), at, 0, offset, ha="left" if close else "right")
    for panel in sheet.panels:
        panel.axes.set(xscale="log", xlim=(1, last))
    played.axes.set_ylim(-1.08, 1.08)
    moved.axes.set_yscale("symlog", linthresh=1)
    moved.axes.axhline(0, color="black", linewidth=0.6)
    moved.note("above 0: to the worst point;\nbelow: to the best", 0.03, 0.12)
    return sheet


def caption(traces, s):
    return (
        f"ADOPT on f_t(x) = {s.problem}, on [-1, 1]: {counted(s.steps, 'step')} of alpha_t = "
        f"{s.lr:g}/sqrt(t) from x_1 = {s.start:g}, beta1 = {s.beta1:g}, at "
        f"{counted(len(s.beta2s), 'value')} of beta2. It divides each slope by the root of v "
        "before it, and clips that to t^(1/4). Left: x_t at the ends of periods; a star where the "
        "drift turns, which may be after the end of the run. Right: by how much a period moves x, "
        "in units of alpha, once v is periodic and with the clip held at that of step t. While it "
        "is above 0 x climbs to +1, the worst point; it falls below 0 once t^(1/4) exceeds the sum "
        "of the other slopes over sqrt(v), "
        "and x goes to -1, the best. " + " ".join(finding.text for finding in findings(traces, s))
    )


def findings(traces, s):
    found = []
    for beta2, (x, highest, arrived) in runs(traces, s).items():
        spike, others = map(float, adopt_pulls(s.problem, beta2))
        text = (
            f"beta2 = {beta2:g}: all but the spike of a period pull x up by {others:.2f} alpha, "
            f"more than the clip until step {turn(s, beta2):,.0f}; unclipped, the spike would pull "
            f"it down by {spike:.2f}. In the run x is last at its highest, {x.max():+.3f}, at step "
            f"{highest:,}, and ends at {x[-1]:+.3f}"
        )
        end = "the best point" if arrived else "on its way or yet to turn"
        numbers = {"turn": turn(s, beta2), "highest": highest, "x_T": float(x[-1])}
        found.append(Finding(f"{text}, {end}.", numbers))
    return found


EXPERIMENT = Experiment(
    name="adopt",
    summary="ADOPT on the paper's problem: how long it climbs before it converges, by beta2",
    settings=Adopt(),
    quick={"steps": 50_000},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
    prepare=prepare,
)
