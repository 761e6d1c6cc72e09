"""A rule's trace in decimals does what the rule does in float64, but for rounding."""

from decimal import Decimal

import numpy as np
import pytest

import optim
from minigrad import Tensor
from optim.engine.exact import FUNCTIONS, Exact
from optim.engine.functions import CALLS, OPERATORS
from optim.schedules import InverseSqrt
from tests.driving import host_only
from tests.rules.table import TABLE

pytestmark = host_only
TRACED = [rule for rule in TABLE if not rule.per_tensor and rule.update is optim.Optimizer.update]
STEPS = 40


def built(rule, **settings):
    x = Tensor([0.25, -0.5, 0.75], requires_grad=True, dtype="float64")
    lr = {} if rule is optim.Rprop else {"lr": InverseSqrt(0.1)}
    return rule([x], **lr | settings)


@pytest.mark.parametrize("rule", TRACED, ids=lambda rule: rule.__name__)
def test_every_traced_rule(rule):
    opt = built(rule, projection=optim.Box(-1, 1))
    slopes = np.random.default_rng(3).normal(size=(STEPS, 3)) * [1, 10, 0.1]
    opt.play(slopes[:7])
    exact = [Exact(opt, i) for i in range(3)]
    opt.play(slopes[7:])
    for i, one in enumerate(exact):
        for t in range(8, STEPS + 1):
            one.step(slopes[t - 1, i], t)
        [x] = opt.params
        assert float(one.arrays["p"]) == pytest.approx(x.numpy()[i], rel=1e-9, abs=1e-12)
        for name, value in one.arrays.items():
            if name != "p":
                assert float(value) == pytest.approx(opt.state[name][i], rel=1e-9, abs=1e-12), name
        for name, value in one.numbers.items():
            assert float(value) == pytest.approx(opt.state[name].item(), rel=1e-9), name


def test_it_knows_every_function_of_a_kernel():
    assert FUNCTIONS.keys() == CALLS | OPERATORS.keys()


def test_fifty_digits():
    opt = built(optim.PaperAdam, lr=1.0, betas=(0.0, 0.75))
    exact = Exact(opt)
    exact.step(3, 1)  # 3 / sqrt(9 / 4) is 2
    assert exact.arrays["p"] == Decimal("0.25") - 2
    exact.step(1, 2)  # v = 9 / 4 * 3 / 4 + 1 / 4 = 31 / 16
    moved = exact.arrays["p"] - (Decimal("0.25") - 2)
    assert abs(moved * moved * 31 - 16) < Decimal("1e-47")


def test_rules_that_see_more_than_a_coordinate_are_refused():
    for rule in (optim.AdaGradNorm, optim.LAMB):
        with pytest.raises(TypeError, match=rule.__name__):
            Exact(built(rule))
