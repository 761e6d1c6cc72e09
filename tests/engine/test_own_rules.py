"""A rule of one's own: what is written wrongly is refused, and says how to mend it."""

import re
import weakref

import numpy as np
import pytest

import optim
from minigrad.backend import xp
from optim.engine.optimizer import Optimizer, inplace
from tests.driving import assert_identical, cut_into, drive, end, host_only, start, tensors

ONES = np.ones_like(start())


def build(**members):
    """The rule with these members beside its lr."""
    rule = type("Own", (Optimizer,), {"__annotations__": {"lr": float}, "lr": 0.1, **members})
    del optim.RULES["own"]
    return rule(tensors(start()))


def step(**members):
    """A step of that rule."""
    return drive(build(**members), [ONES])


def right(p, g, m, *, lr):
    m += g
    p -= lr * m


def no_star(p, g, m, lr):
    m += g
    p -= lr * m


def star_too_late(p, g, m, keep, *, lr):
    m += g
    p -= keep * lr * m


def misspelt(p, g, *, rate):
    p -= rate * g


def with_a_default(p, g, *, lr, eps=1e-8):
    p -= lr * g + eps


def other_names(w, grad, *, lr):
    w -= lr * grad


def without_a_gradient(p, m, *, lr):
    p -= lr * m


def gradient_first(g, p, *, lr):
    p -= lr * g


def test_one_written_rightly_steps():
    np.testing.assert_allclose(step(kernel=inplace(right))[0], start() - 0.1, rtol=1e-15)


@pytest.mark.parametrize(
    "kernel, said",
    [
        (no_star, r"lr is a scalar of the step, and an array .* after a [*]"),
        (star_too_late, r"keep is a scalar of the step, and an array .* after a [*]"),
        (
            misspelt,
            r"misspelt takes the scalar 'rate', but the step has \['lr', 'keep', 't'\]; declare it",
        ),
        (with_a_default, "takes the scalar 'eps', but the step has"),
        (other_names, "the kernel of Own takes w, grad; the parameters come first and are called"),
        (without_a_gradient, "takes p, m; .* called p, the gradients g"),
        (gradient_first, "takes g, p; the parameters come first"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("per_tensor", ((), ("kernel",)), ids=("blocks", "tensors"))
def test_a_kernel_of_other_arguments(kernel, said, per_tensor):
    members = {"__annotations__": {"lr": float, "keep": float}, "keep": 0.9}
    with pytest.raises(TypeError, match=said):
        step(kernel=inplace(kernel), per_tensor=per_tensor, **members)


def test_a_kernel_that_is_a_method():
    with pytest.raises(TypeError, match=r"kernel of Own .*; write @optim.inplace above it"):
        step(kernel=right)
    with pytest.raises(TypeError, match=r"look of Own .*; write @optim.inplace above it"):
        step(kernel=inplace(right), look=lambda p: None, passes=("look", "kernel"))
    with pytest.raises(TypeError, match=r"diagonal of Own .*; write @optim.inplace above it"):
        step(kernel=inplace(right), diagonal=lambda m: m)


def test_a_hyperparameter_without_a_type():
    with pytest.raises(TypeError, match=r"takes the scalar 'lr', but the step has .*declare it"):
        step(kernel=inplace(right), __annotations__={})
    for name, value, kind in (
        ("lr", 0.5, "Rate"),
        ("betas", (0.5, 0.9), r"tuple\[Beta, Beta\]"),
        ("eager", True, "bool"),
    ):
        said = rf"Own sets {name} without a type.*write {name}: {kind} = {re.escape(repr(value))}"
        with pytest.raises(TypeError, match=said):
            type("Own", (optim.Adam,), {name: value})
    with pytest.raises(TypeError, match="sets value without a type"):
        type("Mine", (optim.schedules.Exponential,), {"value": 0.5})


@pytest.mark.parametrize("per_tensor", ((), ("kernel",)), ids=("blocks", "tensors"))
def test_a_start_of_another_name(per_tensor):
    def begin(self, p):
        return {"mm": 1.0}

    with pytest.raises(TypeError, match=r"start gives \['mm'\], but the state .* is \['m'\]"):
        step(kernel=inplace(right), start=begin, per_tensor=per_tensor)


@pytest.mark.parametrize("value", (None, "fast", b"x"), ids=repr)
def test_a_hyperparameter_that_is_no_number(value):
    with pytest.raises(TypeError, match=r"speed=.* is not a number, a schedule or an array"):
        step(kernel=inplace(right), __annotations__={"lr": float, "speed": float}, speed=value)


def scaled(p, g, s, *, lr, size):
    s += size
    p -= lr * g / size


GIVEN = {
    "no number": (
        lambda self: self.apply("kernel"),
        TypeError,
        r"the update of Own applies kernel without 'size'.* write self.apply\('kernel', size=...\)",
    ),
    "another name": (
        lambda self: self.apply("kernel", size=1.0, length=1.0),
        TypeError,
        r"the update of Own gives length, which is not in `given`; list it there",
    ),
    "NaN": (
        lambda self: self.apply("kernel", size=float("nan")),
        FloatingPointError,
        r"Own\(lr=0.1\) at step 2: size is NaN in float64; the largest gradient is 1, of",
    ),
    "NaN of an array": (
        lambda self: self.apply("kernel", size=self.sum_over(lambda g: (g * np.nan).sum())),
        FloatingPointError,
        "at step 2: size is NaN in float64",
    ),
}


@host_only
@pytest.mark.parametrize("update, error, said", GIVEN.values(), ids=GIVEN)
def test_a_number_that_update_gives(update, error, said):
    def updates(self):
        self.apply("kernel", size=2.0) if self.t != self.failing else update(self)

    members = {"update": updates, "given": ("size",), "failing": 2}
    opt = build(kernel=inplace(scaled), start=lambda self, p: {"s": 0.0}, **members)
    drive(opt, [ONES])
    before, used = end(opt), opt.used
    with pytest.raises(error, match=said):
        opt.step()
    assert opt.t == 1 and opt.used == used
    assert_identical(end(opt), before)
    type(opt).failing = None  # from here on it is as if nothing had been
    np.testing.assert_allclose(drive(opt, [ONES])[0], start() - 0.1, rtol=1e-15)
    assert opt.t == 2 and opt.state["s"] == 4


def begin(self, p):
    return {"count": xp.zeros(()), "total": xp.zeros(())}


@pytest.mark.parametrize("zero", (0.0, np.zeros(()), np.float32(0)), ids=repr)
@pytest.mark.parametrize("eager", (False, pytest.param(True, marks=host_only)))
def test_a_number_that_every_block_changes_changes_once_a_step(zero, eager, monkeypatch):
    def counts(p, g, count, last, *, lr):
        last[...] = count
        count += 1
        p -= lr * g / count

    cut_into(monkeypatch, 64)  # six blocks
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    begin = {"count": zero, "last": -1.0}
    members = {"__annotations__": {"lr": float, "eager": bool}, "eager": eager}
    opt = build(kernel=inplace(counts), start=lambda self, p: begin, **members)
    expected = start()
    for t in range(1, 6):
        expected = expected - 0.1 * ONES / t
        np.testing.assert_array_equal(drive(opt, [ONES])[0], expected)
        assert (opt.state["last"], opt.state["count"]) == (t - 1, t)
    assert opt.state["count"].dtype == "float64" and opt.state["count"].shape == ()


def test_a_pass_of_numbers_alone_may_change_them():
    def counts(count, total):
        count += 1
        total += count

    def kernel(p, g, total, *, lr):
        p -= lr * g * total

    members = {"counts": inplace(counts), "passes": ("counts", "kernel"), "start": begin}
    np.testing.assert_allclose(step(kernel=inplace(kernel), **members)[0], start() - 0.1)


def test_a_function_that_was_summed_is_not_kept():
    made = []

    def update(self):
        def square(g):
            return (g * g).sum()

        made.append(weakref.ref(square))
        self.apply("kernel", size=self.sum_over(square))

    @inplace
    def kernel(p, g, *, lr, size):
        p -= lr * size * g

    drive(build(update=update, kernel=kernel, given=("size",)), [ONES] * 3)
    assert len(made) == 3 and not any(ref() for ref in made)
