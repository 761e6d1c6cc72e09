"""Least squares of Moré, Garbow and Hillstrom 1981: residuals, standard starts and least values.

The residuals take complex numbers, so that their Jacobian is exact by a complex step.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Function(NamedTuple):
    """A sum of squared residuals, where its minimization starts, and its least value."""

    residuals: Callable[[Any], Any]
    start: tuple[float, ...]
    least: float = 0.0

    def __call__(self, x: Any) -> tuple[float, Any]:
        """The value and the gradient."""
        r = self.residuals(x)
        columns = [self.residuals(x + 1e-40j * e).imag / 1e-40 for e in np.eye(len(x))]
        return float(r @ r), 2 * np.array(columns) @ r


def rosenbrock(x):
    return np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def beale(x):
    return np.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** np.arange(1, 4))


def wood(x):
    first = [10 * (x[1] - x[0] ** 2), 1 - x[0], 90**0.5 * (x[3] - x[2] ** 2), 1 - x[2]]
    return np.array([*first, 10**0.5 * (x[1] + x[3] - 2), (x[1] - x[3]) / 10**0.5])


def powell_singular(x):
    ends = 10**0.5 * (x[0] - x[3]) ** 2
    return np.array([x[0] + 10 * x[1], 5**0.5 * (x[2] - x[3]), (x[1] - 2 * x[2]) ** 2, ends])


U = np.arange(1, 16)
BARD = np.array(
    [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.1, 4.39]
)


def bard(x):
    return BARD - (x[0] + U / ((16 - U) * x[1] + np.minimum(U, 16 - U) * x[2]))


OSBORNE = 1e-3 * np.array(
    """844 908 932 936 925 908 881 850 818 784 751 718 685 658 628 603 580 558 538 522 506 490 478
    467 457 448 438 431 424 420 414 411 406""".split(),
    float,
)


def osborne_1(x):
    t = 10.0 * np.arange(33)
    return OSBORNE - (x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4]))


def watson(x):
    t, powers = np.arange(1, 30)[:, None] / 29, np.arange(len(x))
    slope = (powers[1:] * t ** powers[:-1]) @ x[1:]
    inner = slope - (t**powers @ x) ** 2 - 1
    return np.array([*inner, x[0], x[1] - x[0] ** 2 - 1])


FUNCTIONS = {
    "Rosenbrock": Function(rosenbrock, (-1.2, 1)),
    "Beale": Function(beale, (1, 1)),
    "Wood": Function(wood, (-3, -1, -3, -1)),
    "Bard": Function(bard, (1, 1, 1), 8.214877306578964e-3),
    "Powell singular": Function(powell_singular, (3, -1, 0, 1)),
    "Osborne 1": Function(osborne_1, (0.5, 1.5, -1, 0.01, 0.02), 5.46489e-5),
    "Watson 9": Function(watson, (0,) * 9, 1.39976e-6),
}
