"""What the page computes is what Python computes, as node runs it."""

import json
import shutil
import subprocess

import numpy as np
import pytest

import optim
from experiments.page import build
from experiments.problems.drift import drift
from experiments.problems.functions import LANDSCAPES
from experiments.problems.linear import REDDI, Stochastic
from minigrad import Tensor
from optim import schedules
from tests.driving import host_only
from tests.page import cases

NODE = shutil.which("node")
pytestmark = [
    host_only,
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.xdist_group("page-engine"),
]


@pytest.fixture(scope="module")
def evaluate():
    """A function that gives the value of an expression of JavaScript beside the page's engine."""
    source = f"{build.engine()}\n{cases.DRIVE}"

    def run(expression):
        text = f"{source}\nconsole.log(JSON.stringify({expression}));"
        done = subprocess.run([NODE], input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return run


def test_forty_random_settings_have_the_bits_of_python(evaluate):
    rng = np.random.default_rng(2018)
    tried = [cases.random_case(rng, cases.EXACT, cases.EXACT_SCHEDULES, 10_000) for _ in range(40)]
    assert len({case["name"] for case in tried}) > 15
    inside = 0
    for case, got in zip(tried, evaluate(f"lastStates({json.dumps(tried)})"), strict=True):
        expected = cases.last_state(case)
        assert got["error"] is None, case
        assert {k: a.tobytes().hex() for k, a in expected.items()} == got["state"], case
        inside += abs(expected["p"][0]) < 1
    assert inside > 20  # or else the box hides what differs


def test_every_rule_follows_python_at_its_defaults(evaluate):
    problem = {"kind": "periodic", "large": 30.0, "small": 1.0, "period": 7, "spike": 1, "x1": 0.25}
    lr = {"lr": {"schedule": "InverseSqrt", "value": 0.01}}
    tried = [
        {"name": name, "given": lr, "problem": problem, "steps": 300} for name in cases.LAB.rules
    ]
    assert len(tried) >= 44
    for case, got in zip(tried, evaluate(f"lastStates({json.dumps(tried)})"), strict=True):
        expected, found = cases.last_state(case), cases.numbers(got["state"])
        assert got["error"] is None and expected.keys() == found.keys(), case["name"]
        for key, array in expected.items():
            if case["name"] in cases.EXACT:
                assert found[key].tobytes() == array.tobytes(), (case["name"], key)
            else:
                np.testing.assert_allclose(found[key], array, rtol=1e-9, err_msg=case["name"])


def test_an_eps_of_0_leaves_a_coordinate_without_a_gradient_where_it_is(evaluate):
    for name in ("Adam", "AMSGrad", "AdaBelief", "AdaGrad"):
        run = f"new Run('{name}', {{eps: 0, lr: 0.1}}, [0.25, 0.25])"
        got = evaluate(f"(run => {{run.arrays.g[1] = 1e-200; run.step(); return run;}})({run})")
        p = Tensor(np.full(2, 0.25), requires_grad=True)
        opt = optim.make(name, [p], eps=0, lr=0.1)
        p.grad = np.array([0.0, 1e-200])
        opt.step()
        assert list(got["arrays"]["p"].values()) == p.numpy().tolist() and p.numpy()[0] == 0.25


def test_what_browsers_round_in_their_own_ways_agrees_to_nine_digits(evaluate):
    rng = np.random.default_rng(2019)
    rules = [(cases.INEXACT, cases.EXACT_SCHEDULES), (cases.EXACT, cases.INEXACT_SCHEDULES)]
    tried = [cases.random_case(rng, *both, 1_000) for both in rules for _ in range(20)]
    for case, got in zip(tried, evaluate(f"lastStates({json.dumps(tried)})"), strict=True):
        expected, found = cases.last_state(case), cases.numbers(got["state"])
        assert got["error"] is None and expected.keys() == found.keys()
        for key, array in expected.items():
            np.testing.assert_allclose(found[key], array, rtol=1e-9, err_msg=f"{key}: {case}")


def test_every_schedule_has_the_values_of_python(evaluate):
    rng = np.random.default_rng(7)
    times = [1, 2, 3, 10, 99, 100, 101, 1_000, 4_999, 5_000, 20_000]
    for name in cases.LAB.schedules:
        given = cases.random_schedule(rng, name, 0.5)
        schedule = cases.setting(given)
        printed = f"PRINTED.schedules[{json.dumps(name)}]({json.dumps(given)})"
        got = evaluate(f"{json.dumps(times)}.map({printed})")
        expected = [float(schedule(t)) for t in times]
        if not cases.LAB.schedules[name]["rounded"]:
            assert got == expected, name
        else:
            np.testing.assert_allclose(got, expected, rtol=1e-9, err_msg=name)


def test_lacks_the_schedule_alone_that_is_fed_a_loss():
    printed = {name.partition("(")[0] for name in cases.LAB.schedules}
    assert {*schedules.__all__} - printed == {"ReduceOnPlateau"}


def test_a_schedule_of_schedules_may_have_the_bits_of_python():
    exact = {name.partition("(")[0] for name in cases.EXACT_SCHEDULES}
    assert {"WarmUp", "Sequence", "InverseSqrt", "Linear"} <= exact


def test_landscapes_and_their_gradients_have_the_bits_of_python(evaluate):
    rng = np.random.default_rng(3)
    for name, landscape in LANDSCAPES.items():
        one = f"PRINTED.landscapes.{name}"
        points = rng.uniform(-4, 4, (20, 4))
        got = evaluate(
            f"{json.dumps(points.tolist())}.map(z => [{one}.value(...z), ...{one}.gradient(...z)])"
        )
        for (x, y, *noise), found in zip(points.tolist(), got, strict=True):
            leaves = [Tensor(z, requires_grad=True, dtype="float64") for z in (x, y)]
            loss = landscape.function(*leaves, *noise[: len(landscape.others)])
            loss.backward()
            assert found == [loss.item(), *(leaf.grad.item() for leaf in leaves)], name


def test_the_drift_is_that_of_python(evaluate):
    problem = {"large": 1010, "small": 10, "period": 101, "spike": 1}
    for beta1, beta2, rho in ((0.9, 0.99, 0), (0.0, 0.999, 0), (0.9, 0.9999, 1), (0.5, 0.9, 0.999)):
        got = evaluate(f"drift({json.dumps(problem)}, {beta1}, {beta2}, {rho})")
        assert got == pytest.approx(float(drift(REDDI, (beta1, beta2), rho)), rel=1e-12)


def test_slopes_and_regret(evaluate):
    problem = {"kind": "periodic", "large": 1010, "small": 10, "period": 101, "spike": 1}
    got = evaluate(f"Array.from({{length: 300}}, slopesOf({json.dumps(problem)}))")
    assert got == REDDI.slopes(1, 301)[:, 0].tolist()
    drawn = {**problem, "kind": "drawn", "probability": 0.01, "seed": 5}
    got = evaluate(f"Array.from({{length: 100000}}, slopesOf({json.dumps(drawn)}))")
    assert set(got) == {1010, -10}
    assert np.mean(np.array(got) == 1010) == pytest.approx(0.01, rel=0.1)
    mean = Stochastic(1010, 10, 0.01, 1, 0).mean
    assert evaluate(f"meanSlope({json.dumps(drawn)})") == mean


def test_records_the_ends_of_periods(evaluate):
    times = evaluate("recordedTimes(1000000, 101)")
    assert times[0] == 1 and times[-1] == 1_000_000 and times == sorted(set(times))
    assert len(times) <= 601
    assert all(t % 101 == 0 for t in times[:-1] if t > 303)


def test_a_microscope_shows_the_drift(evaluate):
    reddi = {"kind": "periodic", "large": 1010, "small": 10, "period": 101, "spike": 1}
    problem = json.dumps(reddi)
    assert evaluate(f"slopesOfPeriod({problem})") == [1010] + [-10] * 100
    given = json.dumps({"betas[0]": 0.9, "betas[1]": 0.99})
    for rule, rho in (("Adam", 0), ("AMSGrad", 1)):
        played = evaluate(f"microscope({problem}, ['{rule}', {given}], 0.5, 10000)")
        settled = evaluate(f"settledPeriod({problem}, 0.9, 0.99, {rho})")
        moved = float(drift(REDDI, (0.9, 0.99), rho))
        assert sum(played["move"]) == pytest.approx(moved, rel=1e-6)
        assert played.keys() == settled.keys()
        for what, values in played.items():
            np.testing.assert_allclose(settled[what], values, rtol=1e-6, atol=1e-9, err_msg=what)


@pytest.mark.parametrize("beta2", (0.1, 0.99, 0.999968, 0.999999))
def test_in_the_end_amsgrad_divides_by_the_largest_that_adam_divides_by(evaluate, beta2):
    problem = json.dumps({"large": 1010, "small": 10, "period": 101, "spike": 1})
    adam, amsgrad = (
        evaluate(f"settledPeriod({problem}, 0, {beta2}, {rho})")["divisor"] for rho in (0, 1)
    )
    assert amsgrad == [max(adam)] * 101


def test_a_schedule_that_leaves_its_range_stops_a_run(evaluate):
    problem = json.dumps(
        {"kind": "periodic", "large": 10, "small": 1, "period": 5, "spike": 1, "x1": 0}
    )
    given = json.dumps({"betas[1]": {"schedule": "Linear", "start": 0.5, "end": 2, "steps": 100}})
    played = f"online({problem}, [['Adam', {given}]], 500)"
    (run,) = evaluate(f"(played => {{while (played.advance()); return played.runs;}})({played})")
    assert "betas[1] of Adam is 1" in run["error"] and len(run["x"]) > 10
