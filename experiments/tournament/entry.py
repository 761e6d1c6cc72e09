"""What a problem is to the tournament."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from minigrad import Tensor


@dataclass(frozen=True)
class Entry:
    """A problem for many runs at once: parameters are (rates, seeds, ...), and what is computed of
    them (rates, seeds).

    `start` gives the parameters of a seed, `draw` what a step is of, arrays (seeds, ...), and
    `losses` those of that step, none of which is below `least`. `measure` gives what is tuned by
    and reported, which are one where nothing is held out. `converges` says that 0 is the least
    value of what is reported and can be come near to. Where there are no `lanes`, there is one rate
    and one seed at a time.
    """

    start: Callable[[int], list[np.ndarray]]
    draw: Callable[[int], Sequence[Any]]
    losses: Callable[[list[Tensor], Sequence[Any]], Tensor]
    measure: Callable[[list[Tensor]], Mapping[str, np.ndarray]]
    least: float
    converges: bool
    lanes: bool = True

    def of_seed(self, k: int) -> Self:
        """The same for one seed alone, with its draws."""
        return replace(self, draw=lambda t: one_seed(self.draw(t), k))


def one_seed(drawn: Sequence[Any], k: int) -> list[Any]:
    """Of what a step is of, (seeds, ...), the part (1, ...) of the seed in that place."""
    return [one[k : k + 1] for one in drawn]


def normal(seed: int, n: int) -> np.ndarray:
    """The numbers (n,) that a seed starts from."""
    return np.random.default_rng([seed, 1]).standard_normal(n)
