"""Schedules: functions of the step t = 1, 2, ... that any hyperparameter may be.

Any callable of t is a schedule; these print what they are, so that a manifest can say it. A
schedule over n steps starts at t = 1, is at its end after n steps, at t = n + 1, and stays there.
Values may be arrays, one value per coordinate.
"""

from optim.schedules.composed import Product, Sequence
from optim.schedules.functions import (
    Constant,
    Cosine,
    CosineRestarts,
    Cyclic,
    Exponential,
    Inverse,
    InverseSqrt,
    Linear,
    MultiStep,
    OneCycle,
    OneMinusInverse,
    Polynomial,
    Power,
    Step,
)
from optim.schedules.plateau import ReduceOnPlateau
from optim.schedules.warm_up import MemoryWarmUp, WarmUp, WarmUpStableDecay

__all__ = [
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Cyclic",
    "Exponential",
    "Inverse",
    "InverseSqrt",
    "Linear",
    "MemoryWarmUp",
    "MultiStep",
    "OneCycle",
    "OneMinusInverse",
    "Polynomial",
    "Power",
    "Product",
    "ReduceOnPlateau",
    "Sequence",
    "Step",
    "WarmUp",
    "WarmUpStableDecay",
]
