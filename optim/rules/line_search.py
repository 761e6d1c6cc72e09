"""A line search for the strong Wolfe conditions."""

from collections.abc import Callable
from math import inf, isfinite, sqrt
from typing import NamedTuple

C1, C2 = 1e-4, 0.9  # of the conditions


class Point(NamedTuple):
    """A step along the direction, with the loss and its slope there."""

    step: float
    loss: float
    slope: float


def strong_wolfe(
    at: Callable[[float], tuple[float, float]],
    loss: float,
    slope: float,
    trial: float,
    evaluations: int,
) -> float:
    """A step with loss <= loss(0) + c1 step slope(0) and |slope| <= c2 |slope(0)|.

    `at(step)` gives the loss and the slope; `slope` < 0 is that at 0. Without success after so
    many evaluations, the lowest step that was tried; 0 if none is lower. Nocedal and Wright 2006,
    Algorithms 3.5 and 3.6.
    """
    start = lowest = last = Point(0.0, loss, slope)
    bracket: tuple[Point, Point] | None = None  # the lower end first
    step = trial
    for i in range(evaluations):
        point = Point(step, *at(step))
        if point.loss < lowest.loss:
            lowest = point
        falls = point.loss <= loss + C1 * step * slope
        if falls and abs(point.slope) <= -C2 * slope:
            return step
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
        if bracket[0].step == bracket[1].step:  # no number is left between them
            break
        step = _between(*bracket)
    return lowest.step if lowest is not start else 0.0


def _between(low: Point, high: Point) -> float:
    """The minimum of the cubic through both ends, kept off these by a tenth of their distance."""
    width = high.step - low.step
    middle = low.step + width / 2
    if not (isfinite(high.loss) and isfinite(high.slope)):
        return middle
    d1 = low.slope + high.slope - 3 * (low.loss - high.loss) / (low.step - high.step)
    square = d1 * d1 - low.slope * high.slope
    if not 0 <= square < inf:
        return middle
    d2 = sqrt(square) * (1 if width > 0 else -1)
    bottom = high.slope - low.slope + 2 * d2
    if bottom == 0:
        return middle
    step = high.step - width * (high.slope + d2 - d1) / bottom
    ends = sorted((low.step + 0.1 * width, high.step - 0.1 * width))
    return min(max(step, ends[0]), ends[1])
