"""What an optimizer may update, and that no other does."""

import copy
import gc
import weakref

import numpy as np
import pytest

import optim
from minigrad import Tensor, to_host
from models import MLP
from tests.driving import drive, feed, flat, gradients, start, tensors
from tests.rules.table import every_rule
from tests.wrappers.cases import assert_same, every_wrapper

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
def test_the_newest_optimizer_owns_a_coordinate(rule):
    x = tensors(start())
    first, other = rule(x[:2]), rule(x[2:])
    drive(first, GRADS[:1, :4])
    saved = first.state_dict()
    newest = optim.SGD([x[2], x[1]])
    p = flat(x)
    said = rf"{{}} belongs to the SGD that was built after this {rule.__name__}; use the newer"
    for older, name in ((first, r"params\[1\]"), (other, r"params\[0\]")):
        for act in (older.step, lambda older=older: older.averaged().__enter__()):
            with pytest.raises(RuntimeError, match=said.format(name)):
                act()
        with pytest.raises(RuntimeError, match=said.format(name)):
            older.play(np.ones((1, 1)))
    with pytest.raises(RuntimeError, match="belongs to the SGD"):
        first.load_state_dict(saved)
    assert_same(first.state_dict(), saved)
    np.testing.assert_array_equal(flat(x), p)
    drive(newest, GRADS[:1, :23])
    again = rule(x[:2])
    again.load_state_dict(saved)
    drive(again, GRADS[1:, :4])
    with pytest.raises(RuntimeError, match=rf"belongs to the {rule.__name__} that was built after"):
        newest.step()


@every_wrapper
def test_so_does_one_inside_a_wrapper(wrap):
    x = tensors(start())
    opt = wrap(optim.Adam(x))
    saved = opt.state_dict()
    optim.SGD(x[3:])
    for act in (opt.step, lambda: opt.averaged().__enter__(), lambda: opt.load_state_dict(saved)):
        with pytest.raises(RuntimeError, match=r"params\[3\] belongs to the SGD .* this Adam"):
            act()
    assert_same(opt.state_dict(), saved)


def test_groups_whose_part_is_taken():
    x = tensors(start())
    opt = optim.Groups([optim.Adam(x[:2]), optim.SGD(x[2:])])
    saved = opt.state_dict()
    feed(opt.params, GRADS[0])
    optim.RMSProp(x[3:])
    p = flat(x)
    for act in (opt.step, lambda: opt.averaged().__enter__(), lambda: opt.load_state_dict(saved)):
        with pytest.raises(RuntimeError, match=r"params\[1\] belongs to the RMSProp"):
            act()
    np.testing.assert_array_equal(flat(x), p)


def test_what_fails_to_be_built_owns_nothing():
    x = tensors(start())
    opt = optim.Adam(x)
    with pytest.raises(ValueError, match="lr=-1"):
        optim.SGD(x, lr=-1)
    with pytest.raises(ValueError, match="array of shape"):
        optim.SGD(x, lr=np.ones(3))
    drive(opt, GRADS)


def test_nothing_depends_on_when_an_older_one_is_freed():
    """As after an error whose traceback keeps it, or in a notebook that shows it."""
    x, kept = tensors(start()), []
    for _ in range(3):
        opt = optim.Adam(x)
        drive(opt, GRADS[:1])
        kept.append(opt)
    with pytest.raises(RuntimeError, match="belongs to the Adam that was built after this Adam"):
        kept[1].step()
    gc.disable()  # it is freed all the same, by reference counts alone
    try:
        opt = optim.Adam(x, projection=optim.Box(-1, 1), lr=optim.schedules.InverseSqrt(0.1))
        drive(opt, GRADS)
        gone = weakref.ref(opt)
        del opt
        assert gone() is None
    finally:
        gc.enable()


def test_a_copied_model_has_an_optimizer_of_its_own():
    model = MLP((4, 3, 2), rng=0)
    opt = optim.SGD(model.parameters())
    optim.Adam(copy.deepcopy(model).parameters())
    opt.step()


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
