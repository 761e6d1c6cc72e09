"""What the rules of optim/rules/schedule_free.py have to do with one another and with others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optim
from minigrad import Tensor, to_host
from optim import Box, L2Ball
from optim.schedules import Constant, InverseSqrt, WarmUp
from tests.driving import (
    assert_close,
    assert_identical,
    both_dtypes,
    drive,
    end,
    flat,
    gradients,
    start,
    tensors,
)
from tests.rules.problems import SIZE, examples, problems, rates

FREE = (optim.ScheduleFreeSGD, optim.ScheduleFreeAdamW)


def average(opt):
    """What is evaluated with."""
    with opt.averaged():
        return flat(opt.params)


@both_dtypes
@examples
@given(problems, rates)
def test_momentum_0_is_sgd_and_its_average(dtype, problem, lr):
    x0, grads = problem.draw()
    free = optim.ScheduleFreeSGD(tensors(x0.astype(dtype), [(SIZE,)]), lr=lr, momentum=0.0)
    sgd = optim.SGD(tensors(x0.astype(dtype), [(SIZE,)]), lr=lr)
    rows = drive(sgd, grads)
    np.testing.assert_array_equal(drive(free, grads), rows, strict=True)
    scale = np.abs(rows).max()
    mean = rows.astype("float64").mean(axis=0)
    assert_close(average(free) / scale, mean / scale, 1e-5 if dtype == "float32" else 1e-12)


@examples
@given(problems, rates)
def test_a_momentum_of_almost_1_takes_gradients_at_the_average(problem, lr):
    x0, grads = problem.draw()
    opt = optim.ScheduleFreeSGD(tensors(x0, [(SIZE,)]), lr=lr, momentum=np.nextafter(1, 0))
    for g in grads:
        assert_close(drive(opt, [g])[0], average(opt))


@examples
@given(st.floats(-10, 10), rates, st.floats(0, 0.99))
def test_a_constant_gradient_moves_the_average_half_as_far(g, lr, momentum):
    x = Tensor([1.0], requires_grad=True, dtype="float64")
    opt = optim.ScheduleFreeSGD([x], lr=lr, momentum=momentum)
    t = np.arange(1, 31)
    moved = 1 - drive(opt, np.full((30, 1), g))[:, 0]
    step = lr * g
    assert_close(moved, (1 - momentum) * step * t + momentum * step * (t + 1) / 2)
    assert_close(1 - average(opt), step * 31 / 2)


def test_the_weights_are_the_squares_of_the_largest_rate_so_far():
    for lr, weights in (
        (WarmUp(3, Constant(0.3)), [1, 4, 9, 9, 9]),
        (InverseSqrt(0.3), [1, 1, 1, 1, 1]),
        (lambda t: 0.3 * (t > 2), [0, 0, 1, 1, 1]),
    ):
        opt = optim.ScheduleFreeSGD(tensors(start()), lr=lr, momentum=0.0)
        rows = drive(opt, gradients(5))
        assert_close(average(opt), np.average(rows, axis=0, weights=weights))
        assert_identical({"x": average(opt)}, {"x": to_host(opt.state["x"]).copy()})


@pytest.mark.parametrize("rule", FREE)
@both_dtypes
def test_averaged_comes_back_bit_for_bit(rule, dtype):
    x = tensors(start(dtype))
    opts = [rule(x[:2]), rule([x[3], x[2]])]  # each owns what is only a part of an arena
    for opt in opts:
        size = opt.params.size
        np.testing.assert_array_equal(average(opt), flat(opt.params))  # before the first step
        drive(opt, gradients(5, size))
        before, inside = end(opt), to_host(opt.state["x"]).copy()
        others = flat(x)
        with opt.averaged():
            np.testing.assert_array_equal(flat(opt.params), inside, strict=True)
            assert not np.array_equal(flat(opt.params), before["p"])
            with opt.averaged():
                np.testing.assert_array_equal(flat(opt.params), inside)
            np.testing.assert_array_equal(flat(opt.params), inside)
        assert_identical(end(opt), before)
        np.testing.assert_array_equal(flat(x), others)
        with pytest.raises(KeyError), opt.averaged():
            raise KeyError
        assert_identical(end(opt), before)
        twin = rule(tensors(start(dtype)[:size], [t.shape for t in opt.params]))
        twin.params.load_state_dict(opt.params.state_dict())
        twin.load_state_dict(opt.state_dict())
        rows = drive(opt, gradients(3, size, seed=5))
        np.testing.assert_array_equal(drive(twin, gradients(3, size, seed=5)), rows)


def test_gradients_of_an_evaluation_do_not_reach_training():
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    opt = optim.ScheduleFreeSGD([x], lr=0.1)
    drive(opt, [[1.0, 1.0], [2.0, 0.0]])
    with opt.averaged():
        loss = (x * x).sum()
    with pytest.raises(RuntimeError, match="changed after it was used"):
        loss.backward()


@pytest.mark.parametrize("rule", FREE)
@pytest.mark.parametrize("feasible", (Box(-0.5, 0.8), Box(-0.5, np.linspace(0, 1, 48)), L2Ball(2)))
def test_a_projection_keeps_all_three_sequences_in_its_set(rule, feasible):
    opt = rule(tensors(start()), lr=0.3, projection=feasible)
    for g in gradients(30):
        drive(opt, [g])
        for point in (end(opt)["z"], end(opt)["x"], end(opt)["p"]):
            if isinstance(feasible, Box):
                assert np.all(point >= feasible.lo - 1e-15) and np.all(point <= feasible.hi + 1e-15)
            else:
                assert np.linalg.norm(point) <= 2 + 1e-14
    z = end(opt)["z"]
    assert np.any(z == -0.5) if isinstance(feasible, Box) else np.linalg.norm(z) > 2 - 1e-12
