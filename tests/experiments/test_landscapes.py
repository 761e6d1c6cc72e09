"""The functions of the plane, and the loop on them."""

import numpy as np
import pytest

import experiments
import optim
from experiments.claims import landscapes
from experiments.problems.functions import LANDSCAPES
from minigrad import Tensor
from tests.trials import finished

each = pytest.mark.parametrize("landscape", LANDSCAPES.values(), ids=lambda one: one.name)
AT_MINIMA = {  # values at minima, as the literature gives them; 0 elsewhere
    "styblinski_tang": -39.16616570377142 * 2,
}


@each
def test_minima_are_where_the_gradient_is_zero_and_the_value_is_known(landscape):
    for point in landscape.minima:
        x, y = (Tensor(z, requires_grad=True, dtype="float64") for z in point)
        value = landscape.value(x, y)
        value.backward()
        known = AT_MINIMA.get(landscape.function.__name__, 0)
        assert value.item() == pytest.approx(known, abs=1e-9)
        assert abs(x.grad.item()) < 1e-7 and abs(y.grad.item()) < 1e-7


@each
def test_no_point_of_the_window_is_lower(landscape):
    x, y = (np.linspace(*ends, 301) for ends in landscape.window)
    lowest = landscape.value(*landscape.minima[0])
    assert landscape.value(x, y[:, None]).min() >= lowest - 1e-9
    for point in (*landscape.minima, landscape.start):
        for z, (low, high) in zip(point, landscape.window, strict=True):
            assert low <= z <= high


def test_values_that_are_known():
    value = {name: one.value for name, one in LANDSCAPES.items()}
    assert value["rosenbrock"](-1.2, 1.0) == pytest.approx(24.2)
    assert value["himmelblau"](0.0, 0.0) == 170
    assert value["beale"](0.0, 0.0) == pytest.approx(14.203125)


def trial(steps=250, rule=optim.Adam, name="rosenbrock", rates=(0.01, 0.1)):
    return landscapes.descent(LANDSCAPES[name], rule, rates=np.array(rates), steps=steps, seed=0)


def test_a_copy_follows_the_path_that_it_has_alone():
    both = finished(trial())
    for i, rate in enumerate((0.01, 0.1)):
        alone = finished(trial(rates=(rate,)))
        for key in ("x", "y"):
            np.testing.assert_array_equal(alone[key][:, 0], both[key][:, i])


def test_resumes_to_the_same_numbers():
    whole = finished(trial(name="noisy_quadratic"))
    part = trial(name="noisy_quadratic")
    part.advance()
    rest = trial(name="noisy_quadratic")
    rest.load_state_dict(part.state_dict())
    for key, array in finished(rest).items():
        np.testing.assert_array_equal(array, whole[key])


def test_noise_pushes_both_ways_and_stays_in_the_window():
    landscape = LANDSCAPES["noisy_quadratic"]
    trace = finished(trial(steps=2_000, name="noisy_quadratic", rule=optim.SGD, rates=(0.1, 10.0)))
    (left, right), _ = landscape.window
    assert trace["x"].min() >= left and trace["x"].max() <= right
    late = trace["x"][trace["t"] > 200, 0]
    assert late.min() < -0.3 and late.max() > 0.3


def test_a_path_arrives_when_it_comes_near_for_good():
    x = np.array([[3.0, 0, 3, 3], [0, 3, 0, 0.01], [3, 0, 0.04, 0.04], [0, 3, 0, 0.06]])
    trace = {"t": np.array([1, 5, 9, 20]), "x": x, "y": np.zeros_like(x)}
    landscape = LANDSCAPES["ravine"]
    assert landscapes.arrival(landscape, trace).tolist() == [np.inf, np.inf, 5, np.inf]
    assert landscapes.best(landscape, trace) == 2
    never = {"t": trace["t"], "x": x[:, [1, 3]], "y": np.zeros((4, 2))}
    assert landscapes.best(landscape, never) == 1  # the nearest at the end


def test_the_best_rate_is_inside_the_grid_and_descends():
    settings = landscapes.Landscapes(steps=500)
    for name in ("ravine", "rosenbrock"):
        make = landscapes.trials(settings)[f"Adam {name}"]
        trace = finished(make())
        chosen = landscapes.best(LANDSCAPES[name], trace)
        assert 0 < chosen < len(landscapes.RATES) - 1
        away = landscapes.distance(LANDSCAPES[name], trace)[:, chosen]
        assert away[-1] < 0.1 * away[0]


@pytest.mark.parametrize("name", ["lars", "lbfgs"])
def test_rules_that_cannot_be_compared_here_are_refused(name):
    with pytest.raises(ValueError, match=r"at all coordinates at once|asks for a closure"):
        experiments.run("landscapes", rules=name, steps=3)
