"""Gradients accumulated over several steps are those of one large batch."""

import numpy as np
import pytest

from minigrad import Tensor
from models import MLP
from optim import Accumulate
from tests.driving import assert_identical, drive, end, feed, flat, start, tensors
from tests.wrappers.cases import GRADS, ONE, adam, averages


def test_accumulated_gradients_are_those_of_a_large_batch():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(12, 4)), rng.integers(0, 2, 12)
    ends = []
    for parts in (1, 4):
        model = MLP((4, 3, 2), rng=0, dtype="float64")
        inner = adam(model.parameters())
        opt = inner if parts == 1 else Accumulate(inner, parts)
        for _ in range(5):
            opt.zero_grad()
            losses = []
            for part in np.split(np.arange(12), parts):  # and no zero_grad in between
                losses.append(model.loss(x[part], y[part]))
                losses[-1].backward()
                opt.step()
        assert opt.t == 5
        ends.append(flat(model.parameters()))
    np.testing.assert_allclose(ends[1], ends[0], rtol=0, atol=1e-14)


def test_zero_grad_between_accumulated_steps_changes_nothing():
    ends = []
    for zero in (True, False):
        opt = Accumulate(adam(tensors(start())), 3)
        for g in GRADS:
            for tensor, part in zip(opt.params, np.split(g, [1, 4, 24]), strict=True):
                (tensor * Tensor(part.reshape(tensor.shape))).sum().backward()
            opt.step()
            if zero or opt.count == 0:
                opt.zero_grad()
        ends.append(end(opt))
    assert_identical(ends[0], ends[1])


@pytest.mark.parametrize("name", ("decay", "ema", "polyak", "lookahead"))
def test_accumulating_inside_or_outside_is_the_same(name):
    inside = ONE[name](Accumulate(adam(tensors(start())), 3))
    outside = Accumulate(ONE[name](adam(tensors(start()))), 3)
    np.testing.assert_array_equal(drive(inside, GRADS), drive(outside, GRADS))
    np.testing.assert_array_equal(averages(inside, GRADS), averages(outside, GRADS))
    assert inside.t == outside.t == 2 * len(GRADS) // 3
    twice = ONE[name](Accumulate(Accumulate(adam(tensors(start())), 3), 2))
    once = ONE[name](Accumulate(adam(tensors(start())), 6))
    np.testing.assert_allclose(averages(twice, GRADS), averages(once, GRADS), atol=1e-14)


def test_gradients_of_an_update_that_was_refused_stay_accumulated():
    opt, twin = (Accumulate(adam(tensors(start())), every) for every in (3, 4))
    drive(opt, GRADS[:2])
    weight = opt.params.tensors[1]
    weight.requires_grad = False
    feed(opt.params, GRADS[2])
    with pytest.raises(RuntimeError, match="was frozen"):
        opt.step()
    weight.requires_grad = True
    np.testing.assert_array_equal(drive(opt, GRADS[3:4])[-1], drive(twin, GRADS[:4])[-1])
    assert opt.t == 1 and opt.count == 0
