"""Feasible sets."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.arena import Parameters
from minigrad.backend import Array, to_host, xp


class Projection:
    """A closed convex set of all coordinates that an optimizer owns."""

    def nearest(self, x: Array, metric: Array | None = None) -> Array:
        """The point of the set nearest to x (n,), where distances are weighted by `metric` (n,)."""
        raise NotImplementedError(f"{type(self).__name__} has no nearest(x, metric); define it.")

    def apply(self, params: Parameters, metric: Array | None) -> None:
        """Move the parameters to the nearest point of the set."""
        x = xp.concatenate([run.data for run in params.runs])
        x = self.nearest(x, metric)
        start = 0
        for run in params.runs:
            stop = start + run.stop - run.start
            run.data[...] = x[start:stop]
            start = stop


@dataclass(frozen=True)
class Box(Projection):
    """lo <= x <= hi in each coordinate; for a box, the projection in any diagonal metric is a clip.

    Each end is a number or an array with one value per coordinate. Raises ValueError where the
    box is empty.
    """

    lo: Any
    hi: Any

    def __post_init__(self) -> None:
        if not np.all(to_host(self.lo) <= to_host(self.hi)):
            raise ValueError(f"Box({self.lo}, {self.hi}) is empty; lo must not exceed hi.")

    def scalars(self) -> dict[str, Any]:
        """The ends, as the kernel takes them."""
        return {"box_lo": self.lo, "box_hi": self.hi}

    @staticmethod
    def kernel(p: Any, *, box_lo: Any, box_hi: Any) -> None:
        """Project p in place."""
        xp.maximum(p, box_lo, out=p)
        xp.minimum(p, box_hi, out=p)
