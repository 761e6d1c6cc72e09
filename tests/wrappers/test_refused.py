"""A step that the rule inside refuses changes nothing, in wrappers and groups too."""

import numpy as np
import pytest

from minigrad import Tensor
from optim import DecoupledDecay, Groups
from tests.driving import drive, feed, flat, start, tensors
from tests.wrappers.cases import GRADS, NESTED, ONE, adam, assert_same, every_wrapper


class Turning:
    """A schedule that is 0.9 and, while it is `broken`, 1.5."""

    broken = False

    def __call__(self, t):
        return 1.5 if self.broken else 0.9


def out_of_range(rule):
    """Makes a rule refuse its steps, with the sentence that it says, and lets it step again."""
    rule.betas[0].broken = True
    yield r"betas\[0\] is 1.5 at step \d+, outside \[0, 1\); mend the schedule"
    rule.betas[0].broken = False


def frozen(rule):
    last = list(rule.params)[-1]
    last.requires_grad = False
    yield r"params\[\d\] was frozen, requires_grad=False"
    last.requires_grad = True


def assert_refused(opt, rule, g, cause):
    before, p = opt.state_dict(), flat(opt.params)
    refusing = cause(rule)
    feed(opt.params, g)
    said = next(refusing)
    for closure in (None, lambda: Tensor(0.0)):
        with pytest.raises((ValueError, RuntimeError), match=said):
            opt.step(closure)
        assert_same(opt.state_dict(), before)
        np.testing.assert_array_equal(flat(opt.params), p, strict=True)
    assert next(refusing, None) is None


causes = pytest.mark.parametrize("cause", (out_of_range, frozen), ids=lambda one: one.__name__)


@pytest.mark.parametrize("name", NESTED)
@causes
def test_a_step_that_the_last_rule_refuses(name, cause):
    opt, twin = (NESTED[name](tensors(start())) for _ in range(2))
    for one in (opt, twin):
        one.rules[-1].betas = (Turning(), 0.9)
    refused = 0
    for g in GRADS:
        t = twin.rules[-1].t
        rows = drive(twin, [g])
        if twin.rules[-1].t > t:  # else that group only accumulates
            refused += 1
            assert_refused(opt, opt.rules[-1], g, cause)
        np.testing.assert_array_equal(drive(opt, [g]), rows, strict=True)
        assert_same(opt.state_dict(), twin.state_dict())
    assert refused == opt.rules[-1].t > 0


@every_wrapper
def test_a_decay_that_leaves_its_range(wrap):
    decay = 0.3
    decayed = DecoupledDecay(adam(tensors(start())), lambda t: decay)
    opt = wrap(decayed)
    drive(opt, GRADS[:2])  # the third updates, also when accumulating
    before, p = decayed.state_dict(), flat(opt.params)
    decay = -0.6
    with pytest.raises(ValueError, match=r"weight_decay is -0.6 at step \d, outside \[0, inf\)"):
        drive(opt, GRADS[2:3])
    assert_same(decayed.state_dict(), before)
    np.testing.assert_array_equal(flat(opt.params), p, strict=True)


def test_a_group_that_only_accumulates_refuses_nothing():
    x = tensors(start())
    slow = ONE["accumulate"](adam(x[2:], betas=(Turning(), 0.9)))
    opt = Groups([adam(x[:2]), slow])
    slow.betas[0].broken = True
    drive(opt, GRADS[:2])
    assert (opt[0].t, slow.t, slow.count) == (2, 0, 2)
    with pytest.raises(ValueError, match=r"betas\[0\] is 1.5 at step 1"):
        drive(opt, GRADS[2:3])
    assert (opt[0].t, slow.t, slow.count) == (2, 0, 2)
