"""LBFGS and its line search."""

from itertools import pairwise
from operator import ne

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optim
from minigrad import to_host
from optim.rules.line_search import C1, C2, strong_wolfe
from tests.driving import host_only
from tests.rules.closure import X0, A, Run, log_cosh, rosenbrock
from tests.rules.functions import FUNCTIONS

# evaluations of SciPy 1.17.1's L-BFGS-B with maxcor=10 until f - f* is below this
THEIRS = {"Rosenbrock": (1e-10, 44), "Beale": (1e-10, 15), "Wood": (1e-10, 118), "Bard": (1e-7, 22)}


def minimize(name, below, scale=1.0, dtype="float64", **settings):
    """How many evaluations it takes until f - f* is below this times the scale."""
    function, seen = FUNCTIONS[name], 0

    def scaled(x):
        value, gradient = function(x.astype("float64"))
        return scale * value, scale * gradient

    run = Run(optim.LBFGS, scaled, np.array(function.start, float), dtype, **settings)
    while seen < 1000:
        run.steps(1)
        for _, value, _ in run.calls[seen:]:
            seen += 1
            if value - scale * function.least < scale * below:
                return seen
    return seen


def search(at, slope, trial, evaluations):
    """The step that a search from a loss of 0 takes."""
    return strong_wolfe(at, lambda: None, ne, 0.0, slope, trial, evaluations).step


def dense_bfgs(pairs, gradient):
    """-H g with Nocedal and Wright's equation 6.17, from H = (s y / y y) I."""
    s, y = pairs[-1]
    H = np.eye(len(gradient)) * (s @ y) / (y @ y)
    for s, y in pairs:
        rho = 1 / (y @ s)
        left = np.eye(len(s)) - rho * np.outer(s, y)
        H = left @ H @ left.T + rho * np.outer(s, s)
    return -H @ gradient


def test_the_direction_is_that_of_the_dense_formula():
    run = Run(optim.LBFGS, history=4)
    xs, slopes = [X0], [log_cosh(X0)[1]]
    for i in range(10):
        run.steps(1)
        if i:
            changes = zip(pairwise(xs), pairwise(slopes), strict=True)
            pairs = [(b - a, d - c) for (a, b), (c, d) in changes]
            expected = dense_bfgs(pairs[-4:], slopes[-1])
            np.testing.assert_allclose(to_host(run.opt.state["d"]), expected, atol=1e-9)
        xs.append(run.x.numpy().copy())
        slopes.append(log_cosh(xs[-1])[1])


@pytest.mark.parametrize("objective, x0", [(log_cosh, X0), (rosenbrock, np.array([-1.2, 1.0]))])
def test_every_step_satisfies_the_strong_wolfe_conditions(objective, x0):
    run, before = Run(optim.LBFGS, objective, x0), x0
    for _ in range(25):
        run.steps(1)
        after = run.x.numpy().copy()
        (f0, g0), (f1, g1) = objective(before), objective(after)
        if np.abs(g0).max() < 1e-6:
            break
        along = after - before
        assert f1 <= f0 + C1 * along @ g0 and abs(along @ g1) <= C2 * abs(along @ g0)
        before = after


def test_lbfgs_solves_rosenbrock_and_quadratics():
    run = Run(optim.LBFGS, rosenbrock, np.array([-1.2, 1.0]))
    _, rows = run.steps(45)
    np.testing.assert_allclose(rows[-1], 1, atol=1e-8)
    H = A.T @ A + np.eye(12)
    _, rows = Run(optim.LBFGS, lambda x: (x @ H @ x / 2, H @ x), history=12).steps(40)
    assert np.abs(rows[-1]).max() < 1e-8


def test_lbfgs_stays_where_nothing_is_lower():
    def kinked(x):  # the slope says descend, the loss says otherwise
        return np.abs(x - X0).sum(), np.ones(12)

    _, rows = Run(optim.LBFGS, kinked).steps(2)
    np.testing.assert_array_equal(rows, [X0, X0])


def test_lbfgs_turns_back_from_overflow():
    def steep(x):
        return np.exp(400 * x).sum(), 400 * np.exp(400 * x)

    losses, _ = Run(optim.LBFGS, steep, np.array([0.5]), lr=1e3).steps(5)
    assert np.all(np.diff(losses) <= 0) and np.all(np.isfinite(losses))


@host_only
def test_lbfgs_turns_back_from_a_slope_that_overflows():
    def steep(x):  # the gradient far away is finite, and so is the loss
        far = np.abs(x).max() > 1e4
        return (1e30 if far else (x @ x) / 2), (np.sign(x) * 3e38 if far else x)

    losses, _ = Run(optim.LBFGS, steep, 30 * X0, "float32", lr=1e9).steps(5)
    assert losses[-1] < losses[0]


def test_lbfgs_refuses_a_projection():
    with pytest.raises(ValueError, match="LBFGS takes no projection"):
        Run(optim.LBFGS, projection=optim.Box(-1, 1))


@given(st.floats(-3, -0.1), st.floats(0.05, 20), st.floats(0.001, 50))
def test_the_search_satisfies_its_conditions(slope, curvature, trial):
    def at(t):  # a quartic well
        return slope * t + curvature * t**2 + 0.1 * t**4, slope + 2 * curvature * t + 0.4 * t**3

    t = search(at, slope, trial, 60)
    loss, along = at(t)
    assert loss <= C1 * t * slope and abs(along) <= C2 * abs(slope)


def test_the_search_ends_where_no_number_is_left_between_its_points():
    def at(t):  # falls up to 1, and is higher anywhere beyond
        return (-t, -1.0) if t <= 1 else (1.0, 1.0)

    assert search(at, -1.0, 1.0, 100) == 1


@pytest.mark.parametrize("jump", (1e200, 1e300))
def test_the_search_turns_back_from_slopes_that_overflow_when_squared(jump):
    def at(t):
        return (-t, -1.0) if t < 0.3 else (jump, jump)

    t = search(at, -1.0, 1.0, 20)
    assert 0 < t < 0.3


@given(st.floats(-3, -0.1), st.floats(0.05, 20), st.floats(0.001, 50), st.integers(-900, 900))
def test_a_search_does_not_know_the_scale_of_the_loss(slope, curvature, trial, exponent):
    tried = {}
    for scale in (1.0, 2.0**exponent):  # which rounds nothing
        tried[scale] = []

        def at(t, scale=scale):
            tried[scale].append(t)
            loss = slope * t + curvature * t**2 + 0.1 * t**4
            return scale * loss, scale * (slope + 2 * curvature * t + 0.4 * t**3)

        search(at, scale * slope, trial, 60)
    assert tried[1.0] == tried[2.0**exponent]


def test_the_gradient_of_the_lowest_trial_is_kept():
    now, kept = [], []

    def at(t):
        now.append(t)
        return (t - 3) ** 2 - 9, 2 * (t - 3) if t != 4 else -1.0  # so that no trial satisfies both

    found = strong_wolfe(at, lambda: kept.append(now[-1]), ne, 0.0, -6.0, 1.0, 4)
    losses = [(t - 3) ** 2 for t in now]
    assert kept[-1] == found.step == now[losses.index(min(losses))]


def test_a_trial_that_is_not_finite_is_never_taken():
    for bad in ((np.nan, 1.0), (-1.0, np.nan), (-np.inf, 1.0), (-9.0, np.inf)):
        assert 0 < search(lambda t, bad=bad: bad if t > 0.1 else (-t, -1.0), -1.0, 1.0, 25) <= 0.1


# LBFGS on functions


@pytest.mark.parametrize("name", THEIRS)
def test_evaluations_beside_those_of_scipy(name):
    below, theirs = THEIRS[name]
    assert minimize(name, below, iterations=20, history=10) <= 1.25 * theirs


@pytest.mark.parametrize("exponent", range(-12, 13, 4))
@pytest.mark.parametrize("dtype, below", [("float64", 1e-10), ("float32", 1e-8)])
def test_the_scale_of_the_loss_changes_nothing(dtype, below, exponent):
    count = minimize("Rosenbrock", below, 10.0**exponent, dtype, iterations=20)
    assert count <= 50


@pytest.mark.parametrize(
    "name, below", [("Osborne 1", 1e-10), ("Watson 9", 1e-11), ("Powell singular", 1e-15)]
)
def test_valleys_that_are_flat(name, below):
    assert minimize(name, below, iterations=20) < 400


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_step_evaluates_no_point_twice(name):
    function = FUNCTIONS[name]
    run = Run(optim.LBFGS, function, np.array(function.start, float), iterations=400)
    for _ in range(3):  # of which the first reaches the bottom
        run.calls.clear()
        here = run.x.numpy().copy()
        run.steps(1)
        points = [x.tobytes() for x, _, _ in run.calls]
        assert points[0] == here.tobytes() and len(set(points)) == len(points) < 400


@pytest.mark.parametrize("name", FUNCTIONS)
def test_many_searches_in_a_step_are_as_many_steps(name):
    function, ends = FUNCTIONS[name], []
    for steps, iterations in ((12, 1), (3, 4), (1, 12)):
        run = Run(optim.LBFGS, function, np.array(function.start, float), iterations=iterations)
        run.steps(steps)
        ends.append((run.x.numpy().copy(), len(run.calls) - steps))
    for x, searched in ends[1:]:
        np.testing.assert_array_equal(x, ends[0][0])
        assert searched == ends[0][1]


def test_a_rate_of_0_evaluates_once_and_moves_nothing():
    run = Run(optim.LBFGS, lr=lambda t: 0.0 if t in (1, 4) else 1.0)
    _, rows = run.steps(1)
    np.testing.assert_array_equal(rows[0], X0)
    run.steps(2)
    here, calls = run.x.numpy().copy(), len(run.calls)
    assert np.any(here != X0) and run.opt.state["pairs"] == 2
    run.steps(1)
    np.testing.assert_array_equal(run.x.numpy(), here)
    assert len(run.calls) == calls + 1 and run.opt.state["pairs"] == 2


@pytest.mark.parametrize("loss", (np.nan, np.inf, -np.inf))
def test_a_step_from_a_loss_that_is_not_finite_is_refused(loss):
    run = Run(optim.LBFGS, lambda x: (loss, x))
    with pytest.raises(FloatingPointError, match=f"LBFGS.*at step 1: the loss is {loss}"):
        run.steps(1)
    np.testing.assert_array_equal(run.x.numpy(), X0)
    assert run.opt.t == 0


def test_a_search_turns_back_from_where_the_loss_is_nan():
    def barrier(x):  # sum of x - log x
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sum(x - np.log(x)), 1 - 1 / x

    _, rows = Run(optim.LBFGS, barrier, np.array([0.01, 5.0]), lr=100.0, iterations=30).steps(1)
    np.testing.assert_allclose(rows[-1], 1, atol=1e-6)


# uphill, or so far that the search does not find back
@pytest.mark.parametrize("curvature", (-1, 1e-30))
def test_changes_that_lead_nowhere_are_forgotten(curvature):
    run = Run(optim.LBFGS, iterations=5)
    run.steps(1)
    assert run.opt.state["pairs"] == 5
    run.opt.state["y"][...] *= curvature
    before = log_cosh(run.x.numpy())[0]
    run.steps(1)
    assert log_cosh(run.x.numpy())[0] < before
    assert 0 < run.opt.state["pairs"] <= 5


@host_only
@pytest.mark.parametrize("scale", (1e-36, 1e30))
def test_gradients_whose_squares_a_float32_does_not_hold(scale):
    count = minimize("Rosenbrock", 1e-4, scale, "float32", iterations=40)
    assert count <= 60
