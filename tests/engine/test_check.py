"""optim.check finds what is wrong: rules that break one check each."""

import numpy as np
import pytest

import optim
from minigrad import backend
from minigrad.backend import xp
from optim import check
from optim.driving import start, tensors
from optim.engine.optimizer import inplace
from tests.driving import host_only

pytestmark = host_only


def made(kernel, **members):
    """A rule with this kernel."""
    members = {"__annotations__": {"lr": float}, "lr": 1e-3, "kernel": inplace(kernel), **members}
    rule = type("Own", (optim.Optimizer,), members)
    del optim.RULES["own"]
    return rule


def drifts(p, g, *, lr):
    p -= lr * (g + 0.5)


def by_sign(p, g, *, lr):
    p -= 1e6 * lr * xp.sign(g)


def to_infinity(p, g, *, lr):
    p -= xp.where(abs(g) > 1e20, xp.inf, lr * g)


def weighted(p, g, w, *, lr):
    w *= 1
    p -= lr * w * g


def given(p, g, *, lr, size):
    p -= lr * size * g


def by_block(self, p):
    return {"w": xp.full_like(p, backend.current().block_bytes or 0)}


def by_place(self, p):
    return {"w": xp.arange(p.size, dtype=p.dtype).reshape(p.shape)}


def counted(self):
    vars(self)["steps"] = vars(self).get("steps", 0) + 1  # which no state has
    self.apply("kernel", size=float(vars(self)["steps"]))


def copying(self):
    held = [self.params.data.copy() for _ in range(2)]
    self.apply("kernel", size=float(len(held)))


def square_root(p, g, *, lr):
    p -= lr * xp.sign(g) * xp.sqrt(abs(g))


WRONG = {
    "the same in any blocks": (made(weighted, start=by_block), "p depends on how"),
    "still at gradients of 0": (made(drifts), "30 gradients of 0 move a parameter by 0.015"),
    "still where gradients are all 0": (made(drifts), "moved by 0.015 while others moved"),
    "takes tiny gradients": (made(by_sign), "ten gradients of 1e-30 move parameters by 1e+04"),
    "takes or reports a huge one": (made(to_infinity), "leaves p not finite"),
    "saved and loaded": (made(given, update=counted, given=("size",)), "it goes elsewhere"),
    "memory of a step": (made(given, update=copying, given=("size",)), "allocates 3"),
    "coordinates in any order": (made(weighted, start=by_place), "ways that are apart by"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_rule_that_breaks_one(name):
    rule, seen = WRONG[name]
    outcome = check.check_rule(rule)[name]
    assert not outcome.holds and seen in outcome.seen, outcome
    assert str(outcome) == f"no, {outcome.seen}"


def test_another_dtype_is_found():
    def wide(params, **settings):
        return optim.Adam(tensors(start("float64")), **settings)

    outcome = check.keeps_the_dtype(wide, "float32")
    assert outcome == (False, "p is float64 beside parameters of float32")


def test_every_check_has_a_rule_that_breaks_it():
    assert WRONG.keys() | {"keeps the dtype"} == check.CHECKS.keys()


def test_what_raises_does_not_hold():
    def fails(p, g, *, lr):
        p -= lr * g / (g - g)

    outcomes = check.check_rule(made(fails))
    assert not any(outcome.holds for outcome in outcomes.values())
    assert "it raises FloatingPointError: Own(lr=0.001)" in outcomes["saved and loaded"].seen


def test_all_hold_for_adam():
    for name, outcome in check.check_rule(optim.Adam).items():
        assert outcome.holds and str(outcome).startswith("yes, "), name


@pytest.mark.parametrize(
    "rule, said",
    [
        (optim.Adam, "steps are the same"),
        (optim.Momentum, "steps are 2^20 times as large"),
        (made(square_root), "the way after 20 steps is 1.02e+03 times as long"),
    ],
)
def test_scale(rule, said):
    assert check.scale(rule) == f"{said} where gradients are 2^20 times as large"
    assert np.sqrt(check.LARGER) == 1024
