"""Weights that are set after an optimizer was built, and before its first step."""

import numpy as np
import pytest

import minigrad
import optim
from minigrad import Tensor, to_host
from models import MLP
from tests.driving import (
    SHAPES,
    SIZE,
    assert_identical,
    drive,
    end,
    feed,
    flat,
    gradients,
    split,
    start,
    tensors,
)
from tests.rules.table import TABLE, every_rule
from tests.wrappers.cases import NESTED, assert_same, every_nesting

GRADS = gradients(6)
LATER = np.random.default_rng(8).normal(3, 2, SIZE)


def load(params, x=LATER):
    """Set the parameters, as loading a model does."""
    for tensor, part in zip(params, split(x, SHAPES), strict=True):
        tensor.data = part


def later(make):
    """One that was built before the weights were loaded, and one that was built after."""
    x = tensors(start())
    before, after = make(x), make(tensors(LATER))
    load(x)
    return before, after


def shown(opt):
    with opt.averaged():
        return flat(opt.params)


def follow(opt):
    """The parameters, and those to evaluate with, from the first step on."""
    rows = []
    for g in GRADS:
        rows += [drive(opt, [g])[0], shown(opt)]
    return np.array(rows)


@every_rule
def test_a_rule_is_as_if_it_was_built_after(rule):
    before, after = later(rule)
    assert_identical(end(before), end(after))
    before, after = later(rule)
    np.testing.assert_array_equal(follow(before), follow(after), strict=True)
    assert_identical(end(before), end(after))


@every_rule
def test_whatever_tensor_is_the_first(rule):
    """Not each has the same arrays of state, nor of the same shapes."""
    x = tensors(start())
    before, after = rule(x[::-1]), rule(tensors(LATER)[::-1])
    load(x)
    assert_identical(end(before), end(after))
    x = tensors(start())
    before, after = rule([x[2], x[1]]), rule([(y := tensors(LATER))[2], y[1]])  # a matrix first
    load(x)
    assert_identical(end(before), end(after))


@every_nesting
def test_a_wrapper_is_as_if_it_was_built_after(make):
    before, after = later(make)
    np.testing.assert_array_equal(shown(before), flat(after.params))
    before, after = later(make)
    assert_same(before.state_dict(), after.state_dict())
    before, after = later(make)
    np.testing.assert_array_equal(follow(before), follow(after), strict=True)
    assert_same(before.state_dict(), after.state_dict())


STARTS = [rule for rule in TABLE if rule.start is not optim.Optimizer.start]


@pytest.mark.parametrize("rule", STARTS, ids=lambda rule: rule.__name__)
def test_a_closure_sees_them_too(rule):
    before, after = later(rule)
    for opt in (before, after):

        def closure(opt=opt):
            opt.zero_grad()
            loss = sum(((t * t).sum() for t in opt.params), Tensor(0.0, dtype="float64"))
            loss.backward()
            return loss

        for _ in range(3):
            opt.step(closure)
    assert_identical(end(before), end(after))


@pytest.mark.parametrize("rule", (optim.ScheduleFreeSGD, optim.DoG, optim.Prodigy, optim.ASGD))
def test_every_way_of_setting_them_is_noticed(rule):
    model, rng = MLP((4, 3, 2), rng=0, dtype="float64"), np.random.default_rng(1)
    params = model.parameters()
    values = {name: rng.normal(size=t.shape) for name, t in params.items()}
    x = np.concatenate([value.ravel() for value in values.values()])
    other = MLP((4, 3, 2), rng=5, dtype="float64")
    other.load_state_dict(values)
    expected = end(rule(other.parameters()))

    def one_by_one():
        for name, t in params.items():
            t.data = values[name]

    for way in (
        one_by_one,
        lambda: model.load_state_dict(values),
        lambda: params.load_state_dict(values),
        lambda: setattr(params, "data", x),
        lambda: params.scatter(minigrad.xp.asarray(x)),
    ):
        opt = rule(params)
        params.data = np.zeros_like(x)
        _ = opt.state  # seen once, and set again
        way()
        assert_identical(end(opt), expected)


def test_the_arrays_stay_the_same_objects():
    opt = optim.Prodigy(tensors(start()))
    held = dict(opt.state)
    load(opt.params)
    assert all(opt.state[name] is array for name, array in held.items())
    np.testing.assert_array_equal(to_host(held["x0"]), LATER)


def test_what_is_written_to_the_state_by_hand_stays_where_no_weight_was_set():
    opt = optim.DoG(tensors(start()))
    opt.state["r"][...] = 5.0
    opt.state["x0"][...] = 1.0
    with opt.averaged():
        pass
    with optim.ExponentialAverage(opt).averaged():
        pass
    feed(opt.params, GRADS[0])
    assert opt.state["r"] == 5.0
    opt.step()
    assert opt.state["r"] >= 5.0 and np.all(to_host(opt.state["x0"]) == 1)


def test_a_step_that_is_refused_is_no_first_step():
    opt, twin = optim.ScheduleFreeSGD(tensors(start())), optim.ScheduleFreeSGD(tensors(LATER))
    first = next(iter(opt.params))
    first.requires_grad = False
    with pytest.raises(RuntimeError, match="frozen"):
        drive(opt, GRADS[:1])
    first.requires_grad = True
    load(opt.params)
    np.testing.assert_array_equal(follow(opt), follow(twin))


def test_playing_follows_them_and_is_a_first_step():
    for rule in (optim.ScheduleFreeSGD, optim.SGD, optim.ASGD):
        before, after = later(rule)
        np.testing.assert_array_equal(
            to_host(before.play(GRADS)), to_host(after.play(GRADS)), strict=True
        )
        load(before.params)
        load(after.params)
        assert_identical(end(before), end(after))


@pytest.mark.parametrize("rule", (optim.ScheduleFreeSGD, optim.Prodigy, optim.ASGD))
def test_from_the_first_step_on_the_state_is_what_the_steps_have_made_of_it(rule):
    opt = rule(tensors(start()))
    drive(opt, GRADS[:1])
    before = {name: to_host(a).copy() for name, a in opt.state.items()}
    load(opt.params)
    assert_identical({name: to_host(a) for name, a in opt.state.items()}, before)


@pytest.mark.parametrize("name", ("ema", "polyak"))
def test_an_average_follows_until_its_own_first_step(name):
    for steps in (0, 3):
        inner = optim.Adam(tensors(start()))
        drive(inner, GRADS[:steps])
        opt = {"ema": optim.ExponentialAverage, "polyak": optim.PolyakAverage}[name](inner)
        load(opt.params)
        np.testing.assert_array_equal(shown(opt), LATER)
        drive(opt, GRADS[:1])
        average = to_host(opt.average).copy()
        load(opt.params)
        np.testing.assert_array_equal(to_host(opt.average), average)


AROUND = {
    **NESTED,
    **{rule.__name__: rule for rule in STARTS if not rule.needs_closure},
}


@pytest.mark.parametrize("steps", (0, 4))
@pytest.mark.parametrize("make", AROUND.values(), ids=AROUND)
def test_a_state_continues_whether_it_is_loaded_before_the_weights_or_after(make, steps):
    opt = make(tensors(LATER))
    drive(opt, GRADS[:steps])
    saved = {"params": opt.params.state_dict(), "opt": opt.state_dict()}
    expected = follow(opt)
    for first in ("params", "opt"):
        fresh = make(tensors(start()))
        targets = {"params": fresh.params, "opt": fresh}
        for item in sorted(targets, key=lambda name: name != first):
            targets[item].load_state_dict(saved[item])
        np.testing.assert_array_equal(follow(fresh), expected, strict=True)
