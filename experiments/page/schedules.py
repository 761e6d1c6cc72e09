"""The schedules of the lab, as JavaScript and as what describes them."""

import re
from collections.abc import Iterator
from inspect import getdoc
from typing import Any

from experiments.page.settings import Described, described
from optim import schedules
from optim.engine import javascript
from optim.engine.expression import of_schedule
from optim.engine.formula import symbol
from optim.engine.functions import ROUNDED_ANYHOW
from optim.engine.kinds import Steps, kinds
from optim.engine.settings import leaves
from optim.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Cyclic,
    Exponential,
    Inverse,
    InverseSqrt,
    Linear,
    MemoryWarmUp,
    MultiStep,
    OneCycle,
    OneMinusInverse,
    Polynomial,
    Power,
    Product,
    Sequence,
    Step,
    WarmUp,
    WarmUpStableDecay,
)

ALPHA = 0.0417  # a number that nothing else is, in place of the step size
FIXED = {"growth"}  # how often CosineRestarts goes around its loop depends on it
OFFERED = (  # with the numbers that its sliders begin at
    Constant(ALPHA),
    InverseSqrt(ALPHA),
    Inverse(ALPHA),
    Power(ALPHA, -0.5),
    Exponential(ALPHA, 0.9999),
    Linear(ALPHA, 0.0, 100_000),
    Polynomial(ALPHA, 0.0, 100_000, 2.0),
    Cosine(ALPHA, 0.0, 100_000),
    CosineRestarts(ALPHA, 0.0, 10_000),
    Cyclic(0.0, ALPHA, 10_000, 10_000),
    OneCycle(0.0, ALPHA, 0.0, 10_000, 90_000),
    Step(ALPHA, 0.5, 10_000),
    MultiStep(ALPHA, 0.1, (10_000, 100_000)),
    WarmUp(1_000, InverseSqrt(ALPHA)),
    WarmUp(1_000, Cosine(ALPHA, 0.0, 100_000)),
    WarmUpStableDecay(ALPHA, 1_000, 50_000, 49_000),
    Sequence((Constant(ALPHA), InverseSqrt(ALPHA)), (10_000,)),
    Sequence((Linear(0.0, ALPHA, 1_000), Cosine(ALPHA, 0.0, 100_000)), (1_000,)),
    Product(InverseSqrt(ALPHA), Cyclic(0.5, 1.0, 10_000, 10_000)),
    OneMinusInverse(),  # of a beta, as the next
    MemoryWarmUp(0.9, 0.9999, 100_000),
)
LACKING = {*schedules.__all__} - {type(schedule).__name__ for schedule in OFFERED}


def name(schedule: Any) -> str:
    """Its class, and those of the schedules that it is made of: WarmUp(Cosine)."""
    parts = [x for field, value in vars(schedule).items() for _, x in leaves(field, value)]
    inner = [name(x) for x in parts if callable(x)]
    return type(schedule).__name__ + (f"({', '.join(inner)})" if inner else "")


def text(schedule: Any) -> str:
    """The function that takes its numbers by place, and gives the function of t."""
    expression = of_schedule(schedule, FIXED)
    return javascript.function(expression, [one for one in expression.arguments if one != "t"])


def description(schedule: Any) -> Described:
    """What it does, its numbers, and which of them are alpha."""
    return {
        "does": (getdoc(schedule) or "").splitlines()[0].replace("`", ""),
        "fields": [
            {"field": place, "key": _key(schedule, place), "alpha": value == ALPHA}
            for place, _, value in _numbers(schedule)
        ],
        "rounded": sorted(of_schedule(schedule, FIXED).functions & ROUNDED_ANYHOW),
    }


def settings(schedule: Any) -> dict[str, Described]:
    """What its numbers may be, beside alpha, by their names in the address."""
    return {
        _key(schedule, place): described(kind, place, value, symbol(place))
        for place, kind, value in _numbers(schedule)
        if value != ALPHA
    }


def _key(schedule: Any, place: str) -> str:
    return re.sub(r"\W+_?", "_", f"{name(schedule)}_{place}").rstrip("_")


def _numbers(schedule: Any, within: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Place, kind and value of each number that may be set."""
    for field, kind in kinds(type(schedule)).items():
        for place, value in leaves(field, getattr(schedule, field)):
            if callable(value):
                yield from _numbers(value, f"{within}{place}.")
            elif field not in FIXED:
                yield within + place, Steps if field == "milestones" else kind, value
