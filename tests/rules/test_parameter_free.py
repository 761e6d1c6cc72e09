"""What the rules of optim/rules/parameter_free.py have to do with one another and with others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optim
from minigrad import to_host
from tests.driving import (
    assert_close,
    assert_identical,
    both_dtypes,
    cut_into,
    drive,
    end,
    flat,
    gradients,
    start,
    tensors,
)
from tests.rules.problems import SIZE, betas, examples, problems, rates, run

BY_DISTANCE, BY_BOUND = (optim.DoG, optim.DoWG), (optim.DAdaptAdam, optim.Prodigy)


@both_dtypes
@pytest.mark.parametrize("rule", BY_DISTANCE + BY_BOUND)
def test_sums_do_not_depend_on_blocks(rule, dtype, monkeypatch):
    size = 2 * 2**15 + 5
    ends = []
    for block_bytes in (None, 2**19, 2**12):
        cut_into(monkeypatch, block_bytes)
        opt = rule(tensors(start(dtype, size), [(size,)]))
        drive(opt, gradients(4, size))
        ends.append(end(opt))
    assert_identical(ends[1], ends[0])
    assert_identical(ends[2], ends[0])


@both_dtypes
@pytest.mark.parametrize("rule", BY_DISTANCE + BY_BOUND)
@examples
@given(problems, rates)
def test_what_estimates_the_distance_never_falls(rule, dtype, problem, lr):
    x0, grads = problem.draw()
    opt = rule(tensors(x0.astype(dtype), [(SIZE,)]), lr=lr)
    name = "d" if rule in BY_BOUND else "r"
    last = to_host(opt.state[name]).copy()
    assert last.ndim == 0 and last > 0
    for g in grads:
        drive(opt, [g])
        now = to_host(opt.state[name]).copy()
        assert now >= last
        last = now


@pytest.mark.parametrize("rule", BY_DISTANCE + BY_BOUND)
@examples
@given(problems, st.integers(-40, 40))
def test_the_scale_of_the_objective_does_not_matter(rule, problem, exponent):
    rows, _ = run(rule, problem, eps=0)
    # a power of 2 scales every intermediate value without rounding
    scaled, _ = run(rule, problem, eps=0, scale=2.0**exponent)
    np.testing.assert_array_equal(scaled, rows)


@pytest.mark.parametrize("rule", BY_DISTANCE)
@examples
@given(problems)
def test_dog_and_dowg_turn_with_the_axes(rule, problem):
    x0, grads = problem.draw()
    turn, _ = np.linalg.qr(np.random.default_rng(problem.seed).normal(size=(SIZE, SIZE)))
    rows = drive(rule(tensors(x0, [(SIZE,)])), grads)
    turned = drive(rule(tensors(x0 @ turn, [(SIZE,)])), grads @ turn)
    assert_close(turned, rows @ turn, 1e-9)


@examples
@given(problems, st.floats(0.001, 1))
def test_dog_and_dowg_agree_within_the_first_distance(problem, lr):
    x0, grads = problem.draw()
    r, lr = 100.0, lr * 0.01  # 40 steps of at most lr r
    dog = optim.DoG(tensors(x0, [(SIZE,)]), lr=lr, eps=0, r_eps=r / (1 + np.linalg.norm(x0)))
    dowg = optim.DoWG(tensors(x0, [(SIZE,)]), lr=lr, eps=0, r_eps=r)
    assert_close(drive(dog, grads), drive(dowg, grads))
    assert to_host(dowg.state["r"]) == r


@pytest.mark.parametrize("rule", BY_BOUND)
@examples
@given(problems, betas, betas)
def test_with_a_bound_that_does_not_grow_it_is_paper_adam(rule, problem, b1, b2):
    h = {"betas": (b1 * b2**0.5, b2), "eps": 1e-3}
    d = 1024.0
    rows, _ = run(optim.PaperAdam, problem, lr=1e-6 * d, **h)
    bound, state = run(rule, problem, lr=1e-6, d0=d, **h)
    assert_close(bound, rows)
    assert state["d"] == d


@pytest.mark.parametrize("rule", BY_DISTANCE + BY_BOUND)
@pytest.mark.parametrize("distance", (1.0, 1e3))
def test_reaches_a_far_minimum_without_tuning(rule, distance):
    curvature = np.geomspace(0.5, 1, SIZE)
    x = np.full(SIZE, distance)
    opt = rule(tensors(x, [(SIZE,)]))
    for _ in range(3000):
        drive(opt, [curvature * flat(opt.params)])
    assert np.linalg.norm(flat(opt.params)) < 0.05 * distance * SIZE**0.5
