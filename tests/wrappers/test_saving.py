"""Any nesting of wrappers is saved and continues; a state that does not fit changes nothing."""

import copy
from dataclasses import fields

import numpy as np
import pytest

import minigrad
import optim
from optim import SAM, Groups
from optim.schedules import InverseSqrt, Linear
from tests.driving import SIZE, assert_identical, both_dtypes, drive, end, start, tensors
from tests.wrappers.cases import GRADS, ONE, adam, assert_same, averages, every_nesting


@both_dtypes
@every_nesting
def test_any_nesting_continues_bit_for_bit(make, dtype, tmp_path):
    opt = make(tensors(start(dtype)))
    drive(opt, GRADS[:7])  # in the midst of accumulating, and of Lookahead's k
    minigrad.save(tmp_path / "state.npz", params=opt.params, opt=opt)
    rows, means = drive(opt, GRADS[7:]), averages(opt, GRADS)
    fresh = make(tensors(np.zeros(SIZE, dtype)))
    saved = minigrad.load(tmp_path / "state.npz")
    fresh.params.load_state_dict(saved["params"])
    fresh.load_state_dict(saved["opt"])
    np.testing.assert_array_equal(drive(fresh, GRADS[7:]), rows, strict=True)
    np.testing.assert_array_equal(averages(fresh, GRADS), means, strict=True)
    assert fresh.t == opt.t and str(rows.dtype) == dtype
    assert_same(fresh.state_dict(), opt.state_dict())


def nested():
    return ONE["ema"](ONE["lookahead"](ONE["decay"](adam(tensors(start())))))


UNFIT = {
    "another wrapper": (
        lambda s: s | {"rule": "Lookahead"},
        "Lookahead, not of ExponentialAverage",
    ),
    "the inner alone": (lambda s: s["inner"], "Lookahead, not of ExponentialAverage"),
    "a rule's": (lambda s: s["inner"]["inner"]["inner"], r"ExponentialAverage lacks \['count'"),
    "no inner": (lambda s: {k: v for k, v in s.items() if k != "inner"}, r"lacks \['inner'\]"),
    "no array": (
        lambda s: s | {"state": {}},
        r"ExponentialAverage lacks \['average'\] and has \[\]",
    ),
    "an array more": (
        lambda s: s | {"state": s["state"] | {"u": np.zeros(2)}},
        r"lacks \[\] and has \['u'\]",
    ),
    "a shorter array": (
        lambda s: s | {"state": {"average": np.zeros(SIZE - 1)}},
        r"'average' of ExponentialAverage.*48.*47",
    ),
    "another dtype": (
        lambda s: s | {"state": {"average": np.zeros(SIZE, "float32")}},
        "'average'.*float64.*float32",
    ),
    "unfit inside": (
        lambda s: s | {"inner": s["inner"] | {"state": {}}},
        r"Lookahead lacks \['average'\]",
    ),
    "unfit innermost": (
        lambda s: (
            s | {"inner": s["inner"] | {"inner": s["inner"]["inner"] | {"inner": {"rule": "Adam"}}}}
        ),
        r"of Adam lacks \['shapes', 't', 'state', 'settings'\]",
    ),
}


@pytest.mark.parametrize("damage, said", UNFIT.values(), ids=UNFIT)
def test_a_state_that_does_not_fit_changes_nothing(damage, said):
    opt, other = nested(), nested()
    drive(opt, GRADS[:4])
    drive(other, GRADS[4:9])
    before, saved = end(opt), opt.state_dict()
    with pytest.raises(ValueError, match=said):
        opt.load_state_dict(damage(other.state_dict()))
    assert_identical(end(opt), before)
    assert_same(opt.state_dict(), saved)


def test_a_saved_state_is_a_copy():
    opt = ONE["accumulate"](nested())
    drive(opt, GRADS[:4])
    saved = opt.state_dict()
    before = copy.deepcopy(saved)
    drive(opt, GRADS)
    assert_same(saved, before)
    opt.load_state_dict(saved)
    drive(opt, GRADS)  # nor do steps after loading write to it
    assert_same(saved, before)


SETTINGS = {  # every setting of a wrapper, and another value of it
    "clip value": {"value": 2.5},
    "clip norm": {"norm": np.float64(1.5)},
    "accumulate": {"every": np.int64(2)},
    "decay": {"weight_decay": InverseSqrt(np.linspace(0.1, 0.5, SIZE))},
    "l2": {"weight_decay": InverseSqrt(np.linspace(0.1, 0.5, SIZE))},
    "maximize": {},
    "frozen": {},
    "ema": {"decay": Linear(0.1, 0.9, 6), "start": 1, "every": 2},
    "polyak": {"start": 1, "every": 3},
    "lookahead": {"k": 2, "alpha": 0.75},
}


@pytest.mark.parametrize("name", ONE)
def test_settings_that_were_set_later_are_saved_too(name, tmp_path):
    opt = ONE[name](adam(tensors(start())))
    assert set(SETTINGS[name]) == {f.name for f in fields(opt)} - {"inner", "mask"}
    drive(opt, GRADS[:3])
    for setting, value in {**SETTINGS[name], "lr": 0.01}.items():
        setattr(opt, setting, value)
    drive(opt, GRADS[3:7])
    minigrad.save(tmp_path / "state.npz", params=opt.params, opt=opt)
    rows, means = drive(opt, GRADS[7:]), averages(opt, GRADS)
    fresh = ONE[name](adam(tensors(np.zeros(SIZE))))
    saved = minigrad.load(tmp_path / "state.npz")
    fresh.params.load_state_dict(saved["params"])
    fresh.load_state_dict(saved["opt"])
    np.testing.assert_array_equal(drive(fresh, GRADS[7:]), rows, strict=True)
    np.testing.assert_array_equal(averages(fresh, GRADS), means, strict=True)
    assert_same(fresh.state_dict(), opt.state_dict())


def test_settings_of_sam_and_of_groups_are_saved():
    def closure():
        opt.zero_grad()
        loss = (sam.params.tensors[1] ** 2).sum()
        loss.backward()
        return loss

    x = tensors(start())
    sam = SAM(x[:2], optim.Momentum, lr=0.1)
    sam.rho, sam.lr = 0.5, 0.2
    opt = sam
    sam.step(closure)
    fresh = SAM(tensors(start())[:2], optim.Momentum)
    fresh.load_state_dict(sam.state_dict())
    assert (fresh.rho, fresh.lr) == (0.5, 0.2)
    groups, other = (Groups([adam(part[:1]), adam(part[1:])]) for part in (tensors(start()), x))
    groups[1].lr = 0.75
    other.load_state_dict(groups.state_dict())
    assert (other[0].lr, other[1].lr) == (0.05, 0.75)


@pytest.mark.parametrize("count", (-1, 1.5, "1", None, False), ids=repr)
def test_a_count_that_is_none_changes_nothing(count):
    opt = ONE["polyak"](adam(tensors(start())))
    drive(opt, GRADS[:4])
    saved = opt.state_dict()
    with pytest.raises(ValueError, match=r"count=.* of the saved state is not an integer from 0"):
        opt.load_state_dict({**saved, "count": count})
    assert_same(opt.state_dict(), saved)
