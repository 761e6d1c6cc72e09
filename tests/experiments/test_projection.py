"""Sets as they are drawn, and runs that are projected onto them in one metric or another."""

import numpy as np
import pytest

import experiments
from experiments.claims import projection_report
from experiments.problems.shapes import SHAPES
from tests.driving import host_only

pytestmark = host_only
each = pytest.mark.parametrize("name", SHAPES)


@each
def test_what_is_drawn_is_where_it_is(name):
    shape, rng = SHAPES[name], np.random.default_rng(0)
    for x in rng.dirichlet([1, 1, 1], 5)[:, : shape.coordinates]:
        again = shape.point + shape.directions @ shape.seen(x)
        np.testing.assert_allclose(again, x, atol=1e-12)
    sides = np.linalg.norm(np.diff(SHAPES["simplex"].outline, axis=1), axis=0)
    np.testing.assert_allclose(sides, 1)


@each
def test_the_least_of_a_slope_is_that_of_many_points_of_the_set(name):
    shape, rng = SHAPES[name], np.random.default_rng(1)
    points = rng.dirichlet(np.full(3, 0.1), 4000)
    if name == "ball":
        angle = rng.uniform(0, 2 * np.pi, 4000)
        points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for c in rng.standard_normal((5, shape.coordinates)):
        assert shape.minimum(c) @ c <= (points @ c).min() + 1e-12
        assert (points @ c).min() < shape.minimum(c) @ c + 1e-2


@each
def test_a_ring_is_as_far_from_its_center_everywhere_and_touches_the_set(name):
    shape, rng = SHAPES[name], np.random.default_rng(2)
    for _ in range(5):
        weights = rng.uniform(0.1, 1, shape.coordinates)
        center = rng.standard_normal(shape.coordinates)
        center *= rng.uniform(1.2, 3) / np.linalg.norm(center)  # outside the ball
        nearest = shape.nearest(center, weights)
        ring = shape.point + (shape.directions @ shape.ring(center, weights, nearest)).T
        squares = (ring - center) ** 2 @ weights
        np.testing.assert_allclose(squares, squares[0], rtol=1e-9)
        least = weights @ (nearest - center) ** 2
        if squares[0] > least * (1 + 1e-6):  # the plane's nearest point is in the set
            assert name == "simplex" and nearest.min() > 0
        else:
            for point in ring:  # none is inside
                assert np.linalg.norm(point) > 1 - 1e-6 if name == "ball" else point.min() < 1e-6


def ends(result, name):
    return [result.traces[f"{name} {label}"]["x"][-1] for label in projection_report.METRICS]


def test_in_the_plain_metric_amsgrad_stops_where_the_signs_are_normal_to_the_set():
    """Under a constant slope c, AMSGrad's step is alpha sign(c), since sqrt(v) is |c|."""
    result = experiments.run("projection", ball=(1, -7), start_ball=(0.3, 0.1))
    plain, own = ends(result, "ball")
    np.testing.assert_allclose(plain, np.array([-1, 1]) / 2**0.5, atol=1e-6)
    np.testing.assert_allclose(own, np.array([-1, 7]) / 50**0.5, atol=1e-6)
    plain, own = ends(result, "simplex")
    np.testing.assert_allclose(plain, result.settings.start_simplex, atol=1e-12)
    np.testing.assert_allclose(own, [1, 0, 0], atol=1e-12)


def test_both_metrics_are_the_same_for_a_rule_that_divides_by_nothing():
    result = experiments.run("projection", rule="sgd", steps=300, lr=1.0)
    for name in SHAPES:
        plain, own = (result.traces[f"{name} {label}"]["x"] for label in projection_report.METRICS)
        np.testing.assert_array_equal(plain, own)


@each
def test_the_nearest_points_satisfy_the_conditions_of_optimality(name):
    """The step back is normal to the set, in the metric that the point is nearest in."""
    result = experiments.run("projection", rule="adam", steps=40)
    _, outside, weights, *points = projection_report.one_step(result.traces, name, result.settings)
    assert np.ptp(weights) > 0.1
    for y, w in zip(points, (np.ones_like(weights), weights), strict=True):
        normal = w * (outside - y)
        if name == "ball":
            assert np.linalg.norm(y) == pytest.approx(1)
            np.testing.assert_allclose(normal, np.linalg.norm(normal) * y, atol=1e-9)
        else:
            assert y.sum() == pytest.approx(1) and y.min() >= 0
            np.testing.assert_allclose(normal[y > 0], normal.max(), atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ball": (1, 0)}, "give numbers that are not 0"),
        ({"simplex": (1, 2)}, "give tuple"),
        ({"ball": (1e300, 1)}, "give numbers of a size of 1e-100 to 1e\\+100"),
        ({"start_simplex": (0.5, 0.6, 0.1)}, "give a point of the simplex"),
        ({"start_ball": (1, 1)}, "give a point of the ball"),
        ({"rule": "lion"}, "has no metric"),
        ({"lr": 0}, r"lr=0.0 is outside \(0, inf\)"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        experiments.run("projection", **changes)
