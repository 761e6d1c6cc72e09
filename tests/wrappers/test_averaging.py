"""Weights to evaluate with: running averages, and the way back from them."""

import numpy as np
import pytest

import optim
from minigrad import to_host
from optim import ClipNorm, ExponentialAverage, Groups, Lookahead, PolyakAverage
from tests.driving import (
    SIZE,
    assert_identical,
    both_dtypes,
    drive,
    end,
    feed,
    flat,
    start,
    tensors,
)
from tests.wrappers.cases import GRADS, ONE, adam, assert_same, averages, every_nesting


@both_dtypes
@pytest.mark.parametrize(
    "wrap", [lambda opt: ExponentialAverage(opt, 0.0), lambda opt: PolyakAverage(opt, start=99)]
)
def test_an_average_without_memory_is_the_weights(wrap, dtype):
    rows = drive(adam(tensors(start(dtype))), GRADS)
    np.testing.assert_array_equal(averages(wrap(adam(tensors(start(dtype)))), GRADS), rows)


@both_dtypes
@pytest.mark.parametrize(
    "average",
    [
        lambda x: ExponentialAverage(adam(x)),
        lambda x: PolyakAverage(adam(x)),
        lambda x: Lookahead(adam(x), alpha=0.3),
        lambda x: optim.ASGD(x, t0=0, lambd=0.0),
    ],
    ids=("ema", "polyak", "lookahead", "asgd"),
)
def test_the_average_of_weights_that_stand_still_is_these(average, dtype):
    x0 = start(dtype)
    opt = average(tensors(x0))
    drive(opt, np.zeros((1000, SIZE)))
    with opt.averaged():
        np.testing.assert_array_equal(flat(opt.params), x0, strict=True)


def test_an_average_before_the_first_step_is_the_weights():
    for name in ("ema", "polyak", "lookahead"):
        opt = ONE[name](adam(tensors(start())))
        with opt.averaged():
            np.testing.assert_array_equal(flat(opt.params), start(), strict=True)


@every_nesting
def test_averaged_comes_back_bit_for_bit_even_from_an_exception(make):
    opt = make(tensors(start()))
    feed(opt.params, GRADS[0])
    opt.step()
    drive(opt, GRADS[1:8]) if not isinstance(opt, Groups) else None
    before, saved = end(opt), opt.state_dict()
    with pytest.raises(KeyError), opt.averaged():
        raise KeyError
    assert_identical(end(opt), before)
    assert_same(opt.state_dict(), saved)


def test_averaged_is_that_of_the_outermost_average():
    opt = ClipNorm(ExponentialAverage(PolyakAverage(adam(tensors(start()))), 0.5), 1e9)
    drive(opt, GRADS)
    with opt.averaged():
        np.testing.assert_array_equal(flat(opt.params), to_host(opt.average), strict=True)
        assert opt.average is opt.inner.average
    x = tensors(start())
    groups = Groups([ExponentialAverage(adam(part), 0.5) for part in (x[:1], x[1:])])
    groups.step()
    with groups.averaged():
        shown = [to_host(one.average) for one in groups]
        np.testing.assert_array_equal(flat(groups.params), np.concatenate(shown))


def test_graphs_from_before_averaging_are_refused():
    opt = ExponentialAverage(adam(tensors(start())))
    loss = (opt.params.tensors[1] ** 2).sum()
    with opt.averaged():
        inside = (opt.params.tensors[1] ** 2).sum()
        with pytest.raises(RuntimeError, match="changed after it was used"):
            loss.backward()
    with pytest.raises(RuntimeError, match="changed after it was used"):
        inside.backward()
