"""What runs a rule, and knows none."""

from optim.engine.optimizer import Optimizer, inplace
from optim.engine.registry import RULES, make
from optim.engine.settings import Betas, Schedule

__all__ = ["RULES", "Betas", "Optimizer", "Schedule", "inplace", "make"]
