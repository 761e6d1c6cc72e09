"""Twelve of the problems of Moré, Garbow and Hillstrom 1981, ACM TOMS 7(1), "Testing Unconstrained
Optimization Software": sums of squares with the start and the least value published there.

A function takes the coordinates, each (..., 1), and gives its residuals, each (..., 1), or (..., m)
for m data. The numbers are those of the paper's section 3.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import Tensor, ops, xp

BARD = (0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39)
HALF_BELL = (0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521)
GAUSS = (*HALF_BELL, 0.3989, *HALF_BELL[::-1])
KOWALIK_Y = (
    *(0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627),
    *(0.0456, 0.0342, 0.0323, 0.0235, 0.0246),
)
KOWALIK_U = (4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625)

Residuals = list[Any]


def freudenstein_roth(x: Any, y: Any) -> Residuals:
    """Number 2: two minima, at 0 and at 48.98."""
    return [-13 + x + ((5 - y) * y - 2) * y, -29 + x + ((y + 1) * y - 14) * y]


def powell_badly_scaled(x: Any, y: Any) -> Residuals:
    """Number 3."""
    return [1e4 * x * y - 1, ops.exp(-x) + ops.exp(-y) - 1.0001]


def jennrich_sampson(x: Any, y: Any) -> Residuals:
    """Number 6, with m = 10."""
    i = _numbers(10)
    return [2 + 2 * i - (ops.exp(i * x) + ops.exp(i * y))]


def bard(x: Any, y: Any, z: Any) -> Residuals:
    """Number 8."""
    u = _numbers(15)
    v = 16 - u
    return [xp.asarray(BARD) - (x + u / (v * y + xp.minimum(u, v) * z))]


def gaussian(x: Any, y: Any, z: Any) -> Residuals:
    """Number 9."""
    t = (8 - _numbers(15)) / 2
    return [x * ops.exp(-y * (t - z) ** 2 / 2) - xp.asarray(GAUSS)]


def box(x: Any, y: Any, z: Any) -> Residuals:
    """Number 12, in three dimensions, with m = 10."""
    t = _numbers(10) / 10
    return [ops.exp(-t * x) - ops.exp(-t * y) - z * (xp.exp(-t) - xp.exp(-10 * t))]


def powell_singular(x: Any, y: Any, z: Any, w: Any) -> Residuals:
    """Number 13: its Hessian is singular at the minimum."""
    return [x + 10 * y, 5**0.5 * (z - w), (y - 2 * z) ** 2, 10**0.5 * (x - w) ** 2]


def wood(x: Any, y: Any, z: Any, w: Any) -> Residuals:
    """Number 14."""
    valleys = [10 * (y - x**2), 1 - x, 90**0.5 * (w - z**2), 1 - z]
    return [*valleys, 10**0.5 * (y + w - 2), (y - w) / 10**0.5]


def kowalik_osborne(x: Any, y: Any, z: Any, w: Any) -> Residuals:
    """Number 15."""
    u = xp.asarray(KOWALIK_U)
    return [xp.asarray(KOWALIK_Y) - x * (u**2 + u * y) / (u**2 + u * z + w)]


def brown_dennis(x: Any, y: Any, z: Any, w: Any) -> Residuals:
    """Number 16, with m = 20."""
    t = _numbers(20) / 5
    return [(x + t * y - xp.exp(t)) ** 2 + (z + xp.sin(t) * w - xp.cos(t)) ** 2]


def biggs_exp6(x: Any, y: Any, z: Any, w: Any, p: Any, q: Any) -> Residuals:
    """Number 18, with m = 13: a minimum at 0 and another at 0.00566."""
    t = _numbers(13) / 10
    told = z * ops.exp(-t * x) - w * ops.exp(-t * y) + q * ops.exp(-t * p)
    return [told - (xp.exp(-t) - 5 * xp.exp(-10 * t) + 3 * xp.exp(-4 * t))]


def broyden_tridiagonal(*x: Any) -> Residuals:
    """Number 30."""
    before, after = (0.0, *x[:-1]), (*x[1:], 0.0)
    return [
        (3 - 2 * one) * one - left - 2 * right + 1
        for one, left, right in zip(x, before, after, strict=True)
    ]


def _numbers(m: int) -> Any:
    """1 to m."""
    return xp.arange(1.0, m + 1)


@dataclass(frozen=True)
class SumOfSquares:
    """Residuals with the usual start and the least value of their sum of squares."""

    residuals: Callable[..., Residuals]
    start: tuple[float, ...]
    least: float

    @property
    def name(self) -> str:
        return self.residuals.__name__.replace("_", " ")

    def value(self, coordinates: Sequence[Any]) -> Tensor:
        """The sum of squares, (...), of coordinates that are (..., 1)."""
        squares = [(r * r).sum(axis=-1) for r in self.residuals(*coordinates)]
        total: Tensor = sum(squares[1:], squares[0])
        return total


# The least values are those of the paper, with the digits that a solver of least squares adds
CLASSICAL = {
    one.residuals.__name__: one
    for one in (
        SumOfSquares(freudenstein_roth, (0.5, -2.0), 0.0),
        SumOfSquares(powell_badly_scaled, (0.0, 1.0), 0.0),
        SumOfSquares(jennrich_sampson, (0.3, 0.4), 124.362182355615),
        SumOfSquares(bard, (1.0, 1.0, 1.0), 8.21487730657898e-3),
        SumOfSquares(gaussian, (0.4, 1.0, 0.0), 1.12793276961833e-8),
        SumOfSquares(box, (0.0, 10.0, 20.0), 0.0),
        SumOfSquares(powell_singular, (3.0, -1.0, 0.0, 1.0), 0.0),
        SumOfSquares(wood, (-3.0, -1.0, -3.0, -1.0), 0.0),
        SumOfSquares(kowalik_osborne, (0.25, 0.39, 0.415, 0.39), 3.07505603849238e-4),
        SumOfSquares(brown_dennis, (25.0, 5.0, -5.0, -1.0), 85822.2016263564),
        SumOfSquares(biggs_exp6, (1.0, 2.0, 1.0, 1.0, 1.0, 1.0), 0.0),
        SumOfSquares(broyden_tridiagonal, tuple(np.full(10, -1.0).tolist()), 0.0),
    )
}
