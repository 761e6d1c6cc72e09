import inspect
import json
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from driving import SIZE, assert_identical, drive, end, gradients, start, tensors

import minigrad
import optim
from optim import schedules
from optim.schedules import (
    LEAST,
    Constant,
    Cosine,
    CosineRestarts,
    Cyclic,
    Exponential,
    Inverse,
    InverseSqrt,
    Linear,
    MultiStep,
    OneCycle,
    OneMinusInverse,
    Polynomial,
    Power,
    ReduceOnPlateau,
    Step,
    WarmUp,
    WarmUpStableDecay,
)

EVERY = {  # every public class of the module
    one
    for name, one in inspect.getmembers(schedules, inspect.isclass)
    if one.__module__ == schedules.__name__ and not name.startswith("_")
}
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
        ReduceOnPlateau(0.8, patience=2),
        "ReduceOnPlateau(value=0.8, factor=0.1, patience=2, threshold=0.0001, cooldown=0, "
        "min_scale=0.0)",
        (0.8, 0.8, 0.8),
    ),
]
each = pytest.mark.parametrize("schedule, text, values", TABLE, ids=[row[1] for row in TABLE])
VALUES = {"value", "start", "end", "peak", "low", "high"}  # the fields in the values' unit
IN_CLOSED_FORM = {InverseSqrt, Power, Inverse, OneMinusInverse}  # the table says all of them

with np.load(Path(__file__).parent / "oracles" / "schedules.npz") as file:
    RECORDED = dict(file)
CASES = json.loads(str(RECORDED["cases"]))
PLATEAUS = json.loads(str(RECORDED["plateaus"]))


def test_every_schedule_is_in_the_table_and_proved():
    assert {type(schedule) for schedule, _, _ in TABLE} == EVERY
    recorded = {type(eval(text)) for text, _, _ in CASES} | {ReduceOnPlateau}
    assert recorded | IN_CLOSED_FORM == EVERY and not recorded & IN_CLOSED_FORM
    assert all(one.__doc__ and one.__module__ == "optim.schedules" for one in EVERY)


@pytest.mark.parametrize("row", range(len(CASES)), ids=[f"{c[0]}, {c[1]}" for c in CASES])
def test_has_the_values_of_torch_and_optax(row):
    text, _, steps = CASES[row]
    schedule = eval(text)
    got = [schedule(t) for t in range(1, steps + 1)]
    np.testing.assert_allclose(got, RECORDED["values"][row, :steps], rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("row", range(len(PLATEAUS)))
def test_reduces_where_torch_does(row):
    schedule, got = ReduceOnPlateau(0.1, **PLATEAUS[row]), []
    for loss in RECORDED["losses"][row]:
        schedule.feed(loss)
        got.append(schedule(1))
    np.testing.assert_allclose(got, RECORDED["after"][row], rtol=1e-12)
    assert got[-1] < got[0] == 0.1


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
    assert names or type(schedule) in (OneMinusInverse, WarmUp)
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


# What is refused

CHECKED = [schedule for schedule, _, _ in TABLE if isinstance(schedule, schedules._Checked)]


def refused(name, value, schedule, **changes):
    said = rf"^{type(schedule).__name__}: {name}={re.escape(repr(value))}; it must be "
    with pytest.raises(ValueError, match=said):
        replace(schedule, **{name: value}, **changes)


@pytest.mark.parametrize("schedule", CHECKED, ids=repr)
def test_refuses_what_makes_no_sense(schedule):
    for one in fields(schedule):
        if one.init and one.name not in ("schedule", "milestones"):
            for bad in (-1, float("nan"), float("inf"), None, "1"):
                refused(one.name, bad, schedule)
            if one.name in LEAST:
                refused(one.name, LEAST[one.name] - 1, schedule)
                refused(one.name, 2.5, schedule)
                replace(schedule, **{one.name: np.int64(LEAST[one.name])})
            elif one.name in VALUES:
                refused(one.name, np.array([0.1, -0.1]), schedule)
                replace(schedule, **{one.name: 0})


@pytest.mark.parametrize("bad", [(3, 2), (2, 2), (0, 4), (2.5,), [2, 3], 4, "4", None], ids=repr)
def test_refuses_milestones_that_are_none(bad):
    refused("milestones", bad, MultiStep(0.1, 0.5, (2, 3)))


def test_refuses_to_warm_up_what_is_no_schedule():
    refused("schedule", 0.1, WarmUp(2, Constant(0.1)))


@pytest.mark.parametrize("name", ("factor", "min_scale"))
def test_refuses_a_plateau_that_raises(name):
    refused(name, 1.5, ReduceOnPlateau(0.1))
    refused(name, np.array([0.1, 0.2]), ReduceOnPlateau(0.1))


# ReduceOnPlateau


def scales(schedule, losses):
    """The value after each feed."""
    got = []
    for loss in losses:
        schedule.feed(loss)
        got.append(schedule(1))
    return got


def test_a_plateau_lowers_after_patience_bad_feeds_and_not_before():
    schedule = ReduceOnPlateau(1.0, factor=0.5, patience=3)
    assert scales(schedule, [5, 5, 5, 5]) == [1, 1, 1, 1]  # the first is the best
    assert scales(schedule, [4, 5, 5, 5]) == [1, 1, 1, 1]  # a better one starts the count again
    assert scales(schedule, [5, 5, 5, 5, 5]) == [0.5, 0.5, 0.5, 0.5, 0.25]


def test_a_plateau_takes_a_fall_within_the_threshold_for_none():
    for loss, lowered in ((99.1, True), (99.0, True), (98.9, False)):
        schedule = ReduceOnPlateau(1.0, factor=0.5, patience=0, threshold=0.01)
        assert scales(schedule, [100, loss]) == [1, 0.5 if lowered else 1]
    for loss, lowered in ((-100.9, True), (-101.1, False)):  # further down, whatever the sign
        schedule = ReduceOnPlateau(1.0, factor=0.5, patience=0, threshold=0.01)
        assert scales(schedule, [-100, loss]) == [1, 0.5 if lowered else 1]


def test_a_plateau_counts_no_bad_feed_in_the_cooldown():
    schedule = ReduceOnPlateau(1.0, factor=0.5, patience=1, cooldown=3)
    assert scales(schedule, [5] * 9) == [1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_a_plateau_ends_at_the_least_scale():
    schedule = ReduceOnPlateau(2.0, factor=0.5, patience=0, min_scale=0.2)
    assert scales(schedule, [5] * 6) == [2, 1, 0.5, 0.4, 0.4, 0.4]


def test_a_plateau_takes_nan_for_bad_and_a_tensor_for_its_value():
    schedule = ReduceOnPlateau(1.0, factor=0.5, patience=1)
    assert scales(schedule, [5, float("nan"), minigrad.Tensor(7.0)]) == [1, 1, 0.5]
    assert schedule.best == 5 and type(schedule.best) is float


# In an optimizer

GRADS = gradients(20)


@each
def test_works_as_the_lr_of_an_optimizer(schedule, text, values):
    by_schedule = optim.Adam(tensors(start()), lr=schedule)
    by_hand = optim.Adam(tensors(start()))
    for t, g in enumerate(GRADS, 1):
        by_hand.lr = schedule(t)
        np.testing.assert_array_equal(drive(by_schedule, [g]), drive(by_hand, [g]))


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


def plateau(value):
    return ReduceOnPlateau(value, factor=0.5, patience=1, cooldown=2)


def inner(schedule):
    return schedule.schedule if isinstance(schedule, WarmUp) else schedule


STATEFUL = {  # hyperparameters, and where in them there is state
    "lr": (lambda: {"lr": plateau(0.1)}, ["lr"]),
    "an array": (lambda: {"lr": plateau(np.linspace(0.01, 0.1, SIZE))}, ["lr"]),
    "after a warm-up": (lambda: {"lr": WarmUp(12, plateau(0.1))}, ["lr"]),
    "a beta": (lambda: {"lr": Cosine(0.1, 0, 9), "betas": (0.9, plateau(0.99))}, ["betas[1]"]),
    "all": (
        lambda: {"lr": plateau(0.1), "betas": (plateau(0.9), WarmUp(3, plateau(0.99)))},
        ["betas[0]", "betas[1]", "lr"],
    ),
}
stateful = pytest.mark.parametrize("settings, places", STATEFUL.values(), ids=STATEFUL)


def plateaus(opt):
    every = (inner(one) for one in (opt.lr, *opt.betas))
    return [one for one in every if isinstance(one, ReduceOnPlateau)]


def train(opt, grads, losses):
    """Step with each gradient and feed each loss to each of the optimizer's plateaus."""
    rows = []
    for g, loss in zip(grads, losses, strict=True):
        rows.append(drive(opt, [g])[0])
        for i, one in enumerate(plateaus(opt)):
            one.feed(loss + i * (one.bad - 1))
    return np.array(rows)


LOSSES = [3, 2, 2, 2, 2, 2, 2, 1, 1, 1.5, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]


@stateful
def test_an_optimizer_saves_its_schedules_and_continues_bit_for_bit(settings, places, tmp_path):
    opt = optim.AMSGrad(tensors(start()), **settings())
    train(opt, GRADS[:10], LOSSES[:10])
    minigrad.save(tmp_path / "state.npz", params=opt.params, opt=opt)
    half_way = [one.state_dict() for one in plateaus(opt)]
    rows = train(opt, GRADS[10:], LOSSES[10:])
    saved = minigrad.load(tmp_path / "state.npz")
    assert sorted(saved["opt"]["schedules"]) == places
    fresh = optim.AMSGrad(tensors(np.zeros(SIZE)), **settings())
    fresh.params.load_state_dict(saved["params"])
    fresh.load_state_dict(saved["opt"])
    assert [one.state_dict() for one in plateaus(fresh)] == half_way
    assert all(state["scale"] < 1 for state in half_way)
    np.testing.assert_array_equal(train(fresh, GRADS[10:], LOSSES[10:]), rows, strict=True)
    assert_identical(end(fresh), end(opt))
    ends = [[one.state_dict() for one in plateaus(each)] for each in (fresh, opt)]
    assert ends[0] == ends[1] != half_way


def test_a_schedule_without_state_leaves_none():
    for lr in (0.1, Constant(0.1), WarmUp(3, Cosine(0.1, 0, 9)), np.full(SIZE, 0.1)):
        assert optim.SGD(tensors(start()), lr=lr).state_dict()["schedules"] == {}


def test_a_saved_state_of_a_schedule_is_a_copy():
    opt = optim.SGD(tensors(start()), lr=plateau(0.1))
    saved = opt.state_dict()
    scales(opt.lr, [1] * 9)
    assert saved["schedules"]["lr"] == plateau(0.1).state_dict() != opt.lr.state_dict()


def test_a_plateau_that_was_never_fed_is_saved_too(tmp_path):
    opt = optim.SGD(tensors(start()), lr=plateau(0.1))
    minigrad.save(tmp_path / "state.npz", opt=opt)
    scales(opt.lr, [1] * 9)
    opt.load_state_dict(minigrad.load(tmp_path / "state.npz")["opt"])
    assert opt.lr.state_dict() == {"scale": 1.0, "best": float("inf"), "bad": 0, "resting": 0}


GOOD = plateau(0.1).state_dict()
UNFIT = {
    "none": ({}, r"lacks the schedules \['betas\[0\]', 'lr'\] and has \[\] too many; build"),
    "one": ({"lr": GOOD}, r"lacks the schedules \['betas\[0\]'\] and has \[\]"),
    "another": (
        {"lr": GOOD, "momentum": GOOD},
        r"lacks the schedules \['betas\[0\]'\] and has \['momentum'\]",
    ),
    "one too many": (
        {"lr": GOOD, "betas[0]": GOOD, "betas[1]": GOOD},
        r"lacks the schedules \[\] and has \['betas\[1\]'\]",
    ),
    "not what it gave": ({"lr": GOOD, "betas[0]": {"scale": 0.5}}, r"has \['scale'\]; give"),
    "no state": ({"lr": GOOD, "betas[0]": 0.5}, "has no attribute 'keys'"),
    "nor the other": ({"lr": {**GOOD, "u": 1}, "betas[0]": GOOD}, r"'resting', 'u'\]; give"),
}


@pytest.mark.parametrize("given, said", UNFIT.values(), ids=UNFIT)
def test_schedules_that_do_not_fit_change_nothing(given, said):
    opts = [
        optim.Adam(tensors(start()), lr=plateau(0.1), betas=(plateau(0.9), 0.99)) for _ in range(3)
    ]
    for opt, n in zip(opts, (5, 5, 9), strict=True):
        train(opt, GRADS[:n], LOSSES[:n])
    before = opts[0].state_dict()["schedules"]
    with pytest.raises((ValueError, AttributeError), match=said):
        opts[0].load_state_dict({**opts[2].state_dict(), "schedules": given})
    assert opts[0].t == 5 and opts[0].state_dict()["schedules"] == before
    assert_identical(end(opts[0]), end(opts[1]))
    again = [train(opt, GRADS[5:], LOSSES[5:]) for opt in opts[:2]]
    np.testing.assert_array_equal(*again)
