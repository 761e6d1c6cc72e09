import numpy as np
import pytest

from optim.schedules import Constant, Exponential, Inverse, InverseSqrt, OneMinusInverse, Power

TABLE = [  # schedule, its text, its values at t = 1, 4, 9
    (Constant(0.5), "Constant(value=0.5)", (0.5, 0.5, 0.5)),
    (InverseSqrt(0.6), "InverseSqrt(value=0.6)", (0.6, 0.3, 0.2)),
    (Power(2.0, 0.5), "Power(value=2.0, exponent=0.5)", (2, 4, 6)),
    (Power(2.0, -1), "Power(value=2.0, exponent=-1)", (2, 1 / 2, 2 / 9)),
    (Exponential(0.9, 0.5), "Exponential(value=0.9, rate=0.5)", (0.9, 0.9 / 8, 0.9 / 256)),
    (Inverse(0.9), "Inverse(value=0.9)", (0.9, 0.225, 0.1)),
    (OneMinusInverse(), "OneMinusInverse()", (0, 3 / 4, 8 / 9)),
]
schedules = pytest.mark.parametrize("schedule, text, values", TABLE, ids=[row[1] for row in TABLE])


@schedules
def test_values_at_1_based_steps(schedule, text, values):
    assert [schedule(t) for t in (1, 4, 9)] == pytest.approx(values, rel=1e-15)


@schedules
def test_says_what_it_is_and_is_equal_by_value(schedule, text, values):
    assert repr(schedule) == text
    assert eval(text) == schedule and hash(eval(text)) == hash(schedule)
    assert schedule != Constant(7.0)


@schedules
def test_an_array_of_values_gives_each_its_own(schedule, text, values):
    if isinstance(schedule, OneMinusInverse):
        return
    many = np.array([0.25, 0.5, 3.0])
    rest = {name: value for name, value in vars(schedule).items() if name != "value"}
    for t in (1, 2, 10):
        expected = [type(schedule)(value=value, **rest)(t) for value in many.tolist()]
        assert type(schedule)(value=many, **rest)(t).tolist() == expected
    assert many.tolist() == [0.25, 0.5, 3.0]


def test_one_minus_inverse_makes_a_running_mean_an_average():
    values, mean = [3.0, 5.0, 10.0, 2.0], 0.0
    for t, value in enumerate(values, 1):
        beta = OneMinusInverse()(t)
        mean = beta * mean + (1 - beta) * value
    assert mean == pytest.approx(5)
