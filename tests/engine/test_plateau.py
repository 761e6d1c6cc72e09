import json
from pathlib import Path

import numpy as np
import pytest

import minigrad
import optim
from optim.engine import on_disk
from optim.schedules import Cosine, ReduceOnPlateau, Sequence, WarmUp
from tests.driving import SIZE, assert_identical, drive, end, gradients, start, tensors
from tests.wrappers.cases import assert_same

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


STATEFUL = {  # hyperparameters with something that is fed
    "lr": lambda: {"lr": plateau(0.1)},
    "an array": lambda: {"lr": plateau(np.linspace(0.01, 0.1, SIZE))},
    "after a warm-up": lambda: {"lr": WarmUp(12, plateau(0.1))},
    "around another": lambda: {"lr": plateau(WarmUp(3, Cosine(0.1, 0.01, 15)))},
    "times another": lambda: {"lr": Cosine(0.1, 0.01, 15) * plateau(1.0)},
    "one after another": lambda: {"lr": Sequence((plateau(0.1), plateau(0.05)), (8,))},
    "deep inside": lambda: {"lr": WarmUp(2, 0.5 * Sequence((plateau(plateau(0.1)),), ()))},
    "a beta": lambda: {"lr": Cosine(0.1, 0, 9), "betas": (0.9, plateau(0.99))},
    "all": lambda: {"lr": plateau(0.1), "betas": (plateau(0.9), WarmUp(3, plateau(0.99)))},
}
stateful = pytest.mark.parametrize("settings", STATEFUL.values(), ids=STATEFUL)


def plateaus(opt):
    return on_disk.stateful((opt.lr, opt.betas))


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
@pytest.mark.parametrize("built", (True, False), ids=("built the same", "built with numbers"))
def test_an_optimizer_saves_its_schedules_and_continues_bit_for_bit(settings, built, tmp_path):
    opt = optim.AMSGrad(tensors(start()), **settings())
    train(opt, GRADS[:10], LOSSES[:10])
    minigrad.save(tmp_path / "state.npz", params=opt.params, opt=opt)
    half_way = [one.state_dict() for one in plateaus(opt)]
    rows = train(opt, GRADS[10:], LOSSES[10:])
    saved = minigrad.load(tmp_path / "state.npz")
    fresh = optim.AMSGrad(tensors(np.zeros(SIZE)), **(settings() if built else {}))
    held = plateaus(fresh)
    fresh.params.load_state_dict(saved["params"])
    fresh.load_state_dict(saved["opt"])
    if built:  # whoever holds one may go on feeding it
        assert all(a is b for a, b in zip(held, plateaus(fresh), strict=True))
    assert [one.state_dict() for one in plateaus(fresh)] == half_way
    assert all(state["scale"] < 1 for state in half_way)
    np.testing.assert_array_equal(train(fresh, GRADS[10:], LOSSES[10:]), rows, strict=True)
    assert_identical(end(fresh), end(opt))
    ends = [[one.state_dict() for one in plateaus(each)] for each in (fresh, opt)]
    assert ends[0] == ends[1] != half_way


def test_a_saved_state_of_a_schedule_is_a_copy():
    opt = optim.SGD(tensors(start()), lr=plateau(0.1))
    saved = opt.state_dict()
    scales(opt.lr, [1] * 9)
    assert saved["settings"]["lr"]["state"] == plateau(0.1).state_dict() != opt.lr.state_dict()


def test_a_plateau_that_was_never_fed_is_saved_too(tmp_path):
    opt = optim.SGD(tensors(start()), lr=plateau(0.1))
    minigrad.save(tmp_path / "state.npz", opt=opt)
    scales(opt.lr, [1] * 9)
    opt.load_state_dict(minigrad.load(tmp_path / "state.npz")["opt"])
    assert opt.lr.state_dict() == {"scale": 1.0, "best": float("inf"), "bad": 0, "resting": 0}


def test_the_settings_of_a_saved_plateau_win_and_whoever_holds_it_feeds_on():
    opt = optim.SGD(tensors(start()), lr=ReduceOnPlateau(0.1, factor=0.5, patience=0))
    opt.lr.feed(1.0)
    held = ReduceOnPlateau(0.3, patience=7)
    fresh = optim.SGD(tensors(start()), lr=held)
    fresh.load_state_dict(opt.state_dict())
    assert fresh.lr is held and repr(held) == repr(opt.lr)
    assert scales(held, [2.0, 0.5, 0.6]) == [0.05, 0.05, 0.025]


GOOD = plateau(0.1).state_dict()


def form(**state):
    return {**on_disk.held(plateau(0.1)), "state": {**GOOD, **state}}


LACKS = {name: value for name, value in form().items() if name != "state"}
UNFIT = {
    "none": ({}, r"settings of Adam lacks \['betas', 'eps', 'lr'\] and has \[\] too many"),
    "no settings": (3, "the saved settings of Adam is 3; load what state_dict"),
    "a number": ({"lr": 0.3}, r"lr was 0.3 when .*, and is ReduceOnPlateau.*lose hold; set it to"),
    "not what it gave": (
        {"betas": {"0": LACKS, "1": 0.9}},
        r"betas\[0\]: ReduceOnPlateau with the state None; load what it gave",
    ),
    "no state": ({"lr": {**form(), "state": 0.5}}, "lr=.*: the state has 0.5; give one with"),
    "nor the other": ({"lr": form(u=1)}, r"'resting', 'u'\]; give"),
    "an unknown one": (
        {"lr": {"class": "Sundial", "fields": {}}},
        "lr was the schedule Sundial, which is unknown here; import what defines it",
    ),
    "no text": ({"lr": form(scale="1")}, "the state has scale='1'; give one that it gave"),
    "NaN": ({"lr": form(scale=float("nan"))}, "the state has scale=nan; give one that it gave"),
    "a function": (
        {"lr": {"class": "function"}},
        "lr was a function, which no file holds, and is ReduceOnPlateau.*; set it to what it was",
    ),
    "out of range": ({"eps": -1.0}, "eps=-1.0 of the saved state of Adam: .* outside"),
    "a part too many": ({"betas": {"0": form(), "1": 0.9, "2": 0.9}}, "betas is a tuple of two"),
}


@pytest.mark.parametrize("given, said", UNFIT.values(), ids=UNFIT)
def test_settings_that_do_not_fit_change_nothing(given, said):
    opts = [
        optim.Adam(tensors(start()), lr=plateau(0.1), betas=(plateau(0.9), 0.99)) for _ in range(3)
    ]
    for opt, n in zip(opts, (5, 5, 9), strict=True):
        train(opt, GRADS[:n], LOSSES[:n])
    before, saved = opts[0].state_dict(), opts[2].state_dict()
    settings = {**saved["settings"], **given} if given and isinstance(given, dict) else given
    with pytest.raises(ValueError, match=said):
        opts[0].load_state_dict({**saved, "settings": settings})
    assert_same(opts[0].state_dict(), before)
    assert_identical(end(opts[0]), end(opts[1]))
    again = [train(opt, GRADS[5:], LOSSES[5:]) for opt in opts[:2]]
    np.testing.assert_array_equal(*again)


def test_a_plateau_takes_a_threshold_of_its_own_size_and_more():
    for threshold, fall, same in ((1.0, 3, 1.9), (2.0, 4, 2.9)):
        schedule = ReduceOnPlateau(1.0, factor=0.5, patience=0, threshold=threshold)
        losses = [-float(fall**k) for k in range(6)]
        assert scales(schedule, losses) == [1] * 6 and schedule.best == losses[-1]
        assert scales(schedule, [same * losses[-1]]) == [0.5]
