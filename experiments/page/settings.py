"""What the lab may set: hyperparameters, fields of schedules, and the problem's numbers."""

from math import inf
from typing import Any

from experiments.claims import why
from experiments.paper import synthetic_online, synthetic_stochastic
from experiments.problems.linear import REDDI
from optim import Optimizer, PaperAdam
from optim.engine.expression import numbers_of
from optim.engine.formula import symbol
from optim.engine.kinds import MEANINGS, Kind, kinds
from optim.engine.settings import leaves

Described = dict[str, Any]  # as JSON


def places(rule: type[Optimizer]) -> list[Described]:
    """The hyperparameters, each part of a tuple for itself."""
    found = []
    for name, default in rule.hyperparameters().items():
        kind = kinds(rule)[name]
        parts = kind if isinstance(kind, tuple) else (kind,)
        for (place, value), one in zip(leaves(name, default), parts, strict=True):
            if callable(value):
                value = {"schedule": type(value).__name__, **numbers_of(value)}
            known = described(one, name, value, symbol(place))
            found.append({"place": place, "shared": _shared(rule, place, value), **known})
    return found


def _shared(rule: type[Optimizer], place: str, value: Any) -> str | None:
    """The setting of the lab that a hyperparameter follows: alpha, or a beta of Adam's kind."""
    beta = {"betas[0]": "beta1", "betas[1]": "beta2"}.get(place)
    if place == "lr":
        return "lr"
    like = rule.__module__ != "optim.rules.descent" and isinstance(value, float) and value >= 0.9
    return beta if like else None


def described(kind: Kind, name: str, value: Any, text: str) -> Described:
    """A setting that is a number: its declared range, and what it is at first."""
    return {
        "text": text,
        "value": value,
        "low": None if kind.low == -inf else kind.low,
        "high": None if kind.high == inf else kind.high,
        "has_low": kind.has_low,
        "has_high": kind.has_high,
        "whole": kind.whole,
        "meaning": kind.meaning or MEANINGS.get(name, ""),
    }


def of_the_lab() -> dict[str, Described]:
    """The numbers of the lab that belong to no rule and to no schedule, as the experiments have
    them."""
    online: Any
    drawn: Any
    microscope: Any = why.EXPERIMENT.settings
    online, drawn = synthetic_online.EXPERIMENT.settings, synthetic_stochastic.EXPERIMENT.settings
    adam: Any = kinds(PaperAdam)
    (beta1, beta2), rate, whole = adam["betas"], adam["lr"], Kind(low=1, whole=True)
    positive, interval = Kind(low=0, has_low=False), Kind(low=-1, high=1, has_high=True)
    chance = Kind(low=0, high=1, has_low=False)

    def one(kind: Kind, value: Any, text: str, meaning: str, **slider: Any) -> Described:
        return {**described(kind, "", value, text), "meaning": meaning, "slider": slider}

    return {
        "lr": one(rate, online.lr, "α", "step size", low=1e-4, high=1e2, scale="log"),
        "beta1": one(beta1, microscope.betas[0], "β₁", "how much of m stays each step"),
        "beta2": one(beta2, microscope.betas[1], "β₂", "how much of v stays each step"),
        "large": one(
            positive, REDDI.large, "large one, C", "the gradient of the spike", low=1, high=1e5
        ),
        "small": one(
            positive,
            REDDI.small,
            "small ones, −",
            "the gradient at all other steps",
            low=0.1,
            high=1e3,
        ),
        "spike": one(whole, REDDI.spike, "spike at", "step of the period", low=1, high=1e3),
        "period": one(Kind(low=2, whole=True), REDDI.period, "period", "in steps", low=2, high=1e3),
        "probability": one(
            chance,
            drawn.problem.probability,
            "chance",
            "of a spike",
            scale="log",
            low=1e-4,
            high=0.5,
        ),
        "seed": one(Kind(low=0, whole=True), drawn.seed, "seed", "of what is drawn", high=1e3),
        "x1": one(interval, online.start, "x₁", "where it starts"),
        "steps": one(whole, 1_000_000, "steps", "to play", low=100, high=1e7),
        "from_x": one(Kind(), None, "x₁", "where to start", low=-5, high=5),
        "from_y": one(Kind(), None, "y₁", "where to start", low=-5, high=5),
        "path_steps": one(whole, 2_000, "steps", "to take", low=10, high=1e5),
        "rate": one(rate, None, "α", "step size", low=1e-5, high=10, scale="log"),
    }
