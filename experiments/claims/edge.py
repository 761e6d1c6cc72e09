"""Adam near a minimum, and on its way there: the rate of the heavy ball, and the edge of stability.

Rates: Dereich, Jentzen and Riekert, arXiv:2504.19426. The edge: Cohen et al., arXiv:2207.14484.
"""

from dataclasses import dataclass
from functools import partial
from math import sqrt

import numpy as np

import optim
from experiments.claims.edge_report import (
    BETA2,
    FACTORS,
    FROZEN_STEPS,
    LEAST,
    NEAR_STEPS,
    START,
    caption,
    draw,
    edge,
    findings,
    verdict,
)
from experiments.experiment import Experiment
from experiments.loops.monomial import MonomialDescent
from experiments.loops.sharpness import preconditioned_sharpness
from experiments.loops.watched import Watched
from experiments.problems.full_batch import digits_network, quadratic
from experiments.record.settings import Settings
from minigrad import to_host

LEAST_EPS = 1e-12  # less would hide the curvature along what has a gradient


@dataclass(frozen=True, kw_only=True)
class Edge(Settings):
    condition: float = 100.0  # of the quadratic, the smaller of whose two eigenvalues is 1
    beta1s: tuple[float, ...] = (0.0, 0.5, 0.9, 0.95)  # with a preconditioner that is frozen
    lrs: tuple[float, ...] = (0.003, 0.001)  # of the training
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-7
    images: int = 500
    hidden: int = 32
    steps: int = 4000
    every: int = 50  # steps between two looks at the sharpness
    seed: int = 0  # of the initial weights

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("[10, 1e8]", "condition", why="since x is soon 0 below")
        self.check(f"[{LEAST_EPS:g}, inf)", "eps", why="for pixels that are 0")
        self.check("(0, inf)", "lrs")
        if self.steps < 2 * self.every:
            raise ValueError(f"steps={self.steps}: give at least 2 of every={self.every}.")
        self.check("[0, 0.999]", "beta1s")

    @property
    def limits(self) -> tuple[float, float]:
        """What heavy ball and descent at their fastest leave of a distance a step. Polyak 1964."""
        root = sqrt(self.condition)
        return (root - 1) / (root + 1), (self.condition - 1) / (self.condition + 1)


def near(s, rule, **hyperparameters):
    """A rule on the quadratic."""
    (x,), loss = quadratic([1.0, s.condition], START)
    times = np.arange(1, NEAR_STEPS + 2)
    seen = {"times": times, "watch": lambda opt: {"x": to_host(x.data)}}
    return Watched([x], loss, rule, **seen, **hyperparameters)


def training(s, lr):
    """Adam on the network."""
    params, loss = digits_network(s.images, s.hidden, s.seed)

    def watch(opt):
        return {"loss": loss(opt.t).item(), "sharpness": preconditioned_sharpness(loss, opt)}

    first = max(s.every, 2)  # before the first step there is no preconditioner
    seen = {"times": np.arange(first, s.steps + 1, s.every), "watch": watch}
    return Watched(params, loss, optim.Adam, **seen, lr=lr, betas=s.betas, eps=s.eps)


def trials(s):
    beta1, descent = s.limits[0] ** 2, 2 / (1 + s.condition)
    lr = 4 / (sqrt(s.condition) + 1) ** 2
    adam = {"lr": lr / (1 - beta1), "betas": (beta1, BETA2), "eps": 1.0}
    makers = {
        "Adam": partial(near, s, optim.PaperAdam, **adam),
        "heavy ball": partial(near, s, optim.Momentum, lr=lr, momentum=beta1),
        "RMSProp": partial(near, s, optim.RMSProp, lr=descent, alpha=BETA2, eps=1.0),
        "gradient descent": partial(near, s, optim.SGD, lr=descent),
    }
    for beta1 in s.beta1s:
        frozen = {"lr": 1.0, "betas": (beta1, BETA2), "eps": 1.0, "x1": LEAST}
        for factor in FACTORS:
            c = factor * edge(beta1)
            makers[f"beta1 = {beta1:g}, {factor:g}"] = partial(
                MonomialDescent, optim.PaperAdam, power=2, c=c, steps=FROZEN_STEPS - 1, **frozen
            )
    return makers | {f"alpha = {lr:g}": partial(training, s, lr) for lr in s.lrs}


EXPERIMENT = Experiment(
    name="edge",
    summary="Adam near a minimum has the heavy ball's rate, and trains at the edge of stability",
    settings=Edge(),
    quick={"steps": 400, "every": 100},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
