"""The loop on noisy functions of one number, and these functions."""

import numpy as np
import pytest

import optim
from experiments.loops.lanes import STRETCH, Lanes
from experiments.problems import noisy
from minigrad import Tensor, ops
from tests.driving import host_only

pytestmark = host_only
TIMES = np.array([1, 7, 230, 450])


def lanes(rule=optim.SGD, **settings):
    options = {"x1": np.full((2, 3), 0.5), "times": TIMES, "seed": 4} | settings
    return Lanes(rule, noisy.quadratic, lambda rng, n: noisy.signs(rng, n, copies=3), **options)


def played(trial, steps=np.inf):
    while not trial.done and trial.opt.t < steps:
        trial.advance()
    return trial


def test_a_lane_is_a_run_of_its_own():
    """Against the recursion x - lr (x + noise) in a loop of numbers."""
    rates = np.repeat([0.1, 0.3], 3)
    trial = played(lanes(lr=rates, measure=lambda x: x * x)).traces()
    noise = np.concatenate(
        [
            noisy.signs(np.random.default_rng([4, start]), min(STRETCH, 451 - start), 3)
            for start in range(1, 451, STRETCH)
        ]
    )
    for row, rate in enumerate((0.1, 0.3)):
        for copy in range(3):
            xs = [0.5]
            for one in noise[:, copy]:
                xs.append(xs[-1] - rate * (xs[-1] + one))
            np.testing.assert_allclose(trial["x"][:, row, copy], np.array(xs)[TIMES - 1])
            squares = np.split(np.square(xs[:450]), TIMES[:-1])
            np.testing.assert_allclose(trial["mean"][:, row, copy], list(map(np.mean, squares)))


def test_a_trial_that_is_stopped_goes_on_to_the_same_bits():
    settings = {"measure": lambda x: x * x, "lr": 0.01}
    whole = played(lanes(optim.AMSGrad, **settings)).traces()
    half, rest = lanes(optim.AMSGrad, **settings), lanes(optim.AMSGrad, **settings)
    rest.load_state_dict(played(half, STRETCH).state_dict())
    assert not rest.done
    for name, values in played(rest).traces().items():
        np.testing.assert_array_equal(values, whole[name])


def test_rules_that_see_other_coordinates_are_refused():
    with pytest.raises(ValueError, match="rules: DAdaptAdam looks at all coordinates at once"):
        lanes(optim.DAdaptAdam)


@pytest.mark.parametrize(
    ("slope", "function"),
    [
        (noisy.quadratic, lambda x: x**2 / 2),
        (noisy.soft_absolute, lambda x: ops.sqrt(1 + x**2)),
        (lambda x: noisy.double_well(x, 0.1), lambda x: noisy.double_well_height(x, 0.1)),
    ],
)
def test_slopes_are_the_derivatives(slope, function):
    x = Tensor(np.linspace(-2, 2, 9), requires_grad=True)
    function(x).sum().backward()
    np.testing.assert_allclose(slope(x.numpy()), x.grad, atol=1e-15)


def test_the_extrema_of_the_double_well():
    better, top, worse = noisy.double_well_extrema(0.1)
    assert (better, top, worse) == pytest.approx((-1.04668, 0.10103, 0.94565), abs=1e-5)
    assert noisy.double_well_height(better, 0.1) < noisy.double_well_height(worse, 0.1)
    for beyond, roots in ((0.999, 3), (1.001, 1)):
        found = np.roots([1, 0, -1, beyond * noisy.STEEPEST])
        assert np.isreal(found).sum() == roots


@pytest.mark.parametrize("probability", [1.0, 0.1])
def test_signs_have_mean_0_and_variance_1(probability):
    draws = noisy.signs(np.random.default_rng(0), 1000, 1000, probability)
    assert abs(draws.mean()) < 0.004 and abs(draws.var() - 1) < 0.01
    assert np.mean(draws != 0) == pytest.approx(probability, abs=0.002)


def test_bernoulli_has_the_moments_that_the_bias_is_made_of():
    draws = noisy.bernoulli(np.random.default_rng(0), 1000, 1000, 0.1, (1, 4))
    assert draws.shape == (1000, 2, 1000)
    for one, batch in zip(draws.swapaxes(0, 1), (1, 4), strict=True):
        assert abs(one.mean()) < 0.001
        assert one.var() == pytest.approx(0.09 / batch, rel=0.01)
        assert np.mean(one**3) == pytest.approx(-0.8 * 0.09 / batch**2, rel=0.02)
