"""What is done inside `averaged()`, where the parameters are not those to train."""

import numpy as np
import pytest

import minigrad
import optim
from minigrad import Tensor
from optim import Accumulate, ExponentialAverage, Groups
from tests.driving import SHAPES, SIZE, drive, feed, flat, split, start, tensors
from tests.wrappers.cases import GRADS, NESTED, ONE, adam, assert_same

SHOWING = {  # all that shows other weights, alone and with more around and inside
    **{
        name: NESTED[name]
        for name in NESTED
        if "ema" in name or name in ("frozen(polyak)", "polyak(decay)")
    },
    **{name: NESTED[name] for name in ("lookahead(decay)", "groups", "around groups", "tower")},
    "schedule-free": lambda x: optim.ScheduleFreeSGD(x, lr=0.1),
    "schedule-free AdamW": lambda x: optim.ScheduleFreeAdamW(x, lr=0.1),
    "asgd": lambda x: optim.ASGD(x, lr=0.1, t0=2),
    "clipped schedule-free": lambda x: ONE["clip norm"](optim.ScheduleFreeSGD(x, lr=0.1)),
    "averaged schedule-free": lambda x: ONE["ema"](optim.ScheduleFreeSGD(x, lr=0.1)),
    "groups of them": lambda x: Groups(
        [optim.ScheduleFreeSGD(x[:2], lr=0.1), ONE["accumulate"](ONE["ema"](adam(x[2:])))]
    ),
}
every_showing = pytest.mark.parametrize("make", SHOWING.values(), ids=SHOWING)


def continued(opt, x):
    """The parameters after every step from here on, and at last those to evaluate with."""
    rows = list(drive(opt, GRADS[7:]))
    with opt.averaged():
        rows.append(flat(x))
    return np.array(rows)


@every_showing
def test_a_state_saved_inside_continues_like_one_saved_outside(make, tmp_path):
    x = tensors(start())
    opt = make(x)
    drive(opt, GRADS[:7])
    outside, before = opt.state_dict(), flat(x)
    with opt.averaged():
        minigrad.save(tmp_path / "state.npz", params=dict(enumerate_(x)), opt=opt)
        shown = flat(x)
    assert not np.array_equal(shown, before)
    assert_same(opt.state_dict(), outside)
    expected = continued(opt, x)
    saved = minigrad.load(tmp_path / "state.npz")
    y = tensors(np.zeros(SIZE))
    fresh = make(y)
    for tensor, (name, _) in zip(y, enumerate_(x), strict=True):
        tensor.data = saved["params"][name]
    np.testing.assert_array_equal(flat(y), shown)
    fresh.load_state_dict(saved["opt"])
    np.testing.assert_array_equal(flat(y), before)  # those to train on
    assert_same(fresh.state_dict(), outside)
    np.testing.assert_array_equal(continued(fresh, y), expected, strict=True)


def enumerate_(x):
    return [(str(i), tensor.numpy().copy()) for i, tensor in enumerate(x)]


@every_showing
def test_weights_that_are_loaded_after_such_a_state_are_refused(make):
    x = tensors(start())
    opt = make(x)
    drive(opt, GRADS[:7])
    before = flat(x)
    with opt.averaged():
        saved, shown = opt.state_dict(), flat(x)
    y = tensors(shown)
    fresh = make(y)
    fresh.load_state_dict(saved)
    with fresh.averaged():  # which puts back what it found
        np.testing.assert_array_equal(flat(y), shown)
    for tensor, part in zip(y, split(shown, SHAPES), strict=True):
        tensor.data = part
    said = r"set after the optimizer's state was loaded, .* inside averaged.*; load it last, or"
    with pytest.raises(RuntimeError, match=said):
        fresh.state_dict()
    with pytest.raises(RuntimeError, match=said):
        drive(fresh, GRADS[7:])
    for tensor, part in zip(y, split(before, SHAPES), strict=True):
        tensor.data = part
    np.testing.assert_array_equal(continued(fresh, y), continued(opt, x))


@every_showing
def test_steps_loads_and_play_are_refused_inside_and_change_nothing(make):
    x = tensors(start())
    opt, twin = make(x), make(tensors(start()))
    drive(opt, GRADS[:6])
    drive(twin, GRADS[:6])
    saved = opt.state_dict()
    with opt.averaged():
        shown, inside = flat(x), opt.state_dict()
        feed(opt.params, GRADS[6])
        for _ in range(3):  # Accumulate does not even take the gradients
            with pytest.raises(RuntimeError, match=r"step\(\) inside averaged.*; leave it first"):
                opt.step()
            with pytest.raises(RuntimeError, match=r"step\(\) inside averaged"):
                opt.step(lambda: Tensor(0.0))
        with pytest.raises(RuntimeError, match=r"load_state_dict\(\) inside averaged"):
            opt.load_state_dict(saved)
        np.testing.assert_array_equal(flat(x), shown)
        assert_same(opt.state_dict(), inside)
    assert_same(opt.state_dict(), twin.state_dict())
    np.testing.assert_array_equal(drive(opt, GRADS[6:]), drive(twin, GRADS[6:]))


def test_playing_is_refused_inside():
    opt = optim.ScheduleFreeSGD(tensors(start()))
    with opt.averaged(), pytest.raises(RuntimeError, match=r"play\(\) inside averaged"):
        opt.play(GRADS)
    assert opt.t == 0


@every_showing
def test_a_second_one_inside_shows_the_same_and_leaves_it(make):
    x = tensors(start())
    opt = make(x)
    drive(opt, GRADS[:7])
    before, saved = flat(x), opt.state_dict()
    with opt.averaged():
        shown, inside = flat(x), opt.state_dict()
        with opt.averaged():
            np.testing.assert_array_equal(flat(x), shown)
            assert_same(opt.state_dict(), inside)
        np.testing.assert_array_equal(flat(x), shown)
        assert_same(opt.state_dict(), inside)
        with pytest.raises(RuntimeError, match=r"step\(\) inside averaged"):
            opt.step()
    np.testing.assert_array_equal(flat(x), before)
    assert_same(opt.state_dict(), saved)


def test_the_part_of_another_optimizer_may_step():
    x = tensors(start())
    shown, other = ExponentialAverage(adam(x[:2])), adam(x[2:])
    with shown.averaged():
        drive(other, GRADS[:2, 4:])
    assert other.t == 2


def test_gradients_are_not_accumulated_at_other_weights():
    opt = Accumulate(ExponentialAverage(adam(tensors(start()))), 3)
    drive(opt, GRADS[:1])
    with opt.averaged(), pytest.raises(RuntimeError, match=r"step\(\) inside averaged"):
        drive(opt, GRADS[1:2])
    assert opt.count == 1


def test_what_is_set_inside_is_undone():
    x = tensors(start())
    opt = ONE["ema"](adam(x))
    drive(opt, GRADS[:3])
    before = flat(x)
    with opt.averaged():
        for tensor in x:
            tensor.data = np.round(tensor.numpy())
    np.testing.assert_array_equal(flat(x), before)
