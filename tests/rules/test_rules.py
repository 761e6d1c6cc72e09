"""What holds for every rule of the table."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optim
from minigrad import Tensor, to_host
from optim import Box, check
from optim.schedules import InverseSqrt
from tests.driving import (
    SHAPES,
    SIZE,
    assert_close,
    both_dtypes,
    drive,
    end,
    feed,
    flat,
    gradients,
    host_only,
    split,
    start,
    tensors,
)
from tests.rules.recorded import GRADS, RECORDED, X0
from tests.rules.table import TABLE, every_rule


def test_every_rule_is_in_the_table_with_an_oracle():
    ours = {
        rule
        for rule in optim.RULES.values()
        if rule.__module__.startswith("optim.") and not rule.needs_closure  # see test_closure.py
    }
    assert ours == set(TABLE)
    assert all(optim.RULES[rule.__name__.lower()] is rule for rule in TABLE)
    for rule, row in TABLE.items():
        assert getattr(optim, rule.__name__) is rule and rule.__name__ in optim.__all__
        if vars(rule)["oracle"] == "the paper":
            assert (row.paper or row.scalar) and row.cases, rule
        else:
            said = {case.oracle for case in RECORDED if case.rule is rule}
            assert any(one.startswith(rule.oracle + " ") for one in said), (rule, said)


@pytest.mark.parametrize("case", RECORDED, ids=lambda c: f"{c.rule.__name__}-{c.settings}")
def test_follows_the_recorded_implementation(case):
    opt = case.rule(tensors(case.x0), **case.settings)
    assert_close(drive(opt, case.grads), case.trajectory, TABLE[case.rule].tolerance)


def cases(kind: str) -> Any:
    return pytest.mark.parametrize(
        "rule, settings",
        [
            pytest.param(rule, case, id=f"{rule.__name__}-{i}")
            for rule, row in TABLE.items()
            for i, case in enumerate(row.cases)
            if getattr(row, kind)
        ],
    )


@cases("paper")
def test_follows_the_paper(rule, settings):
    row, h = TABLE[rule], rule.hyperparameters() | settings
    shapes = SHAPES if rule.per_tensor else [(SIZE,)]
    expected = []
    for x, *grads in zip(split(X0, shapes), *(split(g, shapes) for g in GRADS), strict=True):
        rows = list(row.paper(x.copy(), grads, **h))
        expected.append(np.array(rows).reshape(len(GRADS), -1))
    got = drive(rule(tensors(X0), **settings), GRADS)
    assert_close(got, np.concatenate(expected, axis=1), row.tolerance)


@cases("scalar")
def test_follows_the_paper_coordinate_by_coordinate(rule, settings):
    h = rule.hyperparameters() | settings
    if h.pop("eps"):
        settings = settings | {"eps": 0}
    box = h.pop("projection", Box(-np.inf, np.inf))
    h["beta1"], h["beta2"] = h.pop("betas")
    of_t = {name: f if callable(f) else lambda t, f=f: f for name, f in h.items()}
    expected = [
        list(TABLE[rule].scalar(x, g, **of_t, lo=box.lo, hi=box.hi))
        for x, g in zip(X0.tolist(), GRADS.T.tolist(), strict=True)
    ]
    assert_close(drive(rule(tensors(X0), **settings), GRADS), np.array(expected).T)


@every_rule
@both_dtypes
def test_keeps_the_dtype(rule, dtype):
    # hyperparameters that are float64 arrays and scalars would promote float32
    lr = np.full(48, 0.01) if TABLE[rule].elementwise else np.float64(0.01)
    settings = {"lr": lr, "projection": Box(np.float64(-9), 9.0)}
    outcome = check.keeps_the_dtype(rule, dtype, **settings)
    assert outcome.holds, outcome
    opt = rule(tensors(start(dtype)), **settings)
    drive(opt, gradients(3))
    if TABLE[rule].direction:
        assert str(to_host(opt.metric()).dtype) == dtype
    if TABLE[rule].elementwise:
        assert {to_host(array).shape for array in opt.state.values()} <= {(), (48,)}


@every_rule
@both_dtypes
def test_zero_gradients_never_move_parameters(rule, dtype):
    outcome = check.still_at_zero(rule, dtype)
    assert outcome.holds or TABLE[rule].moves_at_zero, outcome


@every_rule
@both_dtypes
def test_tiny_gradients_move_parameters_by_little(rule, dtype):
    known = {"projection", *rule.hyperparameters()}
    settings = {name: value for name, value in TABLE[rule].tiny.items() if name in known}
    outcome = check.takes_tiny_gradients(rule, dtype, **settings)
    assert outcome.holds, outcome


def test_a_variance_that_rounds_to_less_than_zero_is_zero():
    opt = optim.CenteredRMSProp(tensors(start("float32")), alpha=0.5)
    drive(opt, np.tile(np.linspace(0.1, 1, 48), (60, 1)))
    v, g_mean = end(opt)["v"], end(opt)["g_mean"]
    assert np.min(v - g_mean * g_mean) < 0 and np.all(np.isfinite(end(opt)["p"]))


@every_rule
@host_only
def test_huge_gradients_stay_finite_or_are_reported(rule):
    outcome = check.takes_or_reports_a_huge_gradient(rule, lr=0.01)
    said = rf"{rule.__name__}\(lr=0.01.*step 3.*float32.* 1e\+30, of params\[2\]"
    if TABLE[rule].takes_huge_gradients:
        said = "leaves all finite"
    assert outcome.holds and re.search(said, outcome.seen), outcome


@every_rule
@host_only
def test_a_step_allocates_nothing_that_grows_with_the_parameters(rule):
    outcome = check.allocates_little(rule)
    assert outcome.holds, outcome


@every_rule
@pytest.mark.parametrize("when", (0, 5))
def test_weights_that_were_moved_between_steps_stay_there(rule, when):
    opt, moved = rule(tensors(X0), lr=1e-9), 2 - X0
    drive(opt, 1e-3 * GRADS[:when])
    for tensor, value in zip(opt.params, split(moved, SHAPES), strict=True):
        tensor.data = value
    np.testing.assert_allclose(drive(opt, 1e-3 * GRADS[:1])[0], moved, rtol=0, atol=1e-3)
    with opt.averaged():
        if rule is not optim.ASGD:  # whose average is of earlier weights
            np.testing.assert_allclose(flat(opt.params), moved, rtol=0, atol=1e-3)


REMEMBER_THE_RATE = {  # in what they sum, or in averages that move on
    *(optim.LARS, optim.Rprop, optim.DAdaptAdam, optim.Prodigy),
    *(optim.ScheduleFreeSGD, optim.ScheduleFreeAdamW),
}


@every_rule
@both_dtypes
@pytest.mark.parametrize("zeros", ([1], [1, 2, 3], [4], [11, 12], range(1, 13)), ids=str)
def test_a_schedule_may_be_0_at_any_step(rule, dtype, zeros):
    opt = rule(tensors(X0.astype(dtype)), lr=lambda t: 0.0 if t in zeros else 0.01)
    rows = np.array([X0.astype(dtype), *drive(opt, GRADS[:12])])
    assert np.all(np.isfinite(rows))
    if rule not in REMEMBER_THE_RATE:
        for t in zeros:
            np.testing.assert_array_equal(rows[t], rows[t - 1])


@every_rule
def test_metric_is_what_divides_the_step(rule):
    row = TABLE[rule]
    if row.direction is None:
        with pytest.raises(RuntimeError, match=f"{rule.__name__} has no diagonal"):
            rule(tensors(X0)).metric()
        return
    # a large eps, so that its place matters; no decay, which is no part of the step
    known = {"eps": 0.1, "weight_decay": 0.0}
    settings = {name: known[name] for name in known if name in rule.hyperparameters()}
    opt = rule(tensors(X0), lr=InverseSqrt(0.3), **settings)
    for g in GRADS[: row.metric_steps]:
        before = flat(opt.params)
        feed(opt.params, g)
        opt.step()
        metric = to_host(opt.metric())
        step = row.direction(g, end(opt)) / metric
        np.testing.assert_allclose(flat(opt.params), before - step, rtol=0, atol=1e-13)
        assert metric.shape == (48,) and np.all(metric > 0)


@every_rule
def test_averaged_is_the_parameters_themselves(rule):
    if TABLE[rule].averages:
        return
    opt = rule(tensors(X0))
    drive(opt, GRADS[:3])
    before = end(opt)
    with opt.averaged():
        np.testing.assert_array_equal(flat(opt.params), before["p"])
    assert all(np.array_equal(a, before[name]) for name, a in end(opt).items())


@every_rule
def test_state_is_what_the_kernel_names(rule):
    opt = rule(tensors(X0))
    assert list(opt.state) == rule.state_names()
    drive(opt, GRADS[:3])
    for name, array in opt.state.items():  # each is written back, not only computed
        assert np.any(to_host(array)) or name in TABLE[rule].idle, name


@every_rule
@host_only
def test_reaches_the_minimum_of_a_quadratic(rule):
    row = TABLE[rule]
    curvature, target = np.geomspace(0.1, 10, 48), 0.1 * start()
    settings = {**row.descends, "lr": linear_to_zero(row.descends["lr"], row.steps)}
    opt = rule(tensors(start()), **settings)
    first = np.sum(curvature * (flat(opt.params) - target) ** 2)
    for _ in range(row.steps):
        drive(opt, [curvature * (flat(opt.params) - target)])
    with opt.averaged():
        assert np.sum(curvature * (flat(opt.params) - target) ** 2) < 1e-3 * first


def linear_to_zero(value: float, steps: int) -> Callable[[int], float]:
    return lambda t: value * (1 - (t - 1) / steps)


@every_rule
@host_only
def test_improves_rosenbrock(rule):
    row = TABLE[rule]
    x0 = np.array([-1.2, 1.0])
    opt = rule(
        [Tensor(x0, requires_grad=True)], **{**row.descends, "lr": 0.05 * row.descends["lr"]}
    )

    def value(x):
        return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2

    for _ in range(row.steps):
        x = flat(opt.params)
        slope = 200 * (x[1] - x[0] ** 2)
        g = np.array([-2 * (1 - x[0]) - 2 * x[0] * slope, slope])
        drive(opt, [np.clip(g, -1, 1)])
    with opt.averaged():
        assert value(flat(opt.params)) < 0.5 * value(x0)
