"""Two derivations of the same runs: time-parallel and step by step; and where they drift to."""

from dataclasses import dataclass
from itertools import islice
from math import ceil, inf, sqrt

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import minigrad
import optim
from experiments.loops import replay
from experiments.loops.online import STRETCH, OnlineTrial
from experiments.loops.replay import Replay
from experiments.problems.drift import drift
from experiments.problems.linear import Periodic, Stochastic, theorem_2
from experiments.registry import EXPERIMENTS
from minigrad import backend
from optim.schedules import InverseSqrt
from tests.rules import scalar as scalar_rules
from tests.rules.reddi import AT, VALUES
from tests.trials import finished

PROBLEM = Periodic(large=1010, small=10, period=101)
ROOT = InverseSqrt(0.5)
BETAS = (0.9, np.array([0.0, 0.99, 0.999, 0.9999]))
ADAM = {"lr": ROOT, "betas": BETAS, "eps": 0.0}
RULES = {
    "SGD": (replay.sgd, {"lr": InverseSqrt(0.005)}),
    "AdaGrad": (replay.adagrad, {"lr": 0.5, "eps": 1e-10}),
    "PaperAdam": (replay.paper_adam, ADAM),
    "Adam": (replay.adam, {**ADAM, "eps": 1e-8}),
    "AdamNC": (replay.adamnc, {"lr": ROOT, "betas": (0.9, optim.AdamNC.betas[1])}),
    "AMSGrad": (replay.amsgrad, ADAM),
    "AMSGradTorch": (replay.amsgrad_torch, {**ADAM, "eps": 1e-3}),
    "AMSGradKeras": (replay.amsgrad_keras, {**ADAM, "eps": 1e-3}),
    "AMSGradOptax": (replay.amsgrad_optax, {**ADAM, "eps": 1e-3}),
    "LeakyAMSGrad": (replay.amsgrad, {**ADAM, "rho": np.array([0.5, 0.999, 0.9995, 1.0])}),
}


def same(one, two, tolerance=1e-12):
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, two[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", RULES)
def test_a_replay_is_the_stepwise_run(name):
    rule, settings = RULES[name]
    options = {"steps": 2 * STRETCH + 9000, "x1": 0.25, "copies": 4}
    steps = OnlineTrial(PROBLEM, optim.RULES[name.lower()], **options, **settings)
    same(finished(Replay(PROBLEM, rule, **options, **settings)), finished(steps))


@pytest.mark.parametrize("copies", [1, 3])
def test_a_stochastic_problem_is_replayed_on_the_same_draws(copies):
    problem = Stochastic(1010, 10, 0.01, copies, seed=1)
    options = {"steps": 11_000, "x1": 0.0, "copies": copies, "lr": ROOT, "betas": (0.9, 0.99)}
    steps = OnlineTrial(problem, optim.AMSGrad, **options)
    same(finished(Replay(problem, replay.amsgrad, **options)), finished(steps))


@dataclass(frozen=True)
class Given:
    """A problem of any slopes."""

    of_t: np.ndarray

    def slopes(self, start, stop):
        return self.of_t[start - 1 : stop - 1, None]

    def regret(self, slopes, x):
        return slopes * (x + 1)


SCALAR = {
    "PaperAdam": (replay.paper_adam, scalar_rules.adam),
    "Adam": (replay.adam, scalar_rules.corrected_adam),
    "AMSGrad": (replay.amsgrad, scalar_rules.amsgrad),
}
BETA = some.floats(0, 0.999)
BOXES = [(-inf, inf), (-1.0, inf), (-1.0, 1.0), (0.1, 0.11), (0.2, 0.2)]


@pytest.mark.parametrize("name", SCALAR)
@given(
    seed=some.integers(0, 999),
    steps=some.integers(1, 500),
    zeros=some.sampled_from([0.0, 0.5, 0.99]),
    box=some.sampled_from(BOXES),
    lr=some.floats(1e-3, 1),
    gamma=BETA,
    beta2=some.just(0.0) | some.floats(0.3, 0.999),
)
def test_a_replay_is_the_scalar_rule_on_any_slopes(name, seed, steps, zeros, box, lr, gamma, beta2):
    rule, scalar = SCALAR[name]
    beta1 = gamma * sqrt(beta2)  # as the theorems ask, or zeros make steps of any length
    rng = np.random.default_rng(seed)
    slopes = rng.standard_normal(steps) * 10 ** rng.uniform(-3, 3, steps)
    slopes[rng.random(steps) < zeros] = 0
    options = {"steps": steps, "x1": 0.2, "lr": InverseSqrt(lr), "betas": (beta1, beta2)}
    times = np.arange(1, steps + 1)
    x = finished(Replay(Given(slopes), rule, box=box, times=times, **options))["x"][:, 0]
    of_t = InverseSqrt(lr), lambda t: beta1, lambda t: beta2
    expected = [0.2, *islice(scalar(0.2, slopes.tolist(), *of_t, *box), steps - 1)]
    np.testing.assert_allclose(x, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    "stretch, values, lane", [(1, 1, 1), (7, 7, 3), (64, 640, 64), (5000, 1, 2), (5000, 1, 5000)]
)
def test_how_time_is_cut_changes_nothing(monkeypatch, name, stretch, values, lane):
    rule, settings = RULES[name]

    def traces():
        return finished(Replay(PROBLEM, rule, steps=1500, x1=-0.5, copies=4, **settings))

    whole = traces()
    monkeypatch.setattr(replay, "STRETCH", stretch)
    monkeypatch.setattr(replay, "VALUES", values)
    monkeypatch.setattr(replay, "CHUNK", lane)
    same(traces(), whole)


def test_resumes_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(replay, "VALUES", 8000)

    def make():
        rule, settings = RULES["LeakyAMSGrad"]
        return Replay(PROBLEM, rule, steps=9000, x1=0.0, copies=4, **settings)

    first, second = make(), make()
    first.advance()
    first.advance()
    minigrad.save(tmp_path / "run.npz", run=first)
    second.load_state_dict(minigrad.load(tmp_path / "run.npz")["run"])
    same(finished(second), finished(make()), tolerance=0)


def test_means_neither_overflow_nor_forget():
    """Of ones it is 1 - beta^t; at beta = 0 it is the last value."""

    def mean(values, beta):
        filters = replay.FilterState()
        filters.last = (-1, -1)
        y = filters.mean("m", replay.chunks(values), beta)
        return y.swapaxes(0, 1).reshape(-1, y.shape[2])[: len(values)]

    ones, betas = np.ones((5000, 1)), np.array([0.0, 1e-9, 0.5, 0.9, 0.999, 0.999999])
    exact = -np.expm1(np.arange(1, 5001)[:, None] * np.log(np.maximum(betas, 1e-300)))
    np.testing.assert_allclose(mean(ones, betas), exact, rtol=1e-10)
    spike = np.zeros((9000, 1))
    spike[0] = 1
    kept = mean(spike, 0.9)[:6000, 0]
    np.testing.assert_allclose(kept, 0.1 * 0.9 ** np.arange(6000), rtol=1e-12)


@pytest.mark.parametrize(
    "name, beta2, x, regret",
    [
        *VALUES,
        ("AdaGrad", None, (None, -0.5395, -0.9765), (None, 0.1561, 0.0848)),
        ("AdamNC", None, (None, -0.5831, -0.9966), (None, 0.1355, 0.0716)),
    ],
)
def test_a_million_steps_of_problem_1(name, beta2, x, regret):
    """The values are those of the scalar rules in test_reddi.py, and of two more."""
    rule, settings = RULES[name]
    if beta2 is not None:
        settings = {"lr": ROOT, "betas": (0.9, beta2)}
    times = np.ravel([(t, t + 1) for t in AT])
    traces = finished(Replay(PROBLEM, rule, steps=times[-1], x1=0.0, times=times, **settings))
    for i, (wanted_x, wanted_regret) in enumerate(zip(x, regret, strict=True)):
        if wanted_x is not None:
            assert traces["x"][2 * i + 1, 0] == pytest.approx(wanted_x, abs=5.1e-5)
            assert traces["average_regret"][2 * i, 0] == pytest.approx(wanted_regret, abs=5.1e-5)


@pytest.mark.parametrize(
    "betas, rho, expected",
    [
        ((0.9, 0.9), 0, 41.4),
        ((0.9, 0.99), 0, 1.901),
        ((0.9, 0.995), 0, 0.907),
        ((0.9, 0.999), 0, 0.105),
        ((0.9, 0.9999), 0, -0.0785),
        ((0.9, 0.99), 1, -0.0788),
        ((0.9, 0.99), 1, -10 / 126.873),  # the sum of the slopes over sqrt(v_max)
        ((0.9, 0.99), 0.995, 0.822),
        ((0.9, 0.99), 0.999, 0.0873),
        ((0.9, 0.99), 0.9995, 0.0034),
        ((0.9, 0.99), 0.9996, -0.0132),
        ((0.9, 0.99), 0.9999, -0.0625),
    ],
)
def test_drifts_on_problem_1(betas, rho, expected):
    assert drift(PROBLEM, betas, rho) == pytest.approx(expected, rel=2e-3, abs=5e-5)


@pytest.mark.parametrize(
    "beta1, threshold", [(0, 0.999603), (0.9, 0.999516), (0.95, 0.999372), (0.99, 0.997640)]
)
def test_the_drift_changes_its_sign_once_beta2_is_large(beta1, threshold):
    assert drift(PROBLEM, (beta1, threshold - 1e-6)) > 0 > drift(PROBLEM, (beta1, threshold + 1e-6))


def test_the_drift_changes_its_sign_once_the_maximum_leaks_slowly():
    assert drift(PROBLEM, (0.9, 0.99), 0.99952) > 0 > drift(PROBLEM, (0.9, 0.99), 0.999522)


@pytest.mark.parametrize("c, expected", [(2.1, 0.69), (3, 0.68), (10, 0.70), (100, 0.71)])
def test_drifts_of_theorem_1(c, expected):
    problem = Periodic(large=c, small=1, period=3)
    assert drift(problem, (0, 1 / (1 + c**2))) == pytest.approx(expected, abs=5e-3)


def test_with_momentum_theorem_1s_problem_is_solved():
    assert drift(Periodic(large=3, small=1, period=3), (0.5, 0.1)) < 0


@hypothesis.settings(max_examples=25)
@given(beta1=BETA, beta2=BETA, rho=BETA, small=some.floats(0.1, 5), period=some.integers(2, 120))
def test_the_drift_is_what_a_period_moves_x_by(beta1, beta2, rho, small, period):
    """Once the moments are periodic too; with a bias correction or without."""
    problem, betas = Periodic(large=10, small=small, period=period), (beta1, beta2)
    times = np.array([33_001, 33_001 + period])
    options = {"steps": times[-1], "x1": 0.0, "lr": 1e-3, "box": (-inf, inf), "times": times}
    runs = [
        (replay.paper_adam, {}, 0),
        (replay.adam, {}, 0),
        (replay.amsgrad, {}, 1),
        (replay.amsgrad, {"rho": rho}, rho),
    ]
    for rule, settings, leak in runs:
        x = finished(Replay(problem, rule, betas=betas, **options, **settings))["x"][:, 0]
        assert (x[1] - x[0]) / 1e-3 == pytest.approx(drift(problem, betas, leak), abs=1e-7)


def test_the_sign_of_the_drift_is_where_the_run_ends():
    beta1 = np.array([0.0, 0.9, 0.9, 0.9, 0.99, 0.99, 0.999, 0.999])
    beta2 = np.array([0.99, 0.9, 0.999, 0.9999, 0.99, 0.999, 0.684, 0.9])
    signs = np.sign(drift(PROBLEM, (beta1, beta2)))
    assert signs.tolist() == [1, 1, 1, -1, 1, -1, -1, 1]
    options = {"steps": 400_000, "x1": 0.0, "lr": InverseSqrt(5.0), "copies": len(signs)}
    for rule, expected in ((replay.paper_adam, signs), (replay.amsgrad, -1)):
        x = finished(Replay(PROBLEM, rule, betas=(beta1, beta2), **options))["x"][-1]
        assert np.all(x * expected > 0.8)


@pytest.mark.parametrize("beta1", [0, 0.5, 0.9, 0.94])
@pytest.mark.parametrize("beta2", [0.9, 0.99, 0.999])
def test_theorem_2_has_a_bad_problem_for_any_betas_with_beta1_below_sqrt_beta2(beta1, beta2):
    """C = 2n, where n makes up for both memories."""
    gamma = beta1 / sqrt(beta2)
    n = ceil(4 / (sqrt(1 - beta2) * (1 - gamma)))
    while beta2**n * (2 * n) ** 2 > 1:
        n += 1
    assert drift(theorem_2(2 * n), (beta1, beta2)) > 0


@pytest.mark.parametrize("problem", [PROBLEM, *map(theorem_2, (4, 10, 100))])
def test_for_one_problem_some_beta2_is_large_enough(problem):
    """Zhang et al. 2022: the problem of Theorem 2 is chosen after the betas."""
    assert np.all(drift(problem, (1 - np.geomspace(1, 1e-4, 50), 1 - 1e-6)) < 0)


@pytest.mark.parametrize("name, value", [("betas", (0.9, 1.0)), ("periods", (1, 4)), ("lr", 0.0)])
def test_settings_of_the_diagram_are_checked(name, value):
    with pytest.raises(ValueError, match=f"{name}="):
        EXPERIMENTS["phase-diagram"].configured({name: value})


LONG = 10_000_000


@pytest.fixture(scope="module")
def long_replays():
    """Ten million steps under Adam and AMSGrad, as synthetic-online has them."""
    options = {"steps": LONG, "x1": 0.0, "lr": ROOT, "betas": (0.9, 0.99)}
    rules = {"Adam": (replay.adam, 1e-8), "AMSGrad": (replay.amsgrad, 0.0)}
    return {
        label: finished(Replay(PROBLEM, rule, eps=eps, **options))
        for label, (rule, eps) in rules.items()
    }


def test_ten_million_steps_of_problem_1(long_replays):
    """The average regret tends to 20/101 under Adam, and to 0 under AMSGrad."""
    adam, amsgrad = (trace["average_regret"][-1, 0] for trace in long_replays.values())
    assert adam == pytest.approx(0.2075, abs=5e-5) and amsgrad == pytest.approx(0.0106, abs=5e-5)
    # what is left falls with the root of t, so that two times tell the limit
    times = 101 * np.array([2500, 10_000])
    options = {"steps": times[-1], "x1": 0.0, "lr": ROOT, "betas": (0.9, 0.99), "times": times}
    first, second = finished(Replay(PROBLEM, replay.paper_adam, **options))["average_regret"][:, 0]
    assert 2 * second - first == pytest.approx(20 / 101, abs=2e-5)


def test_the_experiment_with_numba_is_the_replay(long_replays):
    """Its default there is ten million steps, of which it records the ends of periods."""
    pytest.importorskip("numba")
    with backend.temporarily(backend.make("numba")):
        experiment = EXPERIMENTS["synthetic-online"]
        settings = experiment.prepare(experiment.settings)
        assert settings.steps == LONG
        for label, trace in long_replays.items():
            run = experiment.trials(settings)[label]()
            assert run.opt.t == 0
            same(finished(run), trace, tolerance=1e-9)
