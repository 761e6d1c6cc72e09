import json
from pathlib import Path

import numpy as np
import pytest

import minigrad
import optim
from optim.schedules import Constant, Cosine, ReduceOnPlateau, WarmUp
from tests.driving import SIZE, assert_identical, drive, end, gradients, start, tensors

with np.load(Path(__file__).parents[1] / "oracles" / "schedules.npz") as file:
    RECORDED = dict(file)
PLATEAUS = json.loads(str(RECORDED["plateaus"]))


@pytest.mark.parametrize("row", range(len(PLATEAUS)))
def test_reduces_where_torch_does(row):
    schedule, got = ReduceOnPlateau(0.1, **PLATEAUS[row]), []
    for loss in RECORDED["losses"][row]:
        schedule.feed(loss)
        got.append(schedule(1))
    np.testing.assert_allclose(got, RECORDED["after"][row], rtol=1e-12)
    assert got[-1] < got[0] == 0.1


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
