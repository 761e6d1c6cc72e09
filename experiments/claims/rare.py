"""Rare classes: descent learns each at the pace of its frequency, sign descent and Adam all alike.

Kunstner et al., arXiv:2402.19449, on a hundred classes of frequencies 1/k; and the same on digits
of which one is rare, under rules at their best rates.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

import optim
from experiments.claims.rare_report import RATES, caption, draw, findings, verdict
from experiments.experiment import Experiment
from experiments.loops.compared import Compared
from experiments.loops.online import recorded_times, spaced
from experiments.loops.watched import Watched
from experiments.problems.full_batch import heavy_tail
from experiments.problems.thinned import Thinned
from minigrad import to_host, xp


@dataclass(frozen=True, kw_only=True)
class Rare(Compared):
    classes: int = 100
    tail_steps: int = 2000
    early: int = 100  # the step at which all classes are looked at
    lr: float = 5.0  # of descent
    sign_lr: float = 0.01  # of sign descent and Adam
    rules: tuple[str, ...] = ("SGD", "Adam", "AMSGrad")  # on digits
    digit: int = 8
    share: float = 0.01  # of that digit among the images
    batch: int = 32
    steps: int = 2000
    seeds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_varies("lr")
        self.check("(0, inf)", "lr", "sign_lr")
        self.check("[3, inf)", "classes")
        self.check(f"[2, {self.tail_steps}]", "early", why="a step of the long tail's, from 2")
        self.check("[1, 9]", "digit")
        self.check("[0.001, 0.09]", "share", why="an image at least")

    @property
    def rarity(self) -> str:
        """The share in words."""
        return f"{100 * self.share:g} %"

    @property
    def limit(self) -> float:
        """What loss times frequency, alpha and t tends to under descent: the gap between the logits
        of a class grows by K / (K - 1) times the slope of its own."""
        return 1 - 1 / self.classes

    @property
    def shown(self) -> list[int]:
        """The classes whose losses are drawn over steps: the first, the last, and one between."""
        return sorted({1, round(self.classes**0.5), self.classes})


def tail(s, rule, **hyperparameters):
    """A rule on the hundred classes, and the loss of each."""
    ((logits,), loss), _ = heavy_tail(s.classes)

    def watch(opt):
        z = to_host(logits.data)
        return {"losses": np.log(np.exp(z - z.diagonal()[:, None]).sum(axis=1))}

    times = np.union1d(recorded_times(s.tail_steps), [s.early])
    return Watched([logits], loss, rule, times=times, watch=watch, **hyperparameters)


def digits(s, rule):
    """A rule on the digits, at every rate with every seed."""
    thinned = Thinned(s.digit, s.share, s.seeds, s.seed)
    params, loss, watch = thinned.regressions(len(RATES), s.batch)
    of = [np.broadcast_to(RATES[:, None, None, None], p.shape).ravel() for p in params]
    times = spaced(s.steps, 60)
    lr = xp.asarray(np.concatenate(of))
    return Watched(params, loss, rule, times=times, watch=watch, lr=lr, separate=True)


def trials(s):
    makers = {
        "descent": partial(tail, s, optim.SGD, lr=s.lr),
        "sign descent": partial(tail, s, optim.SignSGD, lr=s.sign_lr),
        "Adam": partial(tail, s, optim.Adam, lr=s.sign_lr),
    }
    rules = s.compared.items()
    return makers | {f"digits {label}": partial(digits, s, rule) for label, rule in rules}


EXPERIMENT = Experiment(
    name="rare",
    summary="rare classes: descent learns them at the pace of their frequency, Adam with the rest",
    settings=Rare(),
    quick={"tail_steps": 300, "steps": 200, "seeds": 2},
    trials=trials,
    draw=draw,
    verdict=verdict,
    caption=caption,
    findings=findings,
)
