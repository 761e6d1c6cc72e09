"""The problems of Moré, Garbow and Hillstrom against their publication."""

import numpy as np
import pytest

from experiments.problems.classical import CLASSICAL
from minigrad import Tensor, check_grads, to_host
from tests.driving import host_only

pytestmark = host_only

# The value at the usual start, which their driver prints; a place of the least value, and that
# value as the paper has it
PUBLISHED = {
    "freudenstein_roth": (400.5, (5.0, 4.0), 0.0),
    "powell_badly_scaled": (1.13526172, (1.0981593296998e-5, 9.1061467398665), 0.0),
    "jennrich_sampson": (4171.30616, (0.2578252136705, 0.2578252136705), 124.362),
    "bard": (41.6816959, (0.0824105610, 1.1330360919, 2.3436951768), 8.21487e-3),
    "gaussian": (3.88810699e-6, (0.3989561378, 1.0000190845, 0.0), 1.12793e-8),
    "box": (1031.15381, (1.0, 10.0, 1.0), 0.0),
    "powell_singular": (215.0, (0.0, 0.0, 0.0, 0.0), 0.0),
    "wood": (19192.0, (1.0, 1.0, 1.0, 1.0), 0.0),
    "kowalik_osborne": (
        5.31317227e-3,
        (0.192806935, 0.191282329, 0.123056507, 0.136062331),
        3.07505e-4,
    ),
    "brown_dennis": (7926693.34, (-11.59443991, 13.20363005, -0.403439490, 0.236778774), 85822.2),
    "biggs_exp6": (0.779070076, (1.0, 10.0, 1.0, 5.0, 4.0, 3.0), 0.0),
    "broyden_tridiagonal": (
        21.0,
        (
            *(-0.57072213, -0.68180695, -0.70221008, -0.70551063, -0.70490616),
            *(-0.70149661, -0.69188932, -0.66579651, -0.59603511, -0.41641226),
        ),
        0.0,
    ),
}


def value(name, x):
    return CLASSICAL[name].value([Tensor(np.array([float(one)])) for one in x]).item()


def test_all_are_there():
    assert list(CLASSICAL) == list(PUBLISHED) and len(CLASSICAL) == 12


@pytest.mark.parametrize("name", CLASSICAL)
def test_values_are_those_published(name):
    start, minimum, least = PUBLISHED[name]
    one = CLASSICAL[name]
    assert value(name, one.start) == pytest.approx(start, rel=1e-8)
    assert value(name, minimum) == pytest.approx(least, rel=1e-5, abs=1e-13)
    assert one.least == pytest.approx(least, rel=1e-5)
    rng = np.random.default_rng(0)
    near = np.array(minimum) * (1 + 1e-3 * rng.standard_normal((50, len(minimum))))
    assert min(value(name, x) for x in near) >= one.least


def test_the_other_minimum_of_freudenstein_and_roth():
    assert value("freudenstein_roth", (11.4127790, -0.8968053)) == pytest.approx(48.9842, abs=1e-4)


@pytest.mark.parametrize("name", CLASSICAL)
def test_gradients(name):
    one = CLASSICAL[name]
    near = np.array(one.start) + 0.01 * np.arange(1, len(one.start) + 1)
    check_grads(lambda *x: one.value(x), *[np.array([float(z)]) for z in near], tolerance=1e-5)


@pytest.mark.parametrize("name", CLASSICAL)
def test_many_points_at_once_are_each_its_own(name):
    one = CLASSICAL[name]
    rng = np.random.default_rng(1)
    points = np.array(one.start) + 0.01 * rng.standard_normal((2, 3, len(one.start)))
    x = [Tensor(points[..., k : k + 1]) for k in range(points.shape[-1])]
    found = to_host(one.value(x).data)
    apart = [[value(name, point) for point in row] for row in points]
    np.testing.assert_allclose(found, apart, rtol=1e-13)


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_solver_of_least_squares_finds_the_least_value(name):
    optimize = pytest.importorskip("scipy.optimize")
    one, (_, minimum, _) = CLASSICAL[name], PUBLISHED[name]

    def residuals(x):
        found = one.residuals(*[Tensor(np.array([float(z)])) for z in x])
        return np.concatenate([np.atleast_1d(r.numpy()) for r in found])

    near = np.array(minimum) * 1.001
    tight = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
    least = 2 * optimize.least_squares(residuals, near, **tight).cost
    assert least == pytest.approx(one.least, rel=1e-12, abs=1e-20)
