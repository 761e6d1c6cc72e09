"""What an optimizer may update, and that no other does."""

import gc
import weakref

import numpy as np
import pytest

import optim
from minigrad import Tensor, to_host
from models import MLP
from tests.driving import drive, flat, gradients, start, tensors
from tests.rules.table import every_rule

GRADS = gradients(4)


@every_rule
def test_refused_parameters(rule):
    x, narrow = tensors(start()), Tensor(np.ones(2, "float32"), requires_grad=True)
    fixed = Tensor(np.ones(2))
    for params, error, said in (
        (set(x), TypeError, "set, which has no order"),
        ([x[0], x[1], x[0]], ValueError, r"params\[2\] is the same tensor as params\[0\]"),
        ([*x, narrow], ValueError, r"params\[4\] is float32, params\[0\] is float64"),
        (x[0], TypeError, r"single Tensor; pass \[tensor\]"),
        ([], ValueError, "no parameters"),
        ([x[0], fixed], TypeError, r"params\[1\] is not a leaf with requires_grad"),
        ([x[0].numpy()], TypeError, r"params\[0\] is a ndarray, not a Tensor"),
    ):
        with pytest.raises(error, match=said):
            rule(params)
    rule(iter(x))  # nothing that failed owns them


@every_rule
def test_a_coordinate_has_one_optimizer_at_a_time(rule):
    x = tensors(start())
    first = rule(x[:2])
    rule(x[2:])  # lives no longer than this line
    with pytest.raises(
        ValueError, match=rf"params\[1\] is updated by {rule.__name__} already; `del"
    ):
        optim.SGD([x[2], x[1]])
    # by reference counts alone: nobody should have to collect garbage between two runs
    gc.disable()
    try:
        drive(first, GRADS[:2, :4])
        gone = weakref.ref(first)
        del first
        assert gone() is None
        second = optim.SGD([x[2], x[1]])
    finally:
        gc.enable()
    assert second.params.size == 23


def test_an_optimizer_with_a_box_is_freed_too():
    x = tensors(start())
    gc.disable()
    try:
        for _ in range(2):
            opt = optim.Adam(x, projection=optim.Box(-1, 1), lr=optim.schedules.InverseSqrt(0.1))
            drive(opt, GRADS)
            del opt
    finally:
        gc.enable()


def test_two_optimizers_train_two_parts_of_a_model():
    model, rng = MLP((4, 3, 2), rng=0, dtype="float64"), np.random.default_rng(1)
    model.parameters()
    lower, upper = (
        optim.SGD(model.hidden.parameters(), lr=0.1),
        optim.Adam(model.output.parameters()),
    )
    x, y = rng.normal(size=(5, 4)), np.array([0, 1, 1, 0, 1])
    model.loss(x, y).backward()
    before, g = flat(model.parameters()), to_host(model.parameters().grad).copy()
    lower.step()
    np.testing.assert_array_equal(flat(model.parameters())[:15], before[:15] - 0.1 * g[:15])
    np.testing.assert_array_equal(flat(model.parameters())[15:], before[15:])
    upper.zero_grad()
    np.testing.assert_array_equal(to_host(model.parameters().grad), [*g[:15], *np.zeros(8)])
    lower.zero_grad()
    assert not np.any(to_host(model.parameters().grad))
    names = [*model.hidden.parameters().names, *model.output.parameters().names]
    assert len(names) == 4 and lower.t == 1 and upper.t == 0


def test_backward_after_a_step_is_refused_for_what_it_changed():
    x = tensors(start())
    opt = optim.SGD(x[:2], lr=0.1)
    optim.SGD(x[2:], lr=0.1)  # adopted, but not stepped
    losses = [(t * t).sum() for t in x]
    opt.step()
    for loss in losses[:2]:
        with pytest.raises(RuntimeError, match="changed after it was used"):
            loss.backward()
    for loss in losses[2:]:
        loss.backward()
