"""Where a drift turns, and runs on a finite sum, against plain loops and closed forms."""

import numpy as np
import pytest

import optim
from experiments.loops.finite_sum import FiniteSumDescent
from experiments.loops.online import OnlineTrial
from experiments.problems.drift import adopt_pulls, climbing
from experiments.problems.finite_sum import FiniteSum
from experiments.problems.linear import REDDI, theorem_2
from experiments.registry import EXPERIMENTS
from minigrad import to_host, xp
from optim.schedules import InverseSqrt
from tests.driving import host_only
from tests.trials import finished

BETAS = np.array([0.0, 0.9]), np.array([0.9, 0.99])


def descent(problem, rule=optim.PaperAdam, **options):
    options = {"passes": 30, "x1": 1.0, "betas": BETAS, "shuffles": 2, "seed": 0} | options
    return FiniteSumDescent(problem, rule, lr=InverseSqrt(0.1), **options)


def test_the_critical_beta2_tends_to_1_less_4_over_c_squared_without_momentum():
    for c, error in ((30, 0.05), (100, 0.02), (300, 0.005), (1000, 0.002)):
        ((low, high),) = climbing(theorem_2(c), 0.0)
        assert low == 0 and (1 - high) * c * c / 4 == pytest.approx(1, abs=error)


@pytest.mark.parametrize(
    ("c", "depths"),
    [(3, []), (4, []), (5, []), (8, [0.147, 0.319]), (10, [0.029, 0.647]), (32, [0, 2.086])],
)
def test_with_momentum_small_problems_have_a_largest_and_a_least_bad_beta2(c, depths):
    ends = [-np.log10(1 - end) for interval in climbing(theorem_2(c), 0.9) for end in interval]
    assert ends == pytest.approx(depths, abs=6e-4)


def test_the_finite_sum_is_that_of_the_paper():
    n, a = 10, 1 / 81
    linear = FiniteSum(n).linear

    def value(slope, x):
        return slope * x if x >= -1 else slope / 2 * (x + 2) ** 2 - 3 * slope / 2

    assert linear.slopes(1, n + 1)[:, 0] == pytest.approx([1 + 9 * a] + 9 * [-a])
    for x in (-3.0, -2.0, -1.2, -1.0, 0.5, 40.0):
        for slope in (linear.large, -linear.small):
            told = (value(slope, x + 1e-6) - value(slope, x - 1e-6)) / 2e-6
            gradient = to_host(FiniteSum.gradient(slope, xp.asarray(x)))
            assert gradient == pytest.approx(told, abs=1e-6)
        slopes = xp.asarray(linear.slopes(1, n + 1)[:, 0])
        total = to_host(FiniteSum.gradient(slopes, xp.asarray(x))).sum()
        assert total == pytest.approx(min(x + 2, 1))  # 0 at -2 alone


def test_copies_in_order_are_a_plain_loop():
    n, passes = 10, 250
    got = finished(descent(FiniteSum(n), passes=passes))["x"]
    slopes = np.tile(FiniteSum(n).linear.slopes(1, n + 1)[:, 0], passes)
    for k, (beta1, beta2) in enumerate(zip(*BETAS, strict=True)):
        x, m, v, half = 1.0, 0.0, 0.0, None
        for t, slope in enumerate(slopes, 1):
            g = slope * min(x + 2, 1)
            m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
            x -= 0.1 / np.sqrt(t) * m / np.sqrt(v)
            half = x if t == n * passes // 2 else half
        assert got[:, 0, k] == pytest.approx([1.0, half, x], abs=1e-9)


def test_a_pass_takes_each_function_once_in_an_order_that_all_betas_share(monkeypatch):
    n, seen = 5, []

    def gradient(self, slope, x):
        seen.append(np.broadcast_to(to_host(slope), x.shape).copy())
        return slope

    monkeypatch.setattr(FiniteSum, "gradient", gradient)
    finished(descent(FiniteSum(n), passes=600))
    first = np.array(seen).reshape(600, n, 3, 2) > 0
    assert (first.sum(axis=1) == 1).all()
    assert (first[..., 0] == first[..., 1]).all()
    assert first[:, 0, 0].all()  # in order
    places = first[:, :, 1:, 0].mean(axis=0)
    assert places == pytest.approx(np.full((n, 2), 1 / n), abs=0.06)  # 600 draws: 0.016 is usual
    assert (first[:, :, 1] != first[:, :, 2]).any()
    assert (first[:200] != first[400:]).any()  # the second stretch of 400 passes is drawn anew


def test_a_finite_sum_resumes_to_the_same_numbers():
    whole, half = descent(FiniteSum(20), passes=250), descent(FiniteSum(20), passes=250)
    half.advance()
    other = descent(FiniteSum(20), passes=250)
    other.load_state_dict(half.state_dict())
    assert 0 < other.progress < 1
    np.testing.assert_array_equal(finished(other)["x"], finished(whole)["x"])


@pytest.mark.parametrize(("t", "beta2"), [(2000, 0.5), (4000, 0.9), (30_000, 0.99), (9000, 0.99)])
def test_adopts_pulls_are_what_a_period_moves_x_by(t, beta2):
    """At a constant rate of 1 and without the interval; 30,000 is above the fourth power of what
    the spike pulls at 0.99, and there the clip does nothing."""
    times = REDDI.period * np.array([t // 101, t // 101 + 1])
    trial = OnlineTrial(
        REDDI, optim.ADOPT, steps=times[1], x1=0.0, times=times, projected=False,
        lr=1.0, betas=(0.9, beta2),
    )  # fmt: skip
    x = finished(trial)["x"][:, 0]
    spike, others = adopt_pulls(REDDI, beta2)
    # the last of a period is before its last step, so that both ends see the same v and m
    assert x[1] - x[0] == pytest.approx(others - min(spike, times[0] ** 0.25), abs=2e-2)


@host_only
@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("threshold", "cs", (2, 4)),
        ("threshold", "sizes", (10, 2000)),
        ("threshold", "beta1", 0.0),
        ("threshold", "sum_start", -1.5),
        ("threshold", "steps", 100),
        ("threshold", "sum_steps", 100),
        ("threshold", "sum_lr", 0.0),
        ("adopt", "beta2s", (0.9, 1.0)),
        ("adopt", "c", 2),
        ("adopt", "start", 1.5),
    ],
)
def test_settings_are_checked(name, setting, value):
    with pytest.raises(ValueError, match=f"{setting}="):
        EXPERIMENTS[name].configured({setting: value})
