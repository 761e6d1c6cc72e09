"""Coordinates that stay while the rest is trained."""

import numpy as np
import pytest

import optim
from minigrad import to_host
from optim import DecoupledDecay, ExponentialAverage, Frozen, Lookahead
from tests.driving import SIZE, drive, end, flat, host_only, start, tensors
from tests.wrappers.cases import GRADS, MASK, adam, heavy_ball


@pytest.mark.parametrize("mask", (MASK, ["params[1]", "params[2]"]), ids=("bools", "names"))
@pytest.mark.parametrize(
    "wrap",
    [
        lambda opt, mask: Frozen(opt, mask),
        lambda opt, mask: Frozen(DecoupledDecay(opt, 0.5), mask),
        lambda opt, mask: Frozen(Lookahead(opt, 2), mask),
    ],
)
def test_the_frozen_stay_bit_for_bit_and_the_rest_does_not_notice(wrap, mask):
    where = MASK if mask is MASK else np.isin(np.arange(SIZE), np.arange(1, 24))
    for rule in (heavy_ball, adam):
        inner = rule(tensors(start()))
        drive(inner, GRADS)  # momentum that would move them
        opt = wrap(inner, mask)
        before, mean = end(opt), flat(opt.params)
        drive(opt, GRADS)
        assert before["p"][where].tobytes() == flat(opt.params)[where].tobytes()
        assert np.all(flat(opt.params)[~where] != mean[~where])
    free = adam(tensors(start()))
    fixed = Frozen(adam(tensors(start())), mask)
    np.testing.assert_array_equal(drive(fixed, GRADS)[:, ~where], drive(free, GRADS)[:, ~where])
    assert not np.any(to_host(fixed.state["m"])[where])


@pytest.mark.parametrize("mask", (MASK, ["params[1]"]), ids=("bools", "names"))
def test_the_frozen_stay_in_an_average(mask):
    x = tensors(start())
    opt = Frozen(ExponentialAverage(adam(x), 0.9), mask)
    for one in x:
        one.data = one.data + 1  # after the average began
    drive(opt, GRADS)
    before = flat(x)
    left = MASK if mask is MASK else np.repeat([False, True, False, False], [1, 3, 20, 24])
    with opt.averaged():
        inside = flat(x)
    np.testing.assert_array_equal(inside[left], start()[left] + 1)
    assert np.all(inside[~left] != before[~left])
    np.testing.assert_array_equal(flat(x), before)


def test_the_frozen_are_restored_when_the_inner_fails():
    opt = Frozen(adam(tensors(start()), projection=optim.Box(-0.1, 0.1)), MASK)
    drive(opt, GRADS[:1])
    opt.lr = lambda t: 0.05 if t == 1 else np.nan
    with pytest.raises(ValueError, match="NaN"):
        opt.step()
    np.testing.assert_array_equal(flat(opt.params)[MASK], start()[MASK])


@host_only
def test_a_mask_is_a_copy_that_cannot_be_written_to():
    mask = np.zeros(SIZE, bool)
    opt = Frozen(adam(tensors(start())), mask)
    mask[:] = True
    assert not opt.mask.any()
    with pytest.raises(ValueError, match="read-only"):
        opt.mask[0] = True
    assert not np.array_equal(drive(opt, GRADS[:1])[0], start())


def test_a_list_of_names_is_copied():
    names = ["params[1]"]
    opt = Frozen(adam(tensors(start())), names)
    names.append("params[2]")
    assert opt.mask == {"params[1]"}
