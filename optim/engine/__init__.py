"""What runs a rule, and knows none."""

from optim.engine.eager import eager
from optim.engine.kinds import Beta, Count, Eps, Fixed, Fraction, Positive, Rate
from optim.engine.optimizer import Optimizer, inplace
from optim.engine.registry import RULES, make

__all__ = [
    "RULES",
    "Beta",
    "Count",
    "Eps",
    "Fixed",
    "Fraction",
    "Optimizer",
    "Positive",
    "Rate",
    "eager",
    "inplace",
    "make",
]
