"""Weights that decay beside any rule."""

import numpy as np
import pytest

import optim
from minigrad import Parameters
from optim import Accumulate, ClipNorm, DecoupledDecay, L2Decay
from tests.driving import SIZE, drive, feed, flat, gradients, host_only, start, tensors
from tests.wrappers.cases import GRADS, adam


def test_decay_follows_the_rate_of_each_coordinate_and_step():
    rates = 10 ** np.random.default_rng(3).uniform(-2, -1, SIZE)
    x = tensors(start())
    Parameters.of(x)
    sgd = optim.SGD([x[2], x[0], x[3], x[1]], lr=lambda t: rates / t)  # four runs
    opt = DecoupledDecay(sgd, lambda t: 0.1 * t)
    before = flat(opt.params)
    rows = drive(opt, np.zeros((3, SIZE)))
    np.testing.assert_allclose(rows[-1], before * (1 - 0.1 * rates) ** 3, rtol=1e-14)
    opt.weight_decay = np.full(SIZE, 0.5)
    opt.lr = 0.5
    np.testing.assert_array_equal(drive(opt, np.zeros((1, SIZE)))[0], rows[-1] * 0.75)


def test_a_decay_that_turns_nan_is_refused_before_anything_moves():
    opt = DecoupledDecay(adam(tensors(start())), lambda t: 0.1 if t == 1 else np.nan)
    rows = drive(opt, GRADS[:1])
    with pytest.raises(ValueError, match="weight_decay is NaN at step 2"):
        opt.step()
    np.testing.assert_array_equal(flat(opt.params), rows[0])


@host_only
def test_weights_do_not_decay_where_a_gradient_is_not_finite():
    opt = DecoupledDecay(ClipNorm(adam(tensors(start())), 1.0), 0.1)
    loss = (opt.params.tensors[1] ** 2).sum()
    feed(opt.params, np.full(SIZE, np.inf))
    with pytest.raises(FloatingPointError, match="the largest gradient is inf"):
        opt.step()
    np.testing.assert_array_equal(flat(opt.params), start())
    loss.backward()


@host_only
def test_weights_that_overflow_while_they_decay_are_an_error():
    opt = DecoupledDecay(optim.SGD(tensors(start("float32")), lr=1e20), 1e20)
    drive(opt, np.zeros((0, SIZE)))
    feed(opt.params, np.zeros(SIZE))
    with pytest.raises(FloatingPointError, match=r"DecoupledDecay\(.* at step 1: overflow"):
        opt.step()
    with pytest.raises(RuntimeError, match="half-way"):
        opt.step()


def test_weights_do_not_decay_where_the_inner_refuses_the_step():
    beta = 0.9
    opt = DecoupledDecay(adam(tensors(start()), betas=(lambda t: beta, 0.99)), 0.1)
    loss = (opt.params.tensors[1] ** 2).sum()
    beta = np.nan
    with pytest.raises(ValueError, match="NaN"):
        opt.step()
    np.testing.assert_array_equal(flat(opt.params), start())
    loss.backward()


def test_a_schedule_of_the_wrapper_continues():
    def build(x0):
        decay = optim.schedules.ReduceOnPlateau(0.5, patience=0)
        inner = optim.SGD(tensors(x0), lr=optim.schedules.ReduceOnPlateau(0.1, patience=0))
        return optim.DecoupledDecay(inner, weight_decay=decay)

    opt, g = build(start()), gradients(4)
    drive(opt, g[:2])
    for loss in (1.0, 2.0):
        opt.weight_decay.feed(loss)
    saved, x = opt.state_dict(), flat(opt.params)
    fresh = build(x)
    fresh.load_state_dict(saved)
    assert fresh.weight_decay(1) == opt.weight_decay(1) == 0.05 and fresh.lr(1) == 0.1
    np.testing.assert_array_equal(drive(fresh, g[2:]), drive(opt, g[2:]))
    other = build(x)
    with pytest.raises(ValueError, match="AdaGrad"):
        other.load_state_dict({**saved, "inner": {**saved["inner"], "rule": "AdaGrad"}})
    assert other.weight_decay(1) == 0.5
    with pytest.raises(ValueError, match="weight_decay"):
        other.load_state_dict({**saved, "settings": {}})


def test_l2_around_sgd_is_decoupled_decay():
    rows = [
        drive(wrap(optim.SGD(tensors(start()), lr=0.1), lambda t: 0.5 / t), GRADS)
        for wrap in (L2Decay, DecoupledDecay)
    ]
    np.testing.assert_allclose(rows[0], rows[1], rtol=0, atol=1e-12)


def test_l2_follows_its_schedule_and_array():
    decay = np.linspace(0, 1, SIZE)
    opt = L2Decay(optim.SGD(tensors(start()), lr=1.0), lambda t: decay / t)
    rows = drive(opt, np.zeros((2, SIZE)))
    np.testing.assert_allclose(rows[1], start() * (1 - decay) * (1 - decay / 2), rtol=1e-14)


def test_l2_is_once_in_a_step_whichever_way_it_accumulates():
    rows = [
        drive(make(optim.SGD(tensors(start()), lr=0.1)), GRADS[:3])[-1]
        for make in (
            lambda sgd: Accumulate(L2Decay(sgd, 0.5), 3),
            lambda sgd: L2Decay(Accumulate(sgd, 3), 0.5),
        )
    ]
    mean = GRADS[:3].mean(axis=0)
    for row in rows:
        np.testing.assert_allclose(row, start() - 0.1 * (mean + 0.5 * start()), atol=1e-13)


def test_a_step_that_is_refused_adds_no_decay_to_the_gradient():
    beta = 0.9
    opt, twin = (
        L2Decay(adam(tensors(start()), betas=(lambda t: beta, 0.99)), 0.5) for _ in range(2)
    )
    feed(opt.params, GRADS[0])
    beta = np.nan
    for _ in range(2):
        with pytest.raises(ValueError, match="NaN"):
            opt.step()
    beta = 0.9
    opt.step()
    np.testing.assert_array_equal(flat(opt.params), drive(twin, GRADS[:1])[0])
