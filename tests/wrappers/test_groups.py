"""Several optimizers as one."""

import numpy as np
import pytest

from minigrad import Tensor, to_host
from optim import Accumulate, ExponentialAverage, Groups
from tests.driving import SIZE, drive, flat, start, tensors
from tests.wrappers.cases import GRADS, assert_same, heavy_ball, two_groups


def test_groups_load_all_or_none():
    opt, other = two_groups(tensors(start())), two_groups(tensors(start()))
    drive(opt, GRADS[:3])
    drive(other, GRADS[3:8])
    before = opt.state_dict()
    good = other.state_dict()
    for groups, said in (
        ({"0": good["groups"]["0"]}, r"state of Groups lacks \['1'\] and has \[\]"),
        (good["groups"] | {"1": good["groups"]["0"]}, "state 'm' of Adam is float64"),
    ):
        with pytest.raises(ValueError, match=said):
            opt.load_state_dict(good | {"groups": groups})
        assert_same(opt.state_dict(), before)
    opt.load_state_dict(good)
    assert_same(opt.state_dict(), good)


def test_groups_are_one_optimizer():
    x = tensors(start())
    opt = two_groups(x)
    assert len(opt) == 2 and opt[1].lr == 0.03 and opt.params.size == SIZE
    assert opt.params.names == ("0.params[0]", "0.params[1]", "1.params[0]", "1.params[1]")
    assert list(opt.state) == [
        f"{i}.{name}" for i in range(2) for name in ("m", "v", "beta1_t", "beta2_t")
    ]
    calls = []

    def closure():
        calls.append(opt.zero_grad())
        loss = sum(((t * t).sum() for t in x), Tensor(0.0, dtype="float64"))
        loss.backward()
        return loss

    np.testing.assert_allclose(opt.step(closure).item(), start() @ start(), rtol=1e-14)
    assert len(calls) == 1 and opt.t == 1 and to_host(opt.metric()).shape == (SIZE,)
    opt[0].lr = 0.5
    assert opt[0].inner.lr == 0.5 and opt[1].lr == 0.03


def test_groups_may_be_out_of_step():
    slow, fast = heavy_ball(tensors(start())), heavy_ball(tensors(start()))
    opt = ExponentialAverage(Groups([Accumulate(slow, 4), fast]), 0.5)
    expected = np.tile(start(), 2)
    for g in GRADS[:6]:
        drive(opt, [np.tile(g, 2)])
        expected = (expected + flat(opt.params)) / 2
    np.testing.assert_allclose(to_host(opt.average), expected, rtol=0, atol=1e-14)
    assert (slow.t, fast.t, opt.t) == (1, 6, 6)
