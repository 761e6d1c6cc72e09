"""Gradients accumulated over several steps are those of one large batch."""

import numpy as np
import pytest

import optim
from minigrad import Tensor
from models import MLP
from optim import Accumulate, Groups
from tests.driving import (
    SIZE,
    assert_close,
    assert_identical,
    drive,
    end,
    feed,
    flat,
    host_only,
    start,
    tensors,
)
from tests.wrappers.cases import GRADS, ONE, adam, assert_same, averages, two_groups


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


def test_an_update_that_was_refused_changes_nothing():
    opt, twin = (Accumulate(adam(tensors(start())), 3) for _ in range(2))
    drive(opt, GRADS[:2])
    saved = opt.state_dict()
    weight = opt.params.tensors[1]
    weight.requires_grad = False
    feed(opt.params, GRADS[2])
    for _ in range(2):
        with pytest.raises(RuntimeError, match="was frozen"):
            opt.step()
        assert_same(opt.state_dict(), saved)
    weight.requires_grad = True
    opt.step()
    drive(twin, GRADS[:3])
    assert_identical(end(opt), end(twin))
    assert opt.t == 1 and opt.count == 0


def mean_of(grads):
    twin = adam(tensors(start()))
    for g in grads:
        drive(twin, [g])
    return end(twin)


def test_flush_updates_from_the_mean_of_what_waits():
    opt = Accumulate(adam(tensors(start())), 3)
    opt.flush()
    assert opt.t == 0
    drive(opt, GRADS[:5])
    assert opt.waiting == 2
    opt.flush()
    assert (opt.t, opt.waiting) == (2, 0)
    assert_close(end(opt)["p"], mean_of([GRADS[:3].mean(axis=0), GRADS[3:5].mean(axis=0)])["p"])
    opt.flush()
    assert opt.t == 2
    twin = Accumulate(adam(tensors(start())), 2)
    opt = Accumulate(adam(tensors(start())), 3)
    drive(twin, GRADS[:2])
    drive(opt, GRADS[:2])
    opt.params.zero_grad()
    opt.flush()
    assert_identical(end(opt), end(twin))


def test_drop_forgets_what_waits():
    opt, twin = (Accumulate(adam(tensors(start())), 3) for _ in range(2))
    drive(opt, GRADS[:2])
    opt.drop()
    assert opt.waiting == 0
    np.testing.assert_array_equal(drive(opt, GRADS[2:8]), drive(twin, GRADS[2:8]))
    assert_identical(end(opt), end(twin))


@pytest.mark.parametrize("name", ("decay", "ema", "polyak", "lookahead"))
def test_wrappers_outside_take_part_in_a_flush(name):
    inside = ONE[name](Accumulate(adam(tensors(start())), 3))
    outside = Accumulate(ONE[name](adam(tensors(start()))), 3)
    for opt in (inside, outside):
        drive(opt, GRADS[:5])
        opt.flush()
        assert (opt.t, opt.waiting) == (2, 0)
    np.testing.assert_array_equal(averages(inside, GRADS), averages(outside, GRADS))


def test_flush_and_drop_reach_an_accumulate_inside_another():
    twice = Accumulate(Accumulate(adam(tensors(start())), 2), 2)
    drive(twice, GRADS[:3])
    assert twice.waiting == 2
    twice.flush()
    assert (twice.t, twice.waiting) == (1, 0)
    expected = mean_of([(GRADS[:2].mean(axis=0) + GRADS[2]) / 2])
    assert_close(end(twice)["p"], expected["p"])
    drive(twice, GRADS[:3])
    twice.drop()
    assert twice.waiting == 0


def test_flush_of_what_accumulates_nothing_does_nothing():
    for make in (adam, lambda x: ONE["ema"](ONE["clip norm"](adam(x))), two_groups):
        opt = make(tensors(start()))
        drive(opt, GRADS[:1])
        before = opt.state_dict()
        opt.flush()
        opt.drop()
        assert_same(opt.state_dict(), before)


def test_groups_are_flushed_one_by_one():
    x = tensors(start())
    opt = Groups([Accumulate(adam(x[:2]), 3), adam(x[2:])])
    drive(opt, GRADS[:2])
    ema = ONE["ema"](opt)
    with pytest.raises(TypeError, match="put Accumulate around the Groups"):
        ema.flush()
    opt.flush()
    assert (opt[0].t, opt[1].t, opt.waiting) == (1, 2, 0)
    ema.flush()


@host_only
@pytest.mark.parametrize("every", (2, 3), ids=("the mean", "a sum"))
def test_gradients_whose_sum_overflows_are_an_error_and_change_nothing(every):
    opt = Accumulate(optim.SGD(tensors(start("float32")), lr=1e-30), every)
    drive(opt, [np.full(SIZE, 3e38)])
    saved = opt.state_dict()
    with pytest.raises(FloatingPointError, match=r"Accumulate\(.* at step 1: overflow"):
        drive(opt, [np.full(SIZE, 3e38)])
    assert_same(opt.state_dict(), saved)
    drive(opt, [np.full(SIZE, -3e38), np.zeros(SIZE)])
    np.testing.assert_array_equal(flat(opt.params), start("float32"))


def test_a_flush_that_groups_inside_refuse_changes_nothing():
    x = tensors(start())
    opt = Accumulate(Groups([Accumulate(adam(x[:2]), 2), adam(x[2:])]), 2)
    drive(opt, GRADS[:1])
    before, p = opt.state_dict(), flat(opt.params)
    with pytest.raises(TypeError, match="put Accumulate around the Groups"):
        opt.flush()
    assert_same(opt.state_dict(), before)
    np.testing.assert_array_equal(flat(opt.params), p)


def test_what_a_wrapper_outside_adds_to_nothing_is_not_flushed():
    ends = []
    for every in (3, 2):
        opt = optim.L2Decay(Accumulate(adam(tensors(start())), every), weight_decay=0.5)
        drive(opt, GRADS[:2])
        opt.flush()
        ends.append(flat(opt.params))
    np.testing.assert_array_equal(*ends)
