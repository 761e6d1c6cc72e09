"""Wrappers around any rule: clipping, accumulation, decay, averages, frozen parts, groups, ascent,
SAM, steps left out, and several processes."""

from optim.wrappers.accumulate import Accumulate
from optim.wrappers.all_reduce import AllReduce
from optim.wrappers.averaging import ExponentialAverage, Lookahead, PolyakAverage
from optim.wrappers.base import Wrapper
from optim.wrappers.clip import ClipNorm, ClipValue
from optim.wrappers.decay import DecoupledDecay, L2Decay
from optim.wrappers.frozen import Frozen
from optim.wrappers.groups import Groups
from optim.wrappers.maximize import Maximize
from optim.wrappers.sam import SAM
from optim.wrappers.skip import SkipNonFinite

__all__ = [
    "SAM",
    "Accumulate",
    "AllReduce",
    "ClipNorm",
    "ClipValue",
    "DecoupledDecay",
    "ExponentialAverage",
    "Frozen",
    "Groups",
    "L2Decay",
    "Lookahead",
    "Maximize",
    "PolyakAverage",
    "SkipNonFinite",
    "Wrapper",
]
