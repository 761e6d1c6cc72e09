"""Feasible sets of few coordinates, and how they are drawn in the plane."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from minigrad import to_host, xp
from optim import L2Ball, Projection, Simplex

CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 121)) for f in (np.cos, np.sin)])
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])  # where those of the simplex go


class Shape(ABC):
    """A set of radius 1. The points of the plane that is drawn are point + directions q, where q is
    the place on paper."""

    coordinates: ClassVar[int]
    projection: ClassVar[Callable[..., Projection]]
    point: ClassVar[np.ndarray]
    directions: ClassVar[np.ndarray]
    outline: ClassVar[np.ndarray]  # (2, n)

    @abstractmethod
    def holds(self, x: np.ndarray) -> bool:
        """Whether x is in the set, up to rounding."""

    @abstractmethod
    def seen(self, x: np.ndarray) -> np.ndarray:
        """The place on paper of points of the plane, (..., coordinates)."""

    @abstractmethod
    def minimum(self, c: np.ndarray) -> np.ndarray:
        """The point of the set at which c x is least."""

    def nearest(self, x: Any, weights: Any = None) -> np.ndarray:
        """The point of the set nearest to x, where squares of distances are weighted."""
        metric = None if weights is None else xp.asarray(weights, "float64")
        return to_host(self.projection().nearest(xp.asarray(x, "float64"), metric))

    def ring(self, center: np.ndarray, weights: np.ndarray, through: np.ndarray) -> np.ndarray:
        """The points of the plane that are as far from the center as `through` is, on paper; a ring
        of a fifth of the size of the set where that is the nearest of all points of the plane."""
        form = (self.directions.T * weights) @ self.directions
        middle = np.linalg.solve(form, (self.directions.T * weights) @ (center - self.point))
        away = self.seen(through) - middle
        square = away @ form @ away
        if square < 1e-9 * np.trace(form):
            square = 0.2**2 * np.trace(form) / 2
        turned = np.linalg.solve(np.linalg.cholesky(form).T, CIRCLE)
        return middle[:, None] + np.sqrt(square) * turned


class Ball(Shape):
    """x^2 + y^2 <= 1."""

    coordinates = 2
    projection = L2Ball
    point, directions = np.zeros(2), np.eye(2)
    outline = CIRCLE

    def holds(self, x: np.ndarray) -> bool:
        return bool(x @ x <= 1 + 1e-9)

    def seen(self, x: np.ndarray) -> np.ndarray:
        return x

    def minimum(self, c: np.ndarray) -> np.ndarray:
        return -c / np.linalg.norm(c)


class Triangle(Shape):
    """x >= 0 of three coordinates whose sum is 1: the simplex."""

    coordinates = 3
    projection = Simplex
    outline = CORNERS[[0, 1, 2, 0]].T
    # q is the mean of the corners weighted by x: (q, 1) = (corners, 1) x
    _inverse = np.linalg.inv(np.column_stack([CORNERS, np.ones(3)]).T)
    directions, point = _inverse[:, :2], _inverse[:, 2]

    def holds(self, x: np.ndarray) -> bool:
        return bool(x.min() >= 0 and abs(x.sum() - 1) < 1e-9)

    def seen(self, x: np.ndarray) -> np.ndarray:
        return x @ CORNERS

    def minimum(self, c: np.ndarray) -> np.ndarray:
        return np.eye(3)[c.argmin()]


SHAPES: dict[str, Shape] = {"ball": Ball(), "simplex": Triangle()}
