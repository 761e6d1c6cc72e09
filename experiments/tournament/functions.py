"""Quadratics, functions of the plane, and those of Moré, Garbow and Hillstrom, as entries."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from experiments.problems.classical import CLASSICAL
from experiments.problems.functions import LANDSCAPES
from experiments.tournament.entry import Entry, normal
from minigrad import Tensor, no_grad, ops, xp

NEAR_START = 0.1  # by what part of their size the starts of later seeds are off the usual one
DIMENSION = 20  # of the quadratics
QUADRATICS = {  # the largest curvature, where the least is 1, and the deviation of the noise
    "quadratic": (10.0, 0.0),
    "ill_conditioned": (1e4, 0.0),
    "noisy": (100.0, 10.0),
}
WITH_NOISE = {"noisy_quadratic": -13.75}  # the least of a step, whatever the signs of the noise


def quadratic(name: str, seeds: int, seed: int) -> Entry:
    """Half of x H x, along axes of its own, with curvatures from 1 to the largest.

    With noise, a step is of the same around another point: its least is 0 too.
    """
    largest, noise = QUADRATICS[name]
    axes, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((DIMENSION, DIMENSION)))
    curvatures = np.geomspace(1, largest, DIMENSION)
    hessian = xp.asarray(axes * curvatures @ axes.T)

    def halves(x: Tensor) -> Tensor:
        row = x.reshape(*x.shape[:-1], 1, DIMENSION)  # each alone, to the same bits among others
        return (ops.matmul(row, hessian) * row).sum(axis=(-2, -1)) / 2

    def draw(t: int) -> Sequence[Any]:
        if not noise:
            return []
        slopes = noise * np.random.default_rng([seed, t]).standard_normal((seeds, DIMENSION))
        rest = ((slopes @ axes) ** 2 / curvatures).sum(axis=1) / 2
        return xp.asarray(slopes), xp.asarray(rest)

    def losses(params: list[Tensor], drawn: Sequence[Any]) -> Tensor:
        (x,) = params
        if not drawn:
            return halves(x)
        slopes, rest = drawn
        return halves(x) + (slopes * x).sum(axis=-1) + rest

    @no_grad()
    def measure(params: list[Tensor]) -> Mapping[str, np.ndarray]:
        return {"reported": halves(params[0]).numpy()}

    return Entry(lambda of: [normal(of, DIMENSION)], draw, losses, measure, 0.0, True)


def landscape(name: str, seeds: int, seed: int) -> Entry:
    """A function of the plane."""
    plane = LANDSCAPES[name]

    def draw(t: int) -> Sequence[Any]:
        drawn = np.random.default_rng([seed, t]).choice([-1.0, 1.0], (len(plane.others), seeds, 1))
        return list(xp.asarray(plane.noise * drawn))

    def value(x: list[Any], *noise: Any) -> Tensor:
        total: Tensor = (plane.function(*x, *noise) if noise else plane.value(*x)).sum(axis=-1)
        return total

    least = float(plane.value(*plane.minima[0]))
    return _function(plane.start, draw, value, least, WITH_NOISE.get(name, least), seed)


def classical(name: str, seed: int) -> Entry:
    """A sum of squares."""
    one = CLASSICAL[name]
    return _function(one.start, lambda t: [], one.value, one.least, one.least, seed)


def _function(
    start: tuple[float, ...],
    draw: Callable[[int], Sequence[Any]],
    value: Callable[..., Tensor],
    least: float,
    of_step: float,
    seed: int,
) -> Entry:
    """That of the coordinates, and of what is drawn, with its least value without noise, and that
    of a step."""
    usual = np.array(start)

    def begin(of: int) -> list[np.ndarray]:
        off = NEAR_START * np.abs(usual).max() * normal(of, len(usual))
        return [usual + (off if of > seed else 0.0)]

    @no_grad()
    def measure(params: list[Tensor]) -> Mapping[str, np.ndarray]:
        return {"reported": np.maximum(value(_coordinates(params[0])).numpy() - least, 0.0)}

    def losses(params: list[Tensor], drawn: Sequence[Any]) -> Tensor:
        return value(_coordinates(params[0]), *drawn)

    return Entry(begin, draw, losses, measure, of_step, True)


def _coordinates(x: Tensor) -> list[Tensor]:
    """Each of them, (rates, seeds, 1)."""
    return [x[..., k : k + 1] for k in range(x.shape[-1])]
