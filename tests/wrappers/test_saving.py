"""Any nesting of wrappers is saved and continues; a state that does not fit changes nothing."""

import copy

import numpy as np
import pytest

import minigrad
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
        r"of Adam lacks \['shapes', 't', 'state', 'schedules'\]",
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
