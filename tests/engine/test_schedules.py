import json
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import optim
from optim import schedules
from optim.engine.kinds import kinds
from optim.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Cyclic,
    Exponential,
    Inverse,
    InverseSqrt,
    Linear,
    MemoryWarmUp,
    MultiStep,
    OneCycle,
    OneMinusInverse,
    Polynomial,
    Power,
    Product,
    ReduceOnPlateau,
    Sequence,
    Step,
    WarmUp,
    WarmUpStableDecay,
)
from optim.schedules.base import CheckedSchedule
from tests.driving import SIZE, drive, end, gradients, host_only, start, tensors

EVERY = {getattr(schedules, name) for name in schedules.__all__}
EVERY -= {MemoryWarmUp}  # of numbers alone: see test_identities_adam.py
TABLE = [  # schedule, its text, its values at t = 1, 4, 9
    (Constant(0.5), "Constant(value=0.5)", (0.5, 0.5, 0.5)),
    (InverseSqrt(0.6), "InverseSqrt(value=0.6)", (0.6, 0.3, 0.2)),
    (Power(2.0, 0.5), "Power(value=2.0, exponent=0.5)", (2, 4, 6)),
    (Power(2.0, -1), "Power(value=2.0, exponent=-1)", (2, 1 / 2, 2 / 9)),
    (Exponential(0.9, 0.5), "Exponential(value=0.9, rate=0.5)", (0.9, 0.9 / 8, 0.9 / 256)),
    (Inverse(0.9), "Inverse(value=0.9)", (0.9, 0.225, 0.1)),
    (OneMinusInverse(), "OneMinusInverse()", (0, 3 / 4, 8 / 9)),
    (Linear(0.8, 0.2, 6), "Linear(start=0.8, end=0.2, steps=6)", (0.8, 0.5, 0.2)),
    (
        Polynomial(0.9, 0.1, 6, 3),
        "Polynomial(start=0.9, end=0.1, steps=6, power=3)",
        (0.9, 0.2, 0.1),
    ),
    (Cosine(0.8, 0.2, 9), "Cosine(start=0.8, end=0.2, steps=9)", (0.8, 0.65, 0.2180922137642275)),
    (
        CosineRestarts(0.8, 0.2, 2, 3),
        "CosineRestarts(start=0.8, end=0.2, steps=2, growth=3)",
        (0.8, 0.5 + 0.3 * 0.75**0.5, 0.8),
    ),
    (
        Cyclic(0.2, 0.8, 3, 2, 0.5),
        "Cyclic(low=0.2, high=0.8, rise=3, fall=2, shrink=0.5)",
        (0.2, 0.8, 0.5),
    ),
    (
        OneCycle(0.2, 0.8, 0.1, 6, 2),
        "OneCycle(start=0.2, peak=0.8, end=0.1, rise=6, fall=2)",
        (0.2, 0.5, 0.1),
    ),
    (Step(0.8, 0.5, 3), "Step(value=0.8, factor=0.5, every=3)", (0.8, 0.4, 0.2)),
    (
        MultiStep(0.8, 0.5, (3, 4, 8)),
        "MultiStep(value=0.8, factor=0.5, milestones=(3, 4, 8))",
        (0.8, 0.4, 0.1),
    ),
    (
        WarmUp(4, Inverse(0.8)),
        "WarmUp(steps=4, schedule=Inverse(value=0.8))",
        (0.2, 0.8, 0.16),
    ),
    (
        WarmUpStableDecay(0.8, 4, 2, 4, 0.4),
        "WarmUpStableDecay(value=0.8, warm_up=4, stable=2, decay=4, end=0.4)",
        (0.2, 0.8, 0.6),
    ),
    (
        Product(Inverse(0.8), 0.5),
        "Product(first=Inverse(value=0.8), second=0.5)",
        (0.4, 0.1, 0.4 / 9),
    ),
    (
        Sequence((Inverse(0.8), Constant(0.3), Inverse(0.6)), (3, 6)),
        "Sequence(schedules=(Inverse(value=0.8), Constant(value=0.3), Inverse(value=0.6)), "
        "milestones=(3, 6))",
        (0.8, 0.3, 0.2),
    ),
    (
        ReduceOnPlateau(0.8, patience=2),
        "ReduceOnPlateau(value=0.8, factor=0.1, patience=2, threshold=0.0001, cooldown=0, "
        "min_scale=0.0)",
        (0.8, 0.8, 0.8),
    ),
]
each = pytest.mark.parametrize("schedule, text, values", TABLE, ids=[row[1] for row in TABLE])
VALUES = {"value", "start", "end", "peak", "low", "high"}  # the fields in the values' unit
IN_CLOSED_FORM = {
    InverseSqrt,
    Power,
    Inverse,
    OneMinusInverse,
}  # the table says all of them

with np.load(Path(__file__).parents[1] / "oracles" / "schedules.npz") as file:
    RECORDED = dict(file)
CASES = json.loads(str(RECORDED["cases"]))


def test_every_schedule_is_in_the_table_and_proved():
    assert {type(schedule) for schedule, _, _ in TABLE} == EVERY
    recorded = {type(eval(text)) for text, _, _ in CASES} | {ReduceOnPlateau}
    assert recorded | IN_CLOSED_FORM == EVERY and not recorded & IN_CLOSED_FORM
    assert all(one.__doc__ for one in EVERY)


@pytest.mark.parametrize("row", range(len(CASES)), ids=[f"{c[0]}, {c[1]}" for c in CASES])
def test_has_the_values_of_torch_and_optax(row):
    text, _, steps = CASES[row]
    schedule = eval(text)
    got = [schedule(t) for t in range(1, steps + 1)]
    np.testing.assert_allclose(got, RECORDED["values"][row, :steps], rtol=1e-12, atol=1e-16)


@each
def test_values_at_1_based_steps(schedule, text, values):
    assert [schedule(t) for t in (1, 4, 9)] == pytest.approx(values, rel=1e-15)


@each
def test_says_what_it_is_and_is_equal_by_value(schedule, text, values):
    assert repr(schedule) == text == repr(eval(text))
    if type(schedule) is ReduceOnPlateau:  # two of one text may be in different states
        assert schedule != eval(text)
    else:
        assert eval(text) == schedule and hash(eval(text)) == hash(schedule)
    assert schedule != Constant(7.0)


@each
def test_an_array_of_values_gives_each_its_own(schedule, text, values):
    many = np.array([0.25, 0.5, 3.0])
    names = {one.name for one in fields(schedule)} & VALUES
    assert names or type(schedule) in (OneMinusInverse, WarmUp, Product, Sequence)
    for name in names:
        sweep = replace(schedule, **{name: many})
        for t in (1, 2, 5, 10, 30):
            alone = [replace(schedule, **{name: value})(t) for value in many.tolist()]
            assert np.broadcast_to(sweep(t), 3).tolist() == alone
    assert many.tolist() == [0.25, 0.5, 3.0]


def test_a_warm_up_of_an_array():
    many = np.array([0.25, 0.5, 3.0])
    for t in (1, 3, 4, 5, 9):
        alone = [WarmUp(4, Exponential(value, 0.9))(t) for value in many.tolist()]
        assert WarmUp(4, Exponential(many, 0.9))(t).tolist() == alone


@pytest.mark.parametrize(
    "schedule, steps, last",
    [
        (Linear(0.7, 0.1, 7), 7, 0.1),  # 0.7 + (0.1 - 0.7) is not 0.1
        (Polynomial(0.3, 0.1, 7, 2), 7, 0.1),
        (Polynomial(0.3, 0.1, 7, 0), 0, 0.3),  # (1 - x)^0 is 1, at the end too
        (Cosine(0.3, 0.1, 7), 7, 0.1),
        (OneCycle(0.01, 0.3, 0.1, 3, 4), 7, 0.1),
        (WarmUpStableDecay(0.3, 2, 3, 2, 0.1), 7, 0.1),
        (WarmUpStableDecay(0.3, 2, 0, 5, 0.1), 7, 0.1),
        (MultiStep(0.4, 0.5, (3, 7)), 7, 0.1),
        (WarmUp(3, Cosine(0.3, 0.1, 4)), 7, 0.1),
    ],
    ids=repr,
)
def test_holds_the_final_value_after_the_last_step(schedule, steps, last):
    assert {schedule(t) for t in (steps + 1, steps + 2, 10 * steps + 3, 10**9)} == {last}
    if steps:
        assert schedule(steps) != last


@pytest.mark.parametrize("one", (CosineRestarts(0.8, 0.2, 5), Cyclic(0.2, 0.8, 3, 2)), ids=repr)
def test_repeats_for_ever(one):
    assert [one(t) for t in range(1, 6)] == [one(t + 5 * 10**8) for t in range(1, 6)]


def test_one_minus_inverse_makes_a_running_mean_an_average():
    values, mean = [3.0, 5.0, 10.0, 2.0], 0.0
    for t, value in enumerate(values, 1):
        beta = OneMinusInverse()(t)
        mean = beta * mean + (1 - beta) * value
    assert mean == pytest.approx(5)


# Schedules of schedules


@pytest.mark.parametrize("schedule", (Cosine(0.3, 0.1, 7), Linear(0.1, 0.02, 5)), ids=repr)
def test_no_steps_at_all_are_none(schedule):
    for t in (1, 2, 9):
        assert WarmUp(0, schedule)(t) == Sequence((Constant(9), schedule), (0,))(t) == schedule(t)
        assert replace(schedule, steps=0)(t) == schedule.end
        assert OneCycle(0.2, schedule.start, schedule.end, 0, schedule.steps)(1) == schedule.start
    assert [OneCycle(0.2, 0.8, 0.1, 3, 0)(t) for t in (1, 3, 4, 9)] == [0.2, 0.65, 0.1, 0.1]
    assert [WarmUpStableDecay(0.8, 0, 2, 0, 0.1)(t) for t in (1, 2, 3, 9)] == [0.8, 0.8, 0.1, 0.1]
    assert MemoryWarmUp(0.9, 0.99, 0)(1) == 0.99


def test_a_product_is_written_as_one():
    many = np.array([0.1, 0.2])
    half = Product(Cosine(0.1, 0, 9), 0.5)
    assert Cosine(0.1, 0, 9) * 0.5 == half and 0.5 * Cosine(0.1, 0, 9) == replace(
        half, first=half.second, second=half.first
    )
    for swept in (many * Inverse(0.5), Inverse(0.5) * many):
        assert type(swept) is Product
        np.testing.assert_array_equal(swept(2), many / 4)
    assert (Inverse(0.6) * Step(1.0, 0.5, 2) * ReduceOnPlateau(3.0))(3) == 0.3
    with pytest.raises(
        ValueError, match="second='x'; it must be finite and not negative, or a sch"
    ):
        Inverse(0.6) * "x"


def test_arrays_are_copied_compared_and_hashed_by_value():
    many = np.array([0.1, 0.2])
    one, other = WarmUp(2, Constant(many)), WarmUp(2, Constant(many.copy()))
    assert one == other and hash(one) == hash(other) and len({one, other}) == 1
    many[0] = 9
    assert one == other != WarmUp(2, Constant(many))
    np.testing.assert_array_equal(one(3), [0.1, 0.2])
    assert Constant(np.full(2, 0.1)) != Constant(np.full((2, 1), 0.1)) != Constant(0.1)


@host_only
def test_an_array_in_a_schedule_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        Constant(np.full(2, 0.1)).value[0] = 9


# What is refused

CHECKED = [schedule for schedule, _, _ in TABLE if isinstance(schedule, CheckedSchedule)]


def refused(name, value, schedule, **changes):
    said = rf"^{type(schedule).__name__}: {name}={re.escape(repr(value))}; it must be "
    with pytest.raises(ValueError, match=said):
        replace(schedule, **{name: value}, **changes)


@pytest.mark.parametrize("schedule", CHECKED, ids=repr)
def test_refuses_what_makes_no_sense(schedule):
    for one in fields(schedule):
        if one.init and one.name not in ("schedule", "schedules", "milestones"):
            for bad in (-1, float("nan"), float("inf"), None, "1"):
                refused(one.name, bad, schedule)
            kind = kinds(type(schedule))[one.name]
            if kind.whole:
                refused(one.name, int(kind.low) - 1, schedule)
                refused(one.name, 2.5, schedule)
                replace(schedule, **{one.name: np.int64(kind.low)})
            elif one.name in VALUES:
                refused(one.name, np.array([0.1, -0.1]), schedule)
                replace(schedule, **{one.name: 0})


@pytest.mark.parametrize("bad", [(3, 2), (2, 2), (0, 4), (2.5,), [2, 3], 4, "4", None], ids=repr)
def test_refuses_milestones_that_are_none(bad):
    refused("milestones", bad, MultiStep(0.1, 0.5, (2, 3)))


def test_refuses_to_warm_up_what_is_no_schedule():
    refused("schedule", 0.1, WarmUp(2, Constant(0.1)))


def test_refuses_a_sequence_that_is_none():
    two = Sequence((Constant(0.1), Constant(0.2)), (5,))
    for bad in (0.1, (), (0.1, 0.2), [Constant(0.1), Constant(0.2)], (Constant(0.1), None)):
        refused("schedules", bad, two)
    for bad in ((), (5, 6), (-1,), (2.5,), [5], 5, None):
        refused("milestones", bad, two)
    with pytest.raises(
        ValueError, match=r"milestones=\(5, 3\); it must be a tuple of 2, one fewer"
    ):
        Sequence((Constant(0.1), Constant(0.2), Constant(0.3)), (5, 3))


@pytest.mark.parametrize("name", ("factor", "min_scale"))
def test_refuses_a_plateau_that_raises(name):
    refused(name, 1.5, ReduceOnPlateau(0.1))
    refused(name, np.array([0.1, 0.2]), ReduceOnPlateau(0.1))


# In an optimizer

GRADS = gradients(20)


@each
def test_works_as_the_lr_of_an_optimizer(schedule, text, values):
    by_schedule = optim.Adam(tensors(start()), lr=schedule)
    by_hand = optim.Adam(tensors(start()))
    for t, g in enumerate(GRADS, 1):
        by_hand.lr = schedule(t)
        np.testing.assert_array_equal(drive(by_schedule, [g]), drive(by_hand, [g]))


@pytest.mark.parametrize("grow", (Exponential(1e-7, 1.1), lambda t: 1e-7 * 1.1 ** (t - 1)))
def test_one_that_overflows_is_named_with_its_step_and_changes_nothing(grow):
    opt = optim.SGD(tensors(start()), lr=grow)
    opt.t = 7500
    with pytest.raises(ValueError, match=r"lr=(Exp|<func).* overflows at step 7501; mend the sch"):
        drive(opt, GRADS[:1])
    np.testing.assert_array_equal(end(opt)["p"], start())
    assert opt.t == 7500


@each
def test_works_as_a_sweep_over_lr(schedule, text, values):
    many = np.linspace(0.01, 0.1, SIZE)
    names = {one.name for one in fields(schedule)} & VALUES
    for name in names:
        sweep = optim.Adam(tensors(start()), lr=replace(schedule, **{name: many}))
        rows = drive(sweep, GRADS)
        for i in (0, 17, SIZE - 1):
            here = replace(schedule, **{name: float(many[i])})
            alone = optim.Adam(tensors(start()[[i]], [(1,)]), lr=here)
            np.testing.assert_array_equal(drive(alone, GRADS[:, [i]])[:, 0], rows[:, i])
