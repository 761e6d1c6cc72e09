"""A stretch that is played gives what stepping through it gives, bit for bit."""

from importlib.util import find_spec

import numpy as np
import pytest

import optim
from minigrad import Tensor, backend
from optim.engine import whole
from optim.schedules import Constant, Inverse, InverseSqrt, OneMinusInverse, Power, ReduceOnPlateau
from tests.driving import both_dtypes, host_only
from tests.rules.table import TABLE, every_rule

pytestmark = host_only
COPIES = 3
RATES = np.array([0.3, 0.05, 0.1])
SCHEDULES = {
    "inverse sqrt": InverseSqrt(0.3),
    "powers": Power(0.1, np.array([0.0, -0.5, -0.3])),
    "a lambda": lambda t: 0.05 / t,
    "an array": RATES,
    "a lambda of arrays": lambda t: RATES / t,
}


@pytest.fixture(params=("numpy", "numba"))
def on_each(request):
    """Each backend of the host that is installed."""
    if request.param == "numba" and find_spec("numba") is None:
        pytest.skip("numba is not installed")
    with backend.temporarily(backend.make(request.param)):
        yield request.param


def built(rule, dtype="float64", **settings):
    x = Tensor(np.linspace(-0.5, 0.7, COPIES), requires_grad=True, dtype=dtype)
    return rule([x], **settings)


def slopes(steps, width, dtype="float64"):
    rng = np.random.default_rng(7)
    scale = rng.choice([0, 1, 10], (steps, width))
    return (rng.normal(size=(steps, width)) * scale).astype(dtype)


def stepped(opt, gradients, metric):
    """What play gives, by stepping."""
    [x] = opt.params
    played, metrics = [], []
    for g in gradients:
        played.append(x.numpy().copy())
        x.grad = np.broadcast_to(g, COPIES)
        opt.step()
        metrics.append(opt.metric() if metric else 0)
    return np.array(played), np.array(metrics)


def assert_played_as_stepped(rule, dtype, width, metric, **settings):
    one, other = built(rule, dtype, **settings), built(rule, dtype, **settings)
    gradients = slopes(20, width, dtype)
    expected, measured = stepped(other, gradients, metric)
    stretches = [one.play(rows, metric=metric) for rows in (gradients[:13], gradients[13:])]
    if metric:
        np.testing.assert_array_equal(np.vstack([m for _, m in stretches]), measured, strict=True)
        stretches = [played for played, _ in stretches]
    np.testing.assert_array_equal(np.vstack(stretches), expected, strict=True)
    [x], [y] = one.params, other.params
    np.testing.assert_array_equal(x.numpy(), y.numpy())
    np.testing.assert_array_equal(x.grad, y.grad)
    assert one.t == other.t and repr(one.used) == repr(other.used)
    for name, array in other.state.items():
        np.testing.assert_array_equal(one.state[name], array, err_msg=name, strict=True)


@every_rule
@both_dtypes
@pytest.mark.parametrize("width", (1, COPIES))
def test_every_rule(rule, dtype, width, on_each):
    lr = {} if rule is optim.Rprop else {"lr": InverseSqrt(0.3)}
    assert_played_as_stepped(rule, dtype, width, bool(rule.diagonal), **lr)


@pytest.mark.parametrize("rule", (optim.Adam, optim.AMSGrad, optim.ASGD), ids=lambda r: r.__name__)
@pytest.mark.parametrize("lr", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("projection", (None, optim.Box(-0.6, 0.8), optim.L2Ball(0.5)), ids=str)
def test_schedules_and_projections(rule, lr, projection, on_each):
    assert_played_as_stepped(rule, "float64", 1, False, lr=lr, projection=projection)


def test_what_continues_may_differ_between_coordinates(on_each):
    betas = (np.array([0.5, 0.9, 0.0]), np.array([0.9, 0.99, 0.999]))
    assert_played_as_stepped(optim.Adam, "float32", 1, True, betas=betas)
    assert_played_as_stepped(optim.AMSGrad, "float32", 1, True, betas=betas)


@every_rule
def test_a_step_may_be_played_again_and_again(rule, on_each):
    lr = {} if rule is optim.Rprop else {"lr": InverseSqrt(0.3)}
    opt, twin = built(rule, **lr), built(rule, **lr)
    [x] = twin.params
    played = opt.play(gradients := slopes(9, COPIES), at=1000)
    for k, g in enumerate(gradients):
        np.testing.assert_array_equal(played[k], x.numpy())
        x.grad, twin.t = g, 999
        twin.step()
    assert opt.t == twin.t == 1000 and repr(opt.used) == repr(twin.used)
    for name, array in twin.state.items():
        np.testing.assert_array_equal(opt.state[name], array, err_msg=name, strict=True)


def test_there_is_no_step_before_the_first():
    with pytest.raises(ValueError, match=r"at=0: steps count from 1"):
        built(optim.SGD).play(slopes(3, 1), at=0)


def test_a_loop_is_compiled_where_that_is_possible(monkeypatch):
    if find_spec("numba") is None:
        pytest.skip("numba is not installed")
    done = []
    at_once = whole._at_once
    monkeypatch.setattr(whole, "_at_once", lambda *given: done.append(at_once(*given)) or done[-1])
    with backend.temporarily(backend.make("numba")):
        for rule in TABLE:
            settings = {} if rule is optim.Rprop else {"lr": lambda t: 0.1 / t}
            opt = built(rule, **settings)
            opt.play(slopes(3, 1))
            of_coordinates = not rule.per_tensor and rule.update is optim.Optimizer.update
            expected = of_coordinates and rule is not optim.Padam
            assert done.pop() == whole.plays_whole(opt) == expected, rule
        built(optim.SGD, lr=ReduceOnPlateau(0.1)).play(slopes(3, 1))
        assert not done  # what it gives depends on what it is fed
    with backend.temporarily(backend.Backend()):
        built(optim.SGD).play(slopes(3, 1))
    assert not done.pop()


def test_a_schedule_that_leaves_its_range_is_refused_beforehand(on_each):
    opt = built(optim.AMSGrad, betas=(0.9, lambda t: 0.5 * t))
    before = opt.state_dict()
    with pytest.raises(ValueError, match=r"betas\[1\] is 1 at step 2, outside \[0, 1\)"):
        opt.play(slopes(5, 1))
    assert opt.t == 0 and repr(opt.state_dict()) == repr(before)


def test_an_overflow_is_named_with_its_step(on_each):
    gradients = slopes(9, 1, "float32")
    gradients[4] = 1e30
    opt, twin = built(optim.Adam, "float32"), built(optim.Adam, "float32")
    with pytest.raises(FloatingPointError, match=r"at step 5: overflow .* is 1e\+30, of params"):
        opt.play(gradients)
    with pytest.raises(FloatingPointError):
        stepped(twin, gradients, False)
    assert opt.t == twin.t == 4  # from a gradient so large that the step is undone
    np.testing.assert_array_equal(opt.params.data, twin.params.data)


@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 3, 1)])
def test_gradients_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"gradients of shape .*: give \(steps, 3\), or"):
        built(optim.SGD).play(np.ones(shape))


def test_a_rule_with_a_closure_cannot_be_played():
    with pytest.raises(TypeError, match="LBFGS asks for a closure"):
        built(optim.LBFGS).play(slopes(2, 1))


def test_no_steps_are_no_steps(on_each):
    opt = built(optim.Adam)
    assert opt.play(np.ones((0, 1))).shape == (0, COPIES) and opt.t == 0


@pytest.mark.parametrize("value", (0.5, np.array([0.5, 0.3])), ids=("a number", "an array"))
def test_schedules_over_steps_have_the_bits_of_one_by_one(value):
    times = np.arange(1, 10**6 + 1)[:, None]
    exponent = -0.5 if np.ndim(value) == 0 else np.array([-0.5, 0.3])
    for schedule in (
        Constant(value),
        InverseSqrt(value),
        Power(value, exponent),
        Inverse(value),
        OneMinusInverse(),
    ):
        steps = times[:: 1 if np.ndim(value) == 0 else 997]
        found = np.broadcast_to(schedule(steps.astype("float64")), (len(steps), np.size(value)))
        one_by_one = np.array(
            [np.broadcast_to(schedule(int(t)), np.size(value)) for t in steps[:, 0]]
        )
        assert found.tobytes() == one_by_one.tobytes() or np.array_equal(found, one_by_one), (
            schedule
        )
