"""A sum of n functions that Adam can leave for infinity. Zhang et al., arXiv:2208.09632."""

from dataclasses import dataclass
from typing import Any

from experiments.problems.linear import Periodic
from minigrad import xp

BEST = -2.0  # where the sum is least


@dataclass(frozen=True)
class FiniteSum:
    """f_0 + ... + f_{n-1}, each s_i x from -1 on and s_i ((x + 2)^2 - 3)/2 below, by its slope s_i:
    1 + (n-1) a for f_0 and -a for the others, a = 1/(n-1)^2, so that the slopes sum to 1."""

    n: int

    @property
    def linear(self) -> Periodic:
        """The slopes in the order of the sum, which are the gradients from -1 on."""
        a = 1 / (self.n - 1) ** 2
        return Periodic(large=1 + (self.n - 1) * a, small=a, period=self.n)

    @staticmethod
    def gradient(slope: Any, x: Any) -> Any:
        """Of the function of that slope."""
        return slope * xp.minimum(x - BEST, 1.0)
