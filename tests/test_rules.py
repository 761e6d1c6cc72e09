"""The table of rules, and what holds for each of them."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import scalar_rules
from driving import drive, end, feed, flat, gradients, host_only, start, tensors

import optim
from minigrad import Tensor, to_host
from optim import Box
from optim.schedules import Exponential, InverseSqrt, OneMinusInverse


class Row(NamedTuple):
    """What the table says of a rule."""

    # step * metric, in terms of the gradient and the state after the step; None without a metric
    direction: Callable[[Any, dict[str, Any]], Any] | None
    transcription: Any = None  # in scalar_rules, where no recorded implementation says it all
    cases: tuple[dict[str, Any], ...] = ()  # hyperparameters to compare with it
    takes_huge_gradients: bool = False


def gradient(g: Any, state: dict[str, Any]) -> Any:
    return g


def moment(g: Any, state: dict[str, Any]) -> Any:
    return state["m"]


def half_inverse(t: int) -> float:
    return 1 - 0.5 / t


ROOT = InverseSqrt(0.5)
DECAYING = Exponential(0.9, 0.97)  # Corollary 1 of Reddi, Kale and Kumar
PAPER = (
    {},
    {"lr": ROOT, "betas": (0.9, 0.99)},
    {"lr": ROOT, "betas": (0.9, 0.99), "projection": Box(-0.5, 0.8)},
    {"lr": 0.1, "betas": (0.0, 0.1)},
    {"lr": 0.03, "betas": (DECAYING, half_inverse)},
)
TABLE = {
    optim.SGD: Row(gradient, takes_huge_gradients=True),
    optim.Momentum: Row(lambda g, s: s["b"], takes_huge_gradients=True),
    optim.Nesterov: Row(lambda g, s: g + 0.9 * s["b"], takes_huge_gradients=True),
    optim.AdaGrad: Row(gradient),
    optim.RMSProp: Row(gradient),
    optim.RMSPropMomentum: Row(gradient),  # at its first step
    optim.CenteredRMSProp: Row(gradient),
    optim.Adadelta: Row(None),
    optim.Adam: Row(moment, scalar_rules.corrected_adam, PAPER),
    optim.PaperAdam: Row(moment, scalar_rules.adam, PAPER),
    optim.AdamNC: Row(
        moment,
        scalar_rules.adam,
        ({}, {"lr": ROOT}, {"lr": ROOT, "betas": (DECAYING, OneMinusInverse())}),
    ),
    optim.AMSGrad: Row(moment, scalar_rules.amsgrad, PAPER),
    optim.AMSGradTorch: Row(moment),
    optim.AMSGradKeras: Row(moment),
    optim.AMSGradOptax: Row(moment),
    optim.LeakyAMSGrad: Row(
        moment,
        scalar_rules.amsgrad,
        tuple({**case, "rho": rho} for case in PAPER for rho in (0.9999, 0.995, half_inverse)),
    ),
}

every_rule = pytest.mark.parametrize("rule", TABLE, ids=lambda rule: rule.__name__)
both_dtypes = pytest.mark.parametrize("dtype", ("float32", "float64"))

with np.load(Path(__file__).parent / "oracles" / "rules.npz") as file:
    RECORDED = {name: file[name] for name in file.files}
X0, GRADS = RECORDED.pop("x0"), RECORDED.pop("grads")


def recorded() -> Any:
    for key, trajectory in RECORDED.items():
        case = json.loads(key)
        settings = case["settings"]
        if isinstance(settings["lr"], dict):
            settings["lr"] = InverseSqrt(settings["lr"]["alpha"])
        if "betas" in settings:
            settings["betas"] = tuple(settings["betas"])
        named = f"{case['rule']}-{case['oracle']}-{settings['lr']}"
        yield pytest.param(case["rule"], settings, trajectory, id=named)


def assert_close(got: Any, expected: Any, tolerance: float = 1e-12) -> None:
    assert np.max(np.abs(got - expected) / np.maximum(1, np.abs(expected))) <= tolerance


def test_every_rule_is_in_the_table_with_an_oracle():
    ours = {rule for rule in optim.RULES.values() if rule.__module__.startswith("optim.")}
    assert ours == set(TABLE)
    assert all(optim.RULES[rule.__name__.lower()] is rule for rule in TABLE)
    known = {json.loads(key)["rule"] for key in RECORDED}
    assert known <= {rule.__name__ for rule in TABLE}
    for rule, row in TABLE.items():
        assert rule.__name__ in known or (row.transcription and row.cases), rule
        assert getattr(optim, rule.__name__) is rule and rule.__name__ in optim.__all__


@pytest.mark.parametrize("rule, settings, trajectory", list(recorded()))
def test_follows_the_recorded_implementation(rule, settings, trajectory):
    assert_close(drive(optim.make(rule, tensors(X0), **settings), GRADS), trajectory)


@pytest.mark.parametrize(
    "rule, settings",
    [
        pytest.param(rule, case, id=f"{rule.__name__}-{i}")
        for rule, row in TABLE.items()
        for i, case in enumerate(row.cases)
    ],
)
def test_follows_the_paper(rule, settings):
    h = rule.hyperparameters() | settings
    if h.pop("eps"):
        settings = settings | {"eps": 0}
    box = h.pop("projection", Box(-np.inf, np.inf))
    h["beta1"], h["beta2"] = h.pop("betas")
    of_t = {name: f if callable(f) else lambda t, f=f: f for name, f in h.items()}
    expected = [
        list(TABLE[rule].transcription(x, g, **of_t, lo=box.lo, hi=box.hi))
        for x, g in zip(X0.tolist(), GRADS.T.tolist(), strict=True)
    ]
    assert_close(drive(rule(tensors(X0), **settings), GRADS), np.array(expected).T)


@every_rule
@both_dtypes
def test_keeps_the_dtype(rule, dtype):
    # hyperparameters that are float64 arrays and scalars would promote float32
    opt = rule(tensors(start(dtype)), lr=np.full(48, 0.01), projection=Box(np.float64(-9), 9.0))
    drive(opt, gradients(3))
    kept = [opt.params.data, opt.params.grad, *opt.state.values()]
    kept += [opt.metric()] if TABLE[rule].direction else []
    assert {str(to_host(array).dtype) for array in kept} == {dtype}
    assert {to_host(array).shape for array in kept} == {(48,)}


@every_rule
@both_dtypes
def test_zero_gradients_never_move_parameters(rule, dtype):
    x0 = start(dtype)
    rows = drive(rule(tensors(x0)), np.zeros((30, 48)))
    np.testing.assert_array_equal(rows, np.tile(x0, (30, 1)), strict=True)


@every_rule
@both_dtypes
def test_tiny_gradients_move_parameters_by_little(rule, dtype):
    # 1e-30 squared is nothing in float32; the most that a scaled gradient can do is to step by
    # lr / sqrt(1 - beta2), ten times, with momentum
    settings = {"eps": 0} if "eps" in rule.hyperparameters() and TABLE[rule].direction else {}
    if rule is optim.CenteredRMSProp:  # a constant has no variance to divide by
        settings = {}
    opt = rule(tensors(start(dtype)), lr=1e-3, **settings)
    rows = drive(opt, np.full((10, 48), 1e-30))
    assert np.all(np.abs(rows - start(dtype)) < 0.5)
    assert all(np.all(np.isfinite(array)) for array in end(opt).values())


def test_a_variance_that_rounds_to_less_than_zero_is_zero():
    opt = optim.CenteredRMSProp(tensors(start("float32")), alpha=0.5)
    drive(opt, np.tile(np.linspace(0.1, 1, 48), (60, 1)))
    v, g_mean = end(opt)["v"], end(opt)["g_mean"]
    assert np.min(v - g_mean * g_mean) < 0 and np.all(np.isfinite(end(opt)["p"]))


@every_rule
@host_only
def test_huge_gradients_stay_finite_or_are_reported(rule):
    opt = rule(tensors(start("float32")), lr=0.01)
    drive(opt, gradients(2))
    g = np.ones(48)
    g[-30] = -1e30
    feed(opt.params, g)
    if TABLE[rule].takes_huge_gradients:
        opt.step()
        assert all(np.all(np.isfinite(array)) for array in end(opt).values())
    else:
        said = rf"{rule.__name__}\(lr=0.01.*step 3.*float32.* 1e\+30, of params\[2\]"
        with pytest.raises(FloatingPointError, match=said):
            opt.step()


@every_rule
@host_only
def test_a_step_allocates_nothing_that_grows_with_the_parameters(rule):
    opt = rule([Tensor(np.ones(2**22, np.float32), requires_grad=True)], projection=Box(-1, 2))
    opt.params.grad.fill(0.5)
    tracemalloc.start()
    try:
        opt.step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4e6  # one array of the size of the parameters has 17e6


@every_rule
def test_metric_is_what_divides_the_step(rule):
    row = TABLE[rule]
    if row.direction is None:
        with pytest.raises(RuntimeError, match=f"{rule.__name__} has no diagonal"):
            rule(tensors(X0)).metric()
        return
    # a large eps, so that its place matters
    settings = {"eps": 0.1} if "eps" in rule.hyperparameters() else {}
    opt = rule(tensors(X0), lr=InverseSqrt(0.3), **settings)
    for g in GRADS[: 1 if rule is optim.RMSPropMomentum else 20]:
        before = flat(opt.params)
        feed(opt.params, g)
        opt.step()
        metric = to_host(opt.metric())
        step = row.direction(g, end(opt)) / metric
        np.testing.assert_allclose(flat(opt.params), before - step, rtol=0, atol=1e-13)
        assert metric.shape == (48,) and np.all(metric > 0)


@every_rule
def test_averaged_is_the_parameters_themselves(rule):
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
        assert np.any(to_host(array)), name
