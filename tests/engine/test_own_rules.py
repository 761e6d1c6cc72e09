"""A rule of one's own: what is written wrongly is refused, and says how to mend it."""

import numpy as np
import pytest

import optim
from minigrad.backend import xp
from optim.engine.optimizer import Optimizer, inplace
from tests.driving import drive, host_only, start, tensors


def step(**members):
    """A step of the rule with these members beside its lr."""
    rule = type("Own", (Optimizer,), {"__annotations__": {"lr": float}, "lr": 0.1, **members})
    del optim.RULES["own"]
    return drive(rule(tensors(start())), [np.ones_like(start())])


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
        (misspelt, r"misspelt takes the scalar 'rate', but is given \['lr', 'keep'\]; declare it"),
        (with_a_default, "takes the scalar 'eps', but is given"),
        (other_names, "the kernel of Own takes w, grad; the parameters come first and are called"),
        (without_a_gradient, "takes p, m; .* called p, the gradients g"),
        (gradient_first, "takes g, p; the parameters come first"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("per_tensor", (False, True))
def test_a_kernel_of_other_arguments(kernel, said, per_tensor):
    def scalars(self, h):
        return {"lr": h.lr, "keep": 1 - h.lr}

    with pytest.raises(TypeError, match=said):
        step(kernel=inplace(kernel), scalars=scalars, per_tensor=per_tensor)


def test_a_kernel_that_is_a_method():
    with pytest.raises(TypeError, match=r"kernel of Own .*; write @optim.inplace above it"):
        step(kernel=right)
    with pytest.raises(TypeError, match=r"look of Own .*; write @optim.inplace above it"):
        step(kernel=inplace(right), look=lambda p: None, passes=("look", "kernel"))
    with pytest.raises(TypeError, match=r"diagonal of Own .*; write @optim.inplace above it"):
        step(kernel=inplace(right), diagonal=lambda m: m)


def test_a_hyperparameter_without_a_type():
    with pytest.raises(TypeError, match=r"takes the scalar 'lr', but is given .*declare it"):
        step(kernel=inplace(right), __annotations__={})
    with pytest.raises(TypeError, match=r"Own sets lr without a type.*write lr: .* = 0.5"):
        type("Own", (optim.Adam,), {"lr": 0.5})
    with pytest.raises(TypeError, match="sets value without a type"):
        type("Mine", (optim.schedules.Exponential,), {"value": 0.5})


@pytest.mark.parametrize("per_tensor", (False, True))
def test_a_start_of_another_name(per_tensor):
    def begin(self, p):
        return {"mm": 1.0}

    with pytest.raises(TypeError, match=r"start gives \['mm'\], but the state .* is \['m'\]"):
        step(kernel=inplace(right), start=begin, per_tensor=per_tensor)


@pytest.mark.parametrize("value", (None, "fast", b"x"), ids=repr)
def test_a_hyperparameter_that_is_no_number(value):
    with pytest.raises(TypeError, match=r"speed=.* is not a number, a schedule or an array"):
        step(kernel=inplace(right), __annotations__={"lr": float, "speed": float}, speed=value)


def test_a_scalar_that_is_nan():
    def scalars(self, h):
        return {"lr": h.lr * np.float64("nan")}

    with pytest.raises(ValueError, match="lr is NaN at step 1"):
        step(kernel=inplace(right), scalars=scalars)


def begin(self, p):
    return {"count": xp.zeros(()), "total": xp.zeros(())}


@host_only
def test_a_number_that_every_block_would_change():
    def counts(p, g, count, *, lr):
        count += 1
        p -= lr * g / count

    with pytest.raises(TypeError, match=r"counts changes count, a single number that other blocks"):
        step(kernel=inplace(counts), start=lambda self, p: {"count": xp.zeros(())})


def test_a_pass_of_numbers_alone_may_change_them():
    def counts(count, total):
        count += 1
        total += count

    def kernel(p, g, total, *, lr):
        p -= lr * g * total

    members = {"counts": inplace(counts), "passes": ("counts", "kernel"), "start": begin}
    np.testing.assert_allclose(step(kernel=inplace(kernel), **members)[0], start() - 0.1)
