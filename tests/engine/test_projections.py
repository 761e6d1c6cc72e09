"""Feasible sets, alone and under every rule."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optim
from minigrad import to_host
from minigrad.backend import xp
from optim import Box, L1Ball, L2Ball, NonNegative, Projection, Simplex
from optim.schedules import InverseSqrt
from tests.driving import (
    SIZE,
    assert_identical,
    both_dtypes,
    drive,
    end,
    flat,
    gradients,
    start,
    tensors,
)
from tests.rules.table import TABLE, every_rule

GRADS = gradients(8)
LOW = np.linspace(-1, 0.5, SIZE)
BOXES = {
    "numbers": Box(-0.5, 0.75),
    "integers": Box(-1, 1),
    "arrays": Box(LOW, LOW + 0.5),
    "one array": Box(LOW, 2.0),
    "half a line": NonNegative(),
    "a point": Box(0.25, 0.25),
}
ROUND = (L1Ball, L2Ball, Simplex)  # the sets of a radius
every_set = pytest.mark.parametrize("kind", ROUND)

with np.load(Path(__file__).parents[1] / "oracles" / "projections.npz") as file:
    RECORDED = {name: file[name] for name in file.files}


def nearest(feasible: Projection, x: Any, metric: Any = None) -> Any:
    """The projection of a host array, on the host."""
    weights = None if metric is None else xp.asarray(metric)
    return to_host(feasible.nearest(xp.asarray(x), weights))


def by_bisection(feasible: Any, x: Any, metric: Any) -> Any:
    """The nearest point by bisection on the multiplier of the constraint, in extended precision."""
    x, w = x.astype(np.longdouble), metric.astype(np.longdouble)
    r, kind = np.longdouble(feasible.radius), type(feasible)
    size = x if kind is Simplex else np.abs(x)
    if kind is not Simplex and np.linalg.norm(size, 1 if kind is L1Ball else 2) <= r:
        return x

    def point(multiplier: Any) -> Any:
        if kind is L2Ball:
            return size / (1 + multiplier / w)
        return np.maximum(size - multiplier / w, 0)

    def too_large(y: Any) -> bool:
        return np.linalg.norm(y, 2 if kind is L2Ball else 1) > r

    low = np.min(w * (size - r)) if kind is Simplex else np.longdouble(0)
    high = np.max(w) * np.linalg.norm(size) / r if kind is L2Ball else np.max(w * size)
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if too_large(point(middle)) else (low, middle)
    return point(low) if kind is Simplex else np.copysign(point(low), x)


class Problem(NamedTuple):
    """A point with ties and zeros, and weights, each of scales from 1e-spread to 1e+spread."""

    seed: int
    size: int
    spread: float
    weights: float
    grid: bool  # whole numbers
    far: float  # how far the point is moved along the diagonal
    radius: float

    def draw(self) -> tuple[Any, Any]:
        rng = np.random.default_rng(self.seed)
        x = rng.normal(size=self.size) * 10 ** rng.uniform(-self.spread, self.spread, self.size)
        x = np.where(rng.random(self.size) < 0.2, 0, np.round(x) if self.grid else x)
        return x + self.far, 10 ** rng.uniform(-self.weights, self.weights, self.size)


problems = st.builds(
    Problem,
    st.integers(0, 2**32),
    st.integers(1, 40),
    st.sampled_from((0, 1, 4)),
    st.sampled_from((0, 1, 8)),
    st.booleans(),
    st.sampled_from((0, 0, 1e3)),
    st.sampled_from((1e-3, 1.0, 3.0, 1e3)),
)


def steps_with_and_without(rule, dtype, projection):
    """After each step, the optimizer with the projection and one without that started there."""
    opt = rule(tensors(start(dtype)), lr=0.1, projection=projection)
    free = rule(tensors(start(dtype)), lr=0.1)
    for g in GRADS:
        for tensor, bound in zip(free.params, opt.params, strict=True):
            tensor.data = bound.data
        drive(opt, [g])
        drive(free, [g])
        yield opt, free


@every_rule
@both_dtypes
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_a_step_with_a_box_is_a_step_and_a_clip(rule, dtype, box):
    if TABLE[rule].averages:
        return  # it projects z, of which p is made
    for opt, free in steps_with_and_without(rule, dtype, box):
        lo, hi = np.asarray(box.lo, dtype), np.asarray(box.hi, dtype)
        clipped = np.clip(flat(free.params), lo, hi)
        # the box is no part of what a rule remembers: state is the same
        assert_identical(end(opt), end(free) | {"p": clipped})


def test_a_box_binds_from_both_sides():
    opt = optim.SGD(tensors(np.zeros(4), [(4,)]), lr=1.0, projection=Box(-1, 2))
    rows = drive(opt, [[-9, 9, 0.5, 0], [1, 0, 9, -9]])
    np.testing.assert_array_equal(rows, [[2, -1, -0.5, 0], [1, -1, -1, 2]])


@pytest.mark.parametrize(
    "lo, hi",
    [(1, -1), (np.nan, 1), (0, np.nan), ([0, 2] * np.ones(2), 1), (0, np.array([1, -1e-9]))],
)
def test_an_empty_box_is_refused(lo, hi):
    with pytest.raises(ValueError, match=r"Box\(.*\) is empty; lo must not exceed hi"):
        Box(lo, hi)


@pytest.mark.parametrize("box, named", [(Box(LOW[:-1], 2), "box_lo"), (Box(-2, LOW[1:]), "box_hi")])
def test_a_box_of_another_length_is_refused(box, named):
    x = tensors(start())
    with pytest.raises(ValueError, match=rf"{named}.*\(47,\).*48 coordinates"):
        optim.SGD(x, projection=box)
    optim.SGD(x)  # the failed one owns nothing


@pytest.mark.parametrize("lo", ([0.0, 5.0], None, "0"))
def test_an_end_of_a_box_is_a_number_or_an_array(lo):
    with pytest.raises(TypeError, match=r"Box\(.*, 1\): give each end as a number or an array"):
        Box(lo, 1)


@pytest.mark.parametrize("projection", ((-1, 1), Box, np.ones(3)), ids=repr)
def test_what_is_no_projection_is_refused(projection):
    with pytest.raises(TypeError, match=r"projection=.*: give one such as"):
        optim.SGD(tensors(start()), projection=projection)


def test_a_box_says_what_it_is():
    assert repr(Box(-1, 0.5)) == "Box(lo=-1, hi=0.5)"
    assert Box(-1, 1) == Box(-1, 1) != Box(-1, 2)


def test_parameters_may_start_outside():
    opt = optim.Momentum(tensors(np.array([5.0, -5.0]), [(2,)]), projection=Box(-1, 1))
    drive(opt, [[0.0, 0.0]])
    np.testing.assert_array_equal(end(opt)["p"], [1, -1])


@pytest.mark.parametrize("key", [key for key in RECORDED if key.startswith("{")])
def test_the_plain_projection_is_the_recorded_one(key):
    case = json.loads(key)
    x = RECORDED[f"x{case['point']}"]
    y = nearest(getattr(optim, case["set"])(**case["settings"]), x)
    # optax is exact to some eps of the point, we are to some of the radius
    np.testing.assert_allclose(y, RECORDED[key], rtol=1e-14, atol=1e-14 * np.max(np.abs(x)))


@every_set
@both_dtypes
@given(problems)
def test_the_nearest_point_is_that_of_a_bisection(kind, dtype, problem):
    x, metric = (a.astype(dtype) for a in problem.draw())
    feasible = kind(problem.radius)
    y, eps = nearest(feasible, x, metric), np.finfo(dtype).eps
    assert y.dtype == dtype and y.shape == x.shape
    # |y| grows with the radius: it is that of some radius that rounds to the given one
    less, more = (
        np.abs(by_bisection(kind(problem.radius * (1 + part * eps)), x, metric))
        for part in (-16, 16)
    )
    slack = 2 * eps * max(problem.radius, np.max(np.abs(x)))
    assert np.all(less - slack <= np.abs(y)) and np.all(np.abs(y) <= more + slack)
    assert kind is Simplex or np.all((np.sign(y) == np.sign(x)) | (y == 0))


@every_set
@both_dtypes
@given(problems)
def test_a_point_of_the_set_stays_bit_for_bit(kind, dtype, problem):
    x, metric = (a.astype(dtype) for a in problem.draw())
    feasible = kind(problem.radius)
    y = nearest(feasible, x, metric)
    exact, r, eps = y.astype(np.longdouble), problem.radius, np.finfo(dtype).eps
    size = np.linalg.norm(exact, 2 if kind is L2Ball else 1)
    assert size <= r * (1 + 16 * eps)
    assert kind is not Simplex or (np.all(y >= 0) and size >= r * (1 - 16 * eps))
    for weights in (metric, None, 1 / metric):
        assert nearest(feasible, y, weights).tobytes() == y.tobytes()
    if kind is not Simplex:
        inside = y * np.linspace(-1, 0, y.size).astype(dtype)
        assert nearest(feasible, inside, metric).tobytes() == inside.tobytes()


@every_set
@given(problems)
def test_the_nearest_point_satisfies_the_conditions_of_optimality(kind, problem):
    x, metric = problem.draw()
    y = nearest(kind(problem.radius), x, metric)
    moved, scale = x - y, max(problem.radius, np.max(np.abs(x)))
    if kind is not Simplex and not np.any(moved):
        return
    x, y = (x, y) if kind is Simplex else (np.abs(x), np.abs(y))
    normal = y if kind is L2Ball else np.ones_like(y)
    # metric * (x - y) = multiplier * normal where y > 0, and metric * x <= multiplier elsewhere
    free = y > 0
    light = np.argmin(np.where(free, metric / normal.clip(1e-300), np.inf))
    multiplier = metric[light] * (x - y)[light] / normal[light]
    error = np.abs((x - y) - multiplier * normal / metric)
    assert np.all(error[free] <= 1e-14 * scale)
    assert kind is L2Ball or np.all((x - multiplier / metric)[~free] <= 1e-14 * scale)


@every_set
@given(problems)
def test_no_other_point_of_the_set_is_nearer(kind, problem):
    x, metric = problem.draw()
    y, rng = nearest(kind(problem.radius), x, metric), np.random.default_rng(problem.seed)
    others = rng.dirichlet(np.full(x.size, 0.3), size=200)
    if kind is not Simplex:
        others *= rng.uniform(size=(200, 1)) * np.sign(x)
    if kind is L2Ball:
        others = np.sqrt(np.abs(others)) * np.sign(others)
    others = np.concatenate([others * problem.radius, y + 0.01 * (others * problem.radius - y)])
    # to first order, so that the difference of two large numbers is not what is looked at
    assert np.all(
        (others - y) @ (metric * (x - y)) <= 1e-9 * np.sum(metric * np.abs(x - y)) * problem.radius
    )


@every_set
@both_dtypes
@given(problems, st.integers(-60, 60))
def test_the_scale_of_the_metric_does_not_matter(kind, dtype, problem, exponent):
    x, metric = (a.astype(dtype) for a in problem.draw())
    feasible, scale = kind(problem.radius), np.array(2.0**exponent, dtype)
    y = nearest(feasible, x, metric)
    np.testing.assert_array_equal(nearest(feasible, x, metric * scale), y, strict=True)
    plain = nearest(feasible, x)
    np.testing.assert_array_equal(nearest(feasible, x, np.full_like(x, scale)), plain, strict=True)
    euclidean = kind(problem.radius, euclidean=True)
    np.testing.assert_array_equal(nearest(euclidean, x, metric), plain, strict=True)


def test_weights_decide_who_gives_way():
    x, metric = np.array([2.0, 2.0]), np.array([1.0, 3.0])
    # by hand: 2 - 3 * l + 2 - l = 1
    np.testing.assert_allclose(nearest(Simplex(2.0), x, metric), [0.5, 1.5], rtol=1e-15)
    np.testing.assert_allclose(nearest(Simplex(2.0), x), [1, 1], rtol=1e-15)
    np.testing.assert_allclose(nearest(L1Ball(2.0), -x, metric), [-0.5, -1.5], rtol=1e-15)
    # by hand: y = x / (1 + l / metric) with l = 3
    x = np.array([4.0, 2.0])
    y = nearest(L2Ball(np.sqrt(2)), x, metric)
    np.testing.assert_allclose(y, [1, 1], rtol=1e-15)


@every_set
@both_dtypes
def test_a_weight_of_0_is_free_and_one_of_inf_is_fixed(kind, dtype):
    x = np.array([0.6, 3, 4], dtype)
    rest = 0.8 if kind is L2Ball else 0.4
    y = nearest(kind(), x, np.array([np.inf, 1, 1], dtype))
    assert y[0] == x[0]
    norm = np.linalg.norm(y[1:], 2 if kind is L2Ball else 1)
    np.testing.assert_allclose(norm, rest, rtol=1e-6)
    y = nearest(kind(), x, np.array([1, 0, 0], dtype))
    assert y[0] == x[0]
    # of a rate of 0 and a diagonal of 0, the metric is NaN
    np.testing.assert_array_equal(nearest(kind(), x, np.array([np.nan, 1, 1], dtype))[0], x[0])
    plain = nearest(kind(), x)
    for weight in (0, np.inf, np.nan):
        y = nearest(kind(), x, np.full(3, weight, dtype))
        np.testing.assert_array_equal(y, plain, strict=True)


@every_set
@pytest.mark.parametrize("exponent", (-900, -600, 300, 900))
def test_the_scale_of_the_metric_changes_nothing(kind, exponent):
    rng = np.random.default_rng(8)
    x, metric = 9 * rng.normal(size=48), 10 ** rng.uniform(-4, 4, 48)
    y = nearest(kind(), x, metric)
    np.testing.assert_array_equal(nearest(kind(), x, 2.0**exponent * metric), y)
    assert np.any(y != nearest(kind(), x))


@every_set
@both_dtypes
def test_weights_from_the_root_of_the_least_number_to_1e12(kind, dtype):
    rng, least = np.random.default_rng(4), np.log10(np.finfo(dtype).tiny) / 2
    for scale in (0.1, 1, 1e4, 1e15):
        x = (scale * rng.normal(size=48)).astype(dtype)
        metric = (10 ** rng.uniform(least, 12, 48)).astype(dtype)
        y = nearest(kind(), x, metric)
        expected = by_bisection(kind(), x, metric)
        atol = 8 * np.finfo(dtype).eps * np.max(np.abs(x))
        np.testing.assert_allclose(y.astype(np.longdouble), expected, rtol=0, atol=atol)
        assert nearest(kind(), y, metric).tobytes() == y.tobytes()


@every_set
def test_the_radius_is_met_from_far_away_and_by_many(kind):
    for x in ([1e20], [1e20, 1e20, -1e20], [1e30, 1e-30, 1]):
        for metric in (None, np.array([0.3, 1, 7])[: len(x)]):
            y = nearest(kind(), np.array(x), metric)
            norm = np.linalg.norm(y, 2 if kind is L2Ball else 1)
            np.testing.assert_allclose(norm, 1, rtol=1e-14)
    expected = 0.01 if kind is L2Ball else 1e-4
    y = nearest(kind(), np.full(10_000, 3.0))
    np.testing.assert_allclose(y, expected, rtol=1e-14)


@every_set
@pytest.mark.parametrize("radius", [0, -1.0, np.inf, np.nan])
def test_a_radius_is_positive_and_finite(kind, radius):
    with pytest.raises(ValueError, match=rf"{kind.__name__}\(radius={radius}.*positive and finite"):
        kind(radius)


def test_a_set_says_what_it_is():
    assert repr(L2Ball(2.0)) == "L2Ball(radius=2.0, euclidean=False)"
    assert repr(NonNegative()) == "NonNegative()"
    assert L1Ball(2.0) == L1Ball(2.0) != L2Ball(2.0)


def test_of_no_coordinates_all_sets_are_alike_but_the_simplex():
    for feasible in (L1Ball(), L2Ball(), NonNegative()):
        opt = optim.Adam(tensors(np.zeros(0), [(0, 3)]), projection=feasible)
        assert drive(opt, np.zeros((2, 0))).size == 0
    with pytest.raises(ValueError, match=r"Simplex\(radius=1.0.*of no coordinates is empty"):
        drive(optim.Adam(tensors(np.zeros(0), [(0, 3)]), projection=Simplex()), np.zeros((1, 0)))


@every_set
def test_a_point_that_is_not_a_number_is_not_hidden(kind):
    assert np.any(np.isnan(nearest(kind(), np.array([np.nan, 1.0, 2.0]), np.ones(3))))


def test_a_set_without_a_projection_says_what_to_define():
    class Everything(Projection):
        pass

    with pytest.raises(NotImplementedError, match=r"Everything has no nearest\(x, metric\)"):
        nearest(Everything(), np.ones(3))


@both_dtypes
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_the_nearest_point_of_a_box_is_a_clip_in_any_metric(dtype, box):
    x = 2 * start(dtype)
    expected = np.clip(x, np.asarray(box.lo, dtype), np.asarray(box.hi, dtype))
    for metric in (None, np.exp(start(dtype))):
        np.testing.assert_array_equal(nearest(box, x, metric), expected, strict=True)


@every_rule
@both_dtypes
@every_set
@pytest.mark.parametrize("euclidean", [False, True])
def test_a_step_is_a_free_step_and_the_nearest_point(rule, dtype, kind, euclidean):
    if TABLE[rule].averages:
        return  # it projects z, of which p is made
    feasible = kind(2.0, euclidean=euclidean)
    for opt, free in steps_with_and_without(rule, dtype, feasible):
        metric = None if euclidean or rule.diagonal is None else to_host(free.metric())
        projected = nearest(feasible, flat(free.params), metric)
        assert_identical(end(opt), end(free) | {"p": projected})


@every_set
def test_a_set_lies_in_the_space_of_all_coordinates_of_one_optimizer(kind):
    x = tensors(start())
    optim.SGD(x)  # makes them neighbours
    parts, grads = ([x[0], x[2]], [x[1], x[3]]), ([0, *range(4, 24)], [1, 2, 3, *range(24, 48)])
    for part, where in zip(parts, grads, strict=True):
        opt = optim.AMSGrad(part, lr=0.1, projection=kind(0.5))
        alone = optim.AMSGrad(
            tensors(start()[where], [t.shape for t in part]), lr=0.1, projection=kind(0.5)
        )
        before = flat(x)
        np.testing.assert_array_equal(drive(opt, GRADS[:, where]), drive(alone, GRADS[:, where]))
        others = np.setdiff1d(np.arange(SIZE), where)
        np.testing.assert_array_equal(flat(x)[others], before[others])
        norm = np.linalg.norm(flat(part), 2 if kind is L2Ball else 1)
        np.testing.assert_allclose(norm, 0.5, rtol=1e-14)


@every_set
@both_dtypes
def test_a_rate_of_0_leaves_a_feasible_point_where_it_is(kind, dtype):
    x = nearest(kind(), start(dtype))
    opt = optim.AMSGrad(tensors(x), lr=0.0, projection=kind())
    np.testing.assert_array_equal(drive(opt, GRADS)[-1], x, strict=True)
    outside = optim.AMSGrad(tensors(start(dtype)), lr=0.0, projection=kind())
    np.testing.assert_array_equal(drive(outside, GRADS)[-1], x)


@every_set
def test_a_coordinate_whose_rate_is_0_stays(kind):
    x = np.abs(start())
    x /= np.linalg.norm(x, 2 if kind is L2Ball else 1)
    rates = np.where(np.arange(SIZE) % 3, 0.1, 0.0)
    opt = optim.Adam(tensors(x), lr=rates, projection=kind())
    rows = drive(opt, -np.abs(GRADS))  # outwards
    np.testing.assert_array_equal(rows[:, ::3], np.tile(x[::3], (len(rows), 1)))
    assert np.all(np.any(rows != x, axis=1))


def test_the_metric_is_asked_for_only_where_it_is_used(monkeypatch):
    def refuse(self: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(optim.Adam, "metric", refuse)
    for feasible in (L2Ball(euclidean=True), Box(-1, 1), NonNegative(), None):
        drive(optim.Adam(tensors(start()), projection=feasible), GRADS)
    with pytest.raises(AssertionError):
        drive(optim.Adam(tensors(start()), projection=L2Ball()), GRADS)


@pytest.mark.parametrize("kind", [L2Ball, Simplex])
def test_amsgrad_finds_the_constrained_minimum_in_its_metric_alone(kind):
    # the minimum of sum(curvature * (x - center)**2) is itself a nearest point
    center, curvature = (
        np.linspace(-1, 2, 12),
        np.logspace(0, 3, 12)[[5, 2, 8, 0, 10, 3, 1, 11, 4, 9, 6, 7]],
    )
    minimum = by_bisection(kind(), center, curvature).astype(float)

    def distance(euclidean: bool) -> float:
        feasible = kind(euclidean=euclidean)
        opt = optim.AMSGrad(
            tensors(np.full(12, 1 / 12), [(12,)]),
            lr=InverseSqrt(0.1),
            betas=(0.9, 0.99),
            projection=feasible,
        )
        for _ in range(3000):
            drive(opt, [curvature * (flat(opt.params) - center)])
        return float(np.max(np.abs(flat(opt.params) - minimum)))

    assert distance(euclidean=False) < 1e-6
    assert distance(euclidean=True) > 1e-2
