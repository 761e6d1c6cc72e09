"""Feasible sets, and the point of each that is nearest in the metric of a rule's diagonal.

The nearest point y to x minimizes the sum of metric * (y - x)**2 over the set. The scale of the
metric does not matter.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import inf, isfinite
from numbers import Real
from typing import Any

import numpy as np

from minigrad.arena import Parameters
from minigrad.backend import Array, to_host, xp
from optim.engine.settings import fixed_copy

__all__ = ["Box", "L1Ball", "L2Ball", "NonNegative", "Projection", "Simplex"]

# of the largest finite weight; weights beyond count as these: one of 0 is free, one of inf fixed
LIGHT, HEAVY = 1e-160, 1e60
ROUNDING = 16  # by how many eps of its radius a point may miss a set that it is in


class Projection:
    """A closed convex set in the space of all coordinates that an optimizer owns."""

    euclidean: bool = False  # whether to project in the plain metric, whatever the rule's
    kernel: Any = None  # a function of p and `numbers` that projects in the pass that moves p

    def numbers(self) -> dict[str, Any]:
        """What the kernel takes beside p."""
        return {}

    def nearest(self, x: Array, metric: Array | None = None) -> Array:
        """The point of the set nearest to x (n,), where distances are weighted by `metric` (n,)."""
        raise NotImplementedError(f"{type(self).__name__} has no nearest(x, metric); define it.")

    def apply(self, params: Parameters, metric: Array | None) -> None:
        """Move the parameters to the nearest point of the set."""
        params.scatter(self.nearest(params.gathered(), metric))


@dataclass(frozen=True)
class Box(Projection):
    """lo <= x <= hi in each coordinate; for a box, the projection in any diagonal metric is a clip.

    Each end is a number or an array with one value per coordinate. Raises ValueError where the
    box is empty.
    """

    lo: Any
    hi: Any

    def __post_init__(self) -> None:
        for end in (self.lo, self.hi):
            if not (isinstance(end, Real) or hasattr(end, "ndim")):
                raise TypeError(
                    f"Box({self.lo}, {self.hi}): give each end as a number or an array."
                )
        if not np.all(to_host(self.lo) <= to_host(self.hi)):
            raise ValueError(f"Box({self.lo}, {self.hi}) is empty; lo must not exceed hi.")
        for name in ("lo", "hi"):
            object.__setattr__(self, name, fixed_copy(getattr(self, name)))

    def numbers(self) -> dict[str, Any]:
        """The ends, as the kernel takes them."""
        return {"box_lo": self.lo, "box_hi": self.hi}

    @staticmethod
    def kernel(p: Any, *, box_lo: Any, box_hi: Any) -> None:
        """Project p in place."""
        xp.maximum(p, box_lo, out=p)
        xp.minimum(p, box_hi, out=p)

    def nearest(self, x: Array, metric: Array | None = None) -> Array:
        y = x.copy()
        ends = {name: xp.asarray(end, x.dtype) for name, end in self.numbers().items()}
        self.kernel(y, **ends)
        return y


@dataclass(frozen=True)
class NonNegative(Box):
    """x >= 0 in each coordinate."""

    lo: Any = field(default=0.0, init=False, repr=False)
    hi: Any = field(default=inf, init=False, repr=False)


@dataclass(frozen=True)
class _OfRadius(Projection, ABC):
    """What the sets of a radius share: a point of the set, up to rounding, stays bit for bit.

    With `euclidean` the plain metric takes the place of the rule's. The work is done in float64,
    and the host waits for a device, to see whether a point is in the set.
    """

    radius: float = 1.0
    euclidean: bool = False

    def __post_init__(self) -> None:
        if not (isfinite(self.radius) and self.radius > 0):
            raise ValueError(f"{self} has no such radius; choose one positive and finite.")

    def nearest(self, x: Array, metric: Array | None = None) -> Array:
        exact = x.astype("float64")
        if self._contains(exact, ROUNDING * float(np.finfo(x.dtype).eps)):
            return x
        if metric is None or self.euclidean:
            weight = xp.ones_like(exact)
        else:
            metric = metric.astype("float64")
            largest = xp.where(xp.isfinite(metric), metric, 0).max()
            # NaN is 0/0, of a rate of 0: fixed
            relative = xp.fmin(metric / xp.where(largest > 0, largest, 1), HEAVY)
            weight = xp.fmax(relative, LIGHT)
        return self._boundary(exact, weight.min() / weight).astype(x.dtype)

    @abstractmethod
    def _contains(self, x: Array, tolerance: float) -> bool:
        """Whether x is in the set, up to that part of the radius."""

    @abstractmethod
    def _boundary(self, x: Array, inverse: Array) -> Array:
        """The nearest point to an x outside; `inverse` is one over the metric, at most 1."""


class L2Ball(_OfRadius):
    """The square root of the sum of x**2 is at most the radius."""

    def _contains(self, x: Array, tolerance: float) -> bool:
        part = x / self.radius
        return bool((part * part).sum() <= (1 + tolerance) ** 2)

    def _boundary(self, x: Array, inverse: Array) -> Array:
        # y = x / (1 + multiplier * inverse). Newton's method on 1 / norm(y), which is concave in
        # the multiplier, comes from below, and begins where no coordinate alone is too long.
        part = xp.abs(x) / self.radius
        multiplier = xp.maximum(((part - 1) / inverse).max(), 0)
        while True:
            shrink = 1 + multiplier * inverse
            square = (part / shrink) ** 2
            norm = xp.sqrt(square.sum())
            more = (norm - 1) * norm * norm / (square * inverse / shrink).sum()
            if not multiplier + more > multiplier:
                return x / shrink
            multiplier = multiplier + more


class Simplex(_OfRadius):
    """x >= 0, and the sum of x is the radius."""

    def _contains(self, x: Array, tolerance: float) -> bool:
        if not x.size:
            raise ValueError(f"{self} of no coordinates is empty; give it parameters, or use none.")
        return bool(x.min() >= 0) and bool(xp.abs(x.sum() / self.radius - 1) <= tolerance)

    def _boundary(self, x: Array, inverse: Array) -> Array:
        # y = max(x - multiplier * inverse, 0). Newton's method on the sum of y, which is convex and
        # piecewise linear in the multiplier, comes from below: what is once 0 stays 0. It begins
        # where the first coordinate alone has the whole radius.
        radius, bound = self.radius, (x - self.radius) / inverse
        first = bound.max()
        y = xp.where(bound == first, radius, xp.clip(x - first * inverse, 0, radius))
        inverse = xp.where(y == 0, 0, inverse)
        passes = 2  # the last mends what rounding left of the one before
        while passes:
            y -= inverse * ((y.sum() - radius) / inverse.sum())
            below = y < 0
            y[below] = inverse[below] = 0
            passes = 2 if below.any() else passes - 1
        return y


class L1Ball(_OfRadius):
    """The sum of abs(x) is at most the radius."""

    def _contains(self, x: Array, tolerance: float) -> bool:
        return bool(xp.abs(x).sum() / self.radius <= 1 + tolerance)

    def _boundary(self, x: Array, inverse: Array) -> Array:
        return xp.copysign(Simplex(self.radius)._boundary(xp.abs(x), inverse), x)
