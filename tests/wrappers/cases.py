"""Wrappers of every kind, alone and nested, and what is done with them."""

import numpy as np
import pytest

import optim
from optim import (
    Accumulate,
    ClipNorm,
    ClipValue,
    DecoupledDecay,
    ExponentialAverage,
    Frozen,
    Groups,
    L2Decay,
    Lookahead,
    Maximize,
    PolyakAverage,
)
from optim.schedules import InverseSqrt
from tests.driving import SIZE, drive, flat, gradients

GRADS = gradients(12)
MASK = np.random.default_rng(5).random(SIZE) < 0.4


def adam(x, **settings):
    return optim.Adam(x, **{"lr": 0.05, **settings})


def heavy_ball(x, lr=0.01):
    return optim.Momentum(x, lr=lr)


def strong(x):
    return adam(x, lr=0.1, betas=(0.5, 0.9), eps=1e-3)


def two_rules(x):
    return Groups([adam([x[0], x[2]]), heavy_ball([x[1], x[3]])])


def two_groups(x):
    return Groups.of(
        lambda part, weight_decay, **settings: DecoupledDecay(adam(part, **settings), weight_decay),
        [(x[2:], {"weight_decay": 0.2}), (x[:2], {"weight_decay": 0.0, "lr": 0.03})],
        lr=0.01,
    )


def frozen(inner):
    return Frozen(inner, ["params[1]", "params[3]"])


CASES = {  # of tests/record/wrappers.py
    "adamw": lambda x: DecoupledDecay(adam(x, lr=1e-3), 0.01),
    "adamw strong": lambda x: DecoupledDecay(strong(x), 0.5),
    "adamw schedule": lambda x: DecoupledDecay(adam(x, lr=InverseSqrt(0.5)), 0.1),
    "l2": lambda x: L2Decay(adam(x), 0.1),
    "l2 nesterov": lambda x: ClipValue(L2Decay(optim.Nesterov(x, lr=0.01), 0.3), 0.5),
    "l2 amsgrad": lambda x: L2Decay(optim.AMSGradTorch(x, lr=0.05), 0.1),
    "l2 schedule": lambda x: L2Decay(optim.RMSProp(x, lr=InverseSqrt(0.02)), 0.2),
    "maximize": lambda x: Maximize(optim.AdaGrad(x, lr=0.1)),
    "maximize l2": lambda x: Maximize(L2Decay(adam(x), 0.1)),
    "maximize adamw": lambda x: DecoupledDecay(Maximize(adam(x, lr=0.1)), 0.5),
    "clip value": lambda x: ClipValue(heavy_ball(x, 0.1), 0.5),
    "clip value adamw": lambda x: ClipValue(DecoupledDecay(adam(x, lr=0.1), 0.5), 0.5),
    "clip norm torch": lambda x: ClipNorm(heavy_ball(x, 1e-11), 2e9),
    "clip norm": lambda x: ClipNorm(heavy_ball(x), 20.0),
    "ema": lambda x: ExponentialAverage(heavy_ball(x), 0.9),
    "ema adamw": lambda x: ExponentialAverage(DecoupledDecay(adam(x, lr=0.1), 0.5), 0.99),
    "polyak": lambda x: PolyakAverage(optim.SGD(x, lr=0.01)),
    "polyak late": lambda x: PolyakAverage(heavy_ball(x), start=20),
    "lookahead": lambda x: Lookahead(adam(x)),
    "lookahead slow": lambda x: Lookahead(adam(x), k=5, alpha=0.5),
    "lookahead far": lambda x: Lookahead(heavy_ball(x), 3, 0.8),
    "accumulate": lambda x: Accumulate(adam(x), 4),
    "accumulate, then clip": lambda x: Accumulate(ClipNorm(optim.SGD(x, lr=0.1), 5.0), 4),
    "clip, then accumulate": lambda x: ClipNorm(Accumulate(optim.SGD(x, lr=0.1), 4), 5.0),
    "two rules": two_rules,
    "frozen": lambda x: frozen(adam(x)),
    "frozen, then clip": lambda x: frozen(ClipNorm(adam(x), 5.0)),
    "clip, then frozen": lambda x: ClipNorm(frozen(optim.SGD(x, lr=0.1)), 5.0),
    "two groups": two_groups,
    "clip two groups": lambda x: ClipNorm(two_groups(x), 2e9),
}

ONE = {  # every wrapper
    "clip value": lambda opt: ClipValue(opt, 1.0),
    "clip norm": lambda opt: ClipNorm(opt, 3.0),
    "accumulate": lambda opt: Accumulate(opt, 3),
    "decay": lambda opt: DecoupledDecay(opt, 0.3),
    "l2": lambda opt: L2Decay(opt, 0.3),
    "maximize": Maximize,
    "frozen": lambda opt: Frozen(opt, MASK),
    "ema": lambda opt: ExponentialAverage(opt, 0.8),
    "polyak": lambda opt: PolyakAverage(opt, start=2),
    "lookahead": lambda opt: Lookahead(opt, k=3, alpha=0.3),
}
every_wrapper = pytest.mark.parametrize("wrap", ONE.values(), ids=ONE)
NESTED = {  # every wrapper in every other, and a tower
    **{f"{a}({b})": lambda x, a=a, b=b: ONE[a](ONE[b](adam(x))) for a in ONE for b in ONE},
    "groups": lambda x: Groups([ONE["lookahead"](adam(x[:2])), ONE["accumulate"](adam(x[2:]))]),
    "around groups": lambda x: ONE["ema"](ONE["clip norm"](two_groups(x))),
    "tower": lambda x: ONE["ema"](
        ONE["frozen"](ONE["clip norm"](ONE["accumulate"](ONE["lookahead"](ONE["decay"](adam(x))))))
    ),
}
every_nesting = pytest.mark.parametrize("make", NESTED.values(), ids=NESTED)


def averages(opt, grads):
    """The parameters to evaluate with after every step."""
    rows = []
    for g in grads:
        drive(opt, [g])
        with opt.averaged():
            rows.append(flat(opt.params))
    return np.array(rows)


def assert_same(got, expected):
    """Nested dictionaries with the same leaves, bit for bit."""
    assert type(got) is type(expected)
    if isinstance(got, dict):
        assert got.keys() == expected.keys()
        for key in got:
            assert_same(got[key], expected[key])
    elif hasattr(got, "dtype"):
        np.testing.assert_array_equal(got, expected, strict=True)
    else:
        assert got == expected
