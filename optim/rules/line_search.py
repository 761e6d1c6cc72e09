"""A line search for the strong Wolfe conditions."""

from collections.abc import Callable
from math import copysign, inf, isfinite, sqrt
from typing import NamedTuple

C1, C2 = 1e-4, 0.9  # of the conditions


class Point(NamedTuple):
    """A step along the direction, with the loss and its slope there."""

    step: float
    loss: float
    slope: float


def strong_wolfe(
    at: Callable[[float], tuple[float, float]],
    keep: Callable[[], None],
    differ: Callable[[float, float], bool],
    loss: float,
    slope: float,
    trial: float,
    evaluations: int,
) -> Point:
    """A point with loss <= loss(0) + c1 step slope(0) and |slope| <= c2 |slope(0)|.

    `at(step)` gives the loss and the slope, and `keep()` is called after it where no trial was
    lower; `differ` tells whether two steps are two points; `slope` < 0 is that at 0. Without
    success after so many evaluations, or where no point is left to try, the lowest that was tried;
    the one at 0 if none is lower. Nocedal and Wright 2006, Algorithms 3.5 and 3.6.
    """
    lowest = last = Point(0.0, loss, slope)
    bracket: tuple[Point, Point] | None = None  # the lower end first
    step = trial
    for i in range(evaluations):
        if not all(differ(step, end.step) for end in bracket or (last,)):
            break
        point = Point(step, *at(step))
        if not (isfinite(point.loss) and isfinite(point.slope)):
            point = Point(step, inf, inf)  # too far
        falls = point.loss <= loss + C1 * step * slope
        if point.loss < lowest.loss or (falls and point.loss == lowest.loss):
            lowest = point
            keep()
            if falls and abs(point.slope) <= -C2 * slope:
                break
        if bracket is None:
            if not falls or (i and point.loss >= last.loss):
                bracket = last, point
            elif point.slope >= 0:
                bracket = point, last
            else:
                last, step = point, 2 * step
                continue
        else:
            low, high = bracket
            if not falls or point.loss >= low.loss:
                bracket = low, point
            else:
                bracket = point, low if point.slope * (high.step - low.step) >= 0 else high
        step = _between(*bracket)
    return lowest


def _between(low: Point, high: Point) -> float:
    """The minimum of the cubic through both ends, but from a tenth to half of the way to `high`."""
    width = high.step - low.step
    middle = low.step + width / 2
    d1 = low.slope + high.slope - 3 * (low.loss - high.loss) / (low.step - high.step)
    scale = max(abs(d1), abs(low.slope), abs(high.slope))
    if not 0 < scale < inf:
        return middle
    first, last, d1 = low.slope / scale, high.slope / scale, d1 / scale
    square = d1 * d1 - first * last
    if square < 0:
        return middle
    d2 = copysign(sqrt(square), width)
    bottom = last - first + 2 * d2
    if bottom == 0:
        return middle
    step = high.step - width * (last + d2 - d1) / bottom
    ends = sorted((low.step + 0.1 * width, low.step + 0.5 * width))
    return min(max(step, ends[0]), ends[1])
