"""Wrappers around any rule: clipping, accumulation, decay, averages, frozen parts, groups, SAM,
and steps left out."""

from optim.wrappers.accumulate import Accumulate
from optim.wrappers.averaging import ExponentialAverage, Lookahead, PolyakAverage
from optim.wrappers.base import Wrapper
from optim.wrappers.clip import ClipNorm, ClipValue
from optim.wrappers.decay import DecoupledDecay
from optim.wrappers.frozen import Frozen
from optim.wrappers.groups import Groups
from optim.wrappers.sam import SAM
from optim.wrappers.skip import SkipNonFinite

__all__ = [
    "SAM",
    "Accumulate",
    "ClipNorm",
    "ClipValue",
    "DecoupledDecay",
    "ExponentialAverage",
    "Frozen",
    "Groups",
    "Lookahead",
    "PolyakAverage",
    "SkipNonFinite",
    "Wrapper",
]
