"""The critical beta2: below it Adam goes to the worst point of Theorem 2's problem, or on a finite
sum without projection to infinity; above it, it converges. It grows with the problem.

Shi et al., "RMSprop converges with proper hyper-parameter", ICLR 2021, whose Figure 1 is the map of
C and beta2; Zhang et al., arXiv:2208.09632, for the finite sum and the phase transition.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

import optim
from experiments.claims import threshold_report as report
from experiments.experiment import Experiment
from experiments.loops.finite_sum import FiniteSumDescent
from experiments.loops.online import OnlineTrial, check_start
from experiments.problems.finite_sum import FiniteSum
from experiments.problems.linear import theorem_2
from experiments.record.settings import Settings
from optim.schedules import InverseSqrt

RULES = optim.Adam, optim.PaperAdam  # with bias correction, and without
LATE = 50  # ends of periods in the last quarter of a run, over which x is averaged


@dataclass(frozen=True, kw_only=True)
class Threshold(Settings):
    cs: tuple[int, ...] = (4, 8, 10, 16, 32, 101)
    steps: int = 300_000  # on Theorem 2's problem
    lr: float = 1.0  # alpha_t is lr / sqrt(t)
    start: float = 0.0  # x_1
    beta1: float = 0.9  # beside 0
    sizes: tuple[int, ...] = (10, 20, 50, 100)  # n of the finite sum
    sum_steps: int = 50_000
    sum_lr: float = 0.1
    sum_start: float = 1.0
    shuffles: int = 20  # orders of the finite sum that are drawn
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("[3, 1000]", "cs", "sizes")
        self.check("(0, inf)", "lr", "sum_lr")
        self.check("(0, 1)", "beta1", why="since 0 is compared with it")
        check_start(self.start)
        self.check("(-1, inf)", "sum_start", why="where it is linear")
        self.check(f"[{4 * max(self.cs)}, inf)", "steps")
        self.check(f"[{2 * max(self.sizes)}, inf)", "sum_steps")


def late_times(steps, period):
    """Ends of periods in the last quarter of the steps."""
    periods = steps // period
    late = np.linspace(np.ceil(0.75 * periods), periods, LATE)
    return period * np.unique(late.round()).astype(int)


def trials(s):
    makers, betas = {}, report.grid(s, report.BETA2S)
    for c in s.cs:
        makers[f"C = {c}"] = partial(
            OnlineTrial,
            theorem_2(c),
            optim.PaperAdam,
            steps=s.steps,
            x1=s.start,
            copies=len(betas[0]),
            times=late_times(s.steps, c),
            lr=InverseSqrt(s.lr),
            betas=betas,
        )
    for rule in RULES:
        for n in s.sizes:
            makers[f"{rule.__name__}, n = {n}"] = partial(
                FiniteSumDescent,
                FiniteSum(n),
                rule,
                passes=s.sum_steps // n,
                x1=s.sum_start,
                betas=report.grid(s, report.SUM_BETA2S),
                shuffles=s.shuffles,
                seed=s.seed,
                lr=InverseSqrt(s.sum_lr),
                eps=0.0,
            )
    return makers


EXPERIMENT = Experiment(
    name="threshold",
    summary="the critical beta2, and how it grows with the problem: C, and the size of a sum",
    settings=Threshold(),
    quick={"steps": 20_000, "sum_steps": 2_000, "shuffles": 3},
    trials=trials,
    draw=report.draw,
    verdict=report.verdict,
    caption=report.caption,
    findings=report.findings,
)
