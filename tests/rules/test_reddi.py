"""What Adam and AMSGrad do on the problems of Reddi, Kale and Kumar 2018.

The paper prints figures and theorems; the numbers here were recomputed for this project.
"""

from typing import Any, NamedTuple

import numpy as np
import pytest

from minigrad import to_host
from minigrad.backend import xp
from tests.rules import scalar as scalar_rules
from tests.rules.reddi import AT, DRIVEN, LONG, ROOT, SLOPES, VALUES, drive, optimizer, slope

RULES = {
    "PaperAdam": scalar_rules.adam,
    "Adam": scalar_rules.corrected_adam,
    "AMSGrad": scalar_rules.amsgrad,
}


class Run(NamedTuple):
    """Of one scalar transcription on problem 1, T steps long."""

    x: Any  # x_1, ..., x_T
    average_regret: Any  # R_1, ..., R_T / T, each before its step


@pytest.fixture(scope="module")
def scalar():
    """Runs by rule and beta2, each computed once."""
    runs: dict[tuple[str, float], Run] = {}

    def run(rule: str, beta2: float) -> Run:
        if (rule, beta2) not in runs:
            of_t = ROOT, lambda t: 0.9, lambda t: beta2
            later = RULES[rule](0.0, SLOPES[:-1], *of_t, lo=-1.0, hi=1.0)
            x = np.array([0.0, *later])
            regret = np.cumsum(SLOPES * (x + 1))
            runs[rule, beta2] = Run(x, regret / np.arange(1, LONG + 1))
        return runs[rule, beta2]

    return run


@pytest.mark.parametrize("rule", RULES)
def test_the_driver_follows_the_scalar_rule_on_problem_1(rule, scalar):
    """Section 5 of Reddi, Kale and Kumar 2018, both beta2 of the paper in one sweep."""
    beta2 = np.array([0.99, 0.999])
    rows = drive(optimizer(rule, 2, betas=(0.9, beta2), eps=0), SLOPES[:DRIVEN])
    for column, b2 in zip(rows.T, beta2.tolist(), strict=True):
        np.testing.assert_allclose(column, scalar(rule, b2).x[:DRIVEN], rtol=0, atol=1e-10)


@pytest.mark.parametrize("rule, beta2, x, regret", VALUES)
def test_where_problem_1_leads(rule, beta2, x, regret, scalar):
    """Reddi, Kale and Kumar 2018, Section 5; values recomputed for this project.

    Adam goes to +1, the worst point, more slowly with beta2 = 0.999; AMSGrad to -1, the best.
    """
    run = scalar(rule, beta2)
    np.testing.assert_allclose(run.x[list(AT)], x, rtol=0, atol=5.1e-5)
    np.testing.assert_allclose(run.average_regret[np.array(AT) - 1], regret, rtol=0, atol=5.1e-5)


def test_adam_ends_at_the_worst_point_and_keeps_its_regret(scalar):
    """Section 5: x -> +1, so the average regret tends to 20/101; its excess falls as 1/sqrt(T)."""
    x, regret = scalar("PaperAdam", 0.99)
    assert np.all(x[50_000:] >= 0.987)
    assert 2 * regret[101 * 10_000 - 1] - regret[101 * 2_500 - 1] == pytest.approx(0.1980, abs=5e-5)


def test_amsgrad_ends_at_the_best_point_and_loses_its_regret(scalar):
    """Section 5: x -> -1, and the average regret tends to 0."""
    x, regret = scalar("AMSGrad", 0.99)
    assert np.all(x[110_000:] <= -0.9895)
    assert regret[399_999] == pytest.approx(0.05655, abs=5e-6)


THEOREM_1 = {
    "PaperAdam": ((0.336, 0.669, 1.335, 5.334), 5e-4),
    "AMSGrad": ((0.0035, 0.0035, 0.0037, 0.0043), 5e-5),
}


@pytest.mark.parametrize("rule", THEOREM_1)
def test_theorem_1_has_average_regret_for_adam_only(rule):
    """f_t(x) = C x if t mod 3 = 1, else -x; beta1 = 0 and beta2 = 1 / (1 + C^2)."""
    expected, tolerance = THEOREM_1[rule]
    c = np.array([2.5, 3, 4, 10])
    steps = range(1, 30_001)
    opt = optimizer(rule, 4, betas=(0.0, 1 / (1 + c**2)))
    steep = xp.asarray(c)
    x = drive(opt, [steep if t % 3 == 1 else -1.0 for t in steps])
    slopes = np.array([c if t % 3 == 1 else -np.ones(4) for t in steps])
    regret = np.mean(slopes * (x + 1), axis=0)
    np.testing.assert_allclose(regret, expected, rtol=0, atol=tolerance)
    if rule == "PaperAdam":
        assert np.all(regret >= (2 * c - 4) / 3)  # the bound of the proof


def negative(rule: str, steps: int, lr: Any, beta2: float = 0.99) -> list[int]:
    """The steps t <= `steps` with Gamma_t < 0 on problem 1."""
    opt = optimizer(rule, 1, lr=lr, betas=(0.9, beta2))
    (x,) = opt.params
    metric = [np.zeros(1)]
    for t in range(1, steps + 1):
        x.grad[...] = slope(t)
        opt.step()
        metric.append(to_host(opt.metric()))
    return (1 + np.flatnonzero(np.diff(metric, axis=0) < 0)).tolist()


def between_large_gradients(first: int, last: int) -> list[int]:
    return [t for t in range(first, last + 1) if t % 101 != 1]


@pytest.mark.parametrize(
    "rule, beta2, first",
    [("PaperAdam", 0.99, 103), ("PaperAdam", 0.999, 1015), ("Adam", 0.99, 36), ("Adam", 0.999, 60)],
)
def test_gamma_of_adam_is_negative_except_after_a_large_gradient(rule, beta2, first):
    """Equation 2 of Reddi, Kale and Kumar 2018: their explanation of what goes wrong."""
    assert negative(rule, 2500, ROOT, beta2) == between_large_gradients(first, 2500)


AMSGRADS = ("AMSGrad", "AMSGradTorch", "AMSGradKeras", "AMSGradOptax")


@pytest.mark.parametrize("rule", AMSGRADS)
def test_gamma_of_every_amsgrad_is_positive_at_a_falling_rate(rule):
    """Algorithm 2 guarantees it; for the corrected ones the rate falls faster than they rise."""
    assert negative(rule, 2500, ROOT) == []


@pytest.mark.parametrize("rule", AMSGRADS)
def test_gamma_at_a_constant_rate_tells_amsgrads_apart(rule):
    """Correcting the maximum after it is taken undoes it: PyTorch's and Keras' metric falls."""
    falling = negative(rule, 2222, 0.5)
    if rule in ("AMSGrad", "AMSGradOptax"):
        assert falling == []
    else:
        assert falling == between_large_gradients(14, 2222) and len(falling) == 2188
