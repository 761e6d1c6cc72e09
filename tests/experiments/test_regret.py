"""Regret against the best point in hindsight, and what theorems say of it."""

import numpy as np
import pytest

import experiments
import optim
from experiments.claims import bounds
from experiments.loops import hindsight
from experiments.loops.hindsight import Hindsight
from experiments.problems.convex import Signs, best_loss
from experiments.problems.linear import Periodic
from optim.schedules import Inverse, InverseSqrt, OneMinusInverse
from tests.driving import host_only
from tests.trials import finished

BETAS = 0.9, 0.99
ALPHA = 0.5


def curved(rule=optim.AMSGrad, beta2=BETAS[1], **options):
    signs = Signs((1.0, 3.0), runs=2, seed=3)
    settings = {"lr": InverseSqrt(ALPHA), "curvature": 0.5 * signs.columns} | options
    if "betas" in rule.hyperparameters():
        settings["betas"] = Inverse(BETAS[0]), beta2
    times = np.array([1, 2, 7, 60])
    return Hindsight(signs, rule, times=times, x1=0.5, runs=2, dimensions=2, **settings)


@pytest.mark.parametrize("curvature", [0.0, 0.2, 7.0])
def test_the_best_point_in_hindsight_is_that_of_a_fine_grid(curvature):
    slopes = np.array([-30.0, -2.0, 0.0, 0.7, 55.0])
    x = np.linspace(-1, 1, 200_001)[:, None]
    expected = (5 * curvature * x**2 / 2 + slopes * x).min(axis=0)
    np.testing.assert_allclose(best_loss(5, slopes, curvature), expected, atol=1e-8)


def test_what_is_recorded_is_what_a_plain_loop_in_the_papers_letters_finds():
    trace, signs = finished(curved()), Signs((1.0, 3.0), runs=2, seed=3)
    slopes, h = signs.slopes(1, 61), 0.5 * signs.columns
    x, m, v, v_hat = np.full(4, 0.5), np.zeros(4), np.zeros(4), np.zeros(4)
    loss, squares, weighted, energy, row = 0.0, 0.0, 0.0, 0.0, 0
    grid = np.linspace(-1, 1, 20_001)[:, None]
    beta1, beta2 = BETAS
    for t in range(1, 61):
        loss = loss + h * x**2 / 2 + slopes[t - 1] * x
        g, alpha_t, beta1_t = h * x + slopes[t - 1], ALPHA / t**0.5, beta1 / t
        m, v = beta1_t * m + (1 - beta1_t) * g, beta2 * v + (1 - beta2) * g**2
        v_hat = np.maximum(v_hat, v)
        x = np.clip(x - alpha_t * m / np.sqrt(v_hat), -1, 1)
        squares, weighted = squares + g**2, weighted + beta1_t * np.sqrt(v_hat) / alpha_t
        energy = energy + g**2 * alpha_t / np.sqrt(v_hat)
        if t == trace["t"][row]:
            best = (t * h * grid**2 / 2 + slopes[:t].sum(axis=0) * grid).min(axis=0)
            root, norm = (np.sqrt(of).reshape(2, 2).sum(axis=1) for of in (v_hat, squares))
            sums = {"regret": loss - best, "weighted": weighted, "energy": energy}
            for name, values in sums.items():
                expected = values.reshape(2, 2).sum(axis=1)
                np.testing.assert_allclose(trace[name][row], expected, rtol=1e-6, err_msg=name)
            # Theorem 4 as the revision prints it, for D = 2
            gamma, momentum = beta1 / beta2**0.5, weighted.reshape(2, 2).sum(axis=1)
            expected = 4 * t**0.5 / (ALPHA * (1 - beta1)) * root + 4 / (1 - beta1) ** 2 * momentum
            factor = ALPHA * (1 + np.log(t)) ** 0.5 / ((1 - beta1) ** 2 * (1 - gamma))
            expected += factor / (1 - beta2) ** 0.5 * norm
            found = bounds.amsgrad(trace, ALPHA, BETAS)[row]
            np.testing.assert_allclose(found, expected, rtol=1e-12)
            row += 1
    assert row == 4


def test_where_the_metric_is_the_norm_over_alpha_the_bounds_are_of_the_norm():
    """Of AdamNC, whose v is the mean of all squares, and of AdaGrad."""
    trace, (beta1, _) = finished(curved(optim.AdamNC, OneMinusInverse())), BETAS
    factor = 2 / (ALPHA * (1 - beta1)) + 2 * ALPHA / (1 - beta1) ** 3
    expected = factor * trace["norm"] + 4 / (1 - beta1) ** 2 * trace["weighted"]
    np.testing.assert_allclose(bounds.adamnc(trace, ALPHA, BETAS), expected, rtol=1e-12)
    trace = finished(curved(optim.AdaGrad, lr=ALPHA))
    expected = (2 / ALPHA + ALPHA) * trace["norm"]
    np.testing.assert_allclose(bounds.adagrad(trace, ALPHA, BETAS), expected, rtol=1e-9)


def test_the_bound_of_descent_is_the_tight_one_at_the_rate_that_is_best_for_it():
    """D M sqrt(n), as PEPit finds by semidefinite programming: sqrt(n) for D = M = 1."""
    for n, tight in ((3, 1.73205), (6, 2.44949), (10, 3.16228)):
        alpha = bounds.D / n**0.5
        trace = {"metric": np.array(1 / alpha), "energy": np.array(n * alpha)}
        bound = bounds.descent(trace, alpha, (0.0, 0.0))
        assert bound == pytest.approx(bounds.D * tight, rel=1e-5)


def slow(rule, alpha=0.005):
    """On Theorem 1's problem, at a rate so small that x has far to go from the worst point."""
    times = np.array([30, 300, 3000, 30_000])
    lr, betas = InverseSqrt(alpha), (0.0, 0.1)
    return finished(Hindsight(Periodic(3.0, 1.0, 3), rule, times=times, x1=1.0, lr=lr, betas=betas))


def test_theorem_4_as_it_was_submitted_is_violated_and_as_it_is_corrected_holds():
    """The submission's first term lacks 1/alpha, so it takes a small alpha for a good one."""
    alpha, betas = 0.005, (0.0, 0.1)
    trace = slow(optim.AMSGrad, alpha)
    bound, first = bounds.amsgrad(trace, alpha, betas), bounds.D**2 * trace["metric"]
    submitted = bound - first + alpha * first
    assert (trace["regret"] <= bound).all()
    violated = trace["regret"] > submitted
    assert violated[:, 0].tolist() == [False, False, True, True]


def test_adam_passes_the_bound_that_holds_for_amsgrad():
    trace = slow(optim.PaperAdam, 0.5)
    bound = bounds.amsgrad(slow(optim.AMSGrad, 0.5), 0.5, (0.0, 0.1))
    assert (trace["regret"] > bound)[:, 0].tolist() == [False, False, True, True]


def test_no_player_expects_less_than_another_where_slopes_are_tossed():
    """sqrt(2 T / pi) times the sum of the scales, within four standard errors."""
    signs = Signs((1.0, 2.0), runs=400, seed=0)
    for rule in (optim.SGD, optim.PaperAdam):
        trial = Hindsight(
            signs, rule, times=np.array([400]), x1=0.0, runs=400, dimensions=2, lr=0.1
        )
        regret = finished(trial)["regret"][0]
        error = regret.std() / 20
        assert abs(regret.mean() - signs.expected(400)) < 4 * error
        assert error < 0.05 * signs.expected(400)


@pytest.mark.parametrize("curvature", [0.0, 0.5])
def test_resuming_changes_nothing(monkeypatch, curvature):
    monkeypatch.setattr(hindsight, "STRETCH", 25)
    whole = finished(curved(curvature=curvature))
    first = curved(curvature=curvature)
    first.advance()
    rest = curved(curvature=curvature)
    rest.load_state_dict(first.state_dict())
    for name, values in finished(rest).items():
        np.testing.assert_array_equal(values, whole[name])


def test_what_is_stepped_is_what_is_played():
    """A curvature of next to nothing takes the other loop."""
    flat, bent = (finished(curved(curvature=h)) for h in (0.0, 1e-300))
    for name, values in flat.items():
        np.testing.assert_array_equal(values, bent[name])


@pytest.mark.parametrize("curvature", [0.0, 0.5])
def test_a_rule_without_a_diagonal_has_its_regret_alone(curvature):
    class Plain(optim.SGD):
        diagonal = optim.engine.optimizer.NO_DIAGONAL

    optim.RULES.pop("plain")
    known, plain = (
        finished(curved(rule, lr=0.1, curvature=curvature)) for rule in (optim.SGD, Plain)
    )
    assert plain.keys() == {"t", "regret", "norm"}
    for name, values in plain.items():
        np.testing.assert_array_equal(values, known[name])


@host_only
def test_the_figure_takes_rules_without_a_diagonal():
    result = experiments.run("regret", rules=("lion", "sgd"), quick=True)
    assert "Lion's grows as" in result.verdict and "With a theorem" in result.verdict
    assert not any("bound" in f.text for f in result.findings if "Lion" in f.text)


def test_rules_that_look_at_all_coordinates_at_once_are_refused():
    with pytest.raises(ValueError, match="LARS looks at all coordinates at once"):
        Hindsight(Signs((1.0,), 2, 0), optim.LARS, times=np.array([9]), x1=0.0, runs=2, lr=0.1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"betas": (0.9, 0.8)}, "the theorems need beta1 < sqrt"),
        ({"curvature": 1}, r"is outside \(0, 1\)"),
        ({"spread": 0.5}, r"is outside \[1, inf\)"),
        ({"c": 2}, r"is outside \(2, inf\)"),
        ({"steps": 200}, r"outside \[300, inf\)"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        experiments.run("regret", **changes)
