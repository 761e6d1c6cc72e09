"""Prediction from features that are seen often or seldom, and the loop on it."""

import numpy as np
import pytest

import experiments
import optim
from experiments.loops import regression
from experiments.loops.regression import Regression
from experiments.problems.features import Features
from tests.driving import host_only
from tests.trials import finished

FEATURES = Features((1.0, 0.5, 0.1), noise=0.2, shift=31)
RATES = np.array([0.01, 0.1])


def trial(rule=optim.AdaGrad, features=FEATURES, **options):
    settings = {"rates": RATES, "runs": 2, "times": np.array([1, 5, 30, 31, 60]), "seed": 0}
    return Regression(features, rule, **settings | options)


def test_features_have_the_stated_law():
    x, noise = FEATURES.draws(seed=0, start=1, stop=20_001, runs=1)
    seen = (x[:, 0] != 0).mean(axis=0)
    np.testing.assert_allclose(seen, FEATURES.frequencies, atol=0.015)
    np.testing.assert_allclose((x[:, 0] ** 2).mean(axis=0), FEATURES.frequencies, atol=0.05)
    assert noise.std() == pytest.approx(0.2, abs=0.01)
    w = np.array([0.3, 0.1, -0.8])
    for t in (1, 31):
        off = x[:, 0] @ (w - FEATURES.weights(t))
        assert FEATURES.error(w, t) == pytest.approx((off**2).mean() / 2, rel=0.05)
    assert (FEATURES.weights(30) == -FEATURES.weights(31)).all()


@pytest.mark.parametrize("outlier", [1.0, 50.0])
def test_what_is_recorded_is_what_a_plain_loop_of_adagrad_finds(outlier):
    trace = finished(trial(outlier=outlier, at=20))
    x, noise = FEATURES.draws(seed=0, start=1, stop=61, runs=2)
    for k, rate in enumerate(RATES):
        w, s, row = np.zeros((2, 3)), np.zeros((2, 3)), 0
        for t in range(1, 61):
            target = np.array([1.0, -1.0, 1.0]) * (1 if t < 31 else -1)
            if records := trace["t"][row] == t:
                off = w - target
                error = (off**2 @ [1.0, 0.5, 0.1] / 2).mean()
                assert trace["error"][row, k] == pytest.approx(error, rel=1e-12)
                ends = np.abs(off[:, [0, 2]]).mean(axis=0)
                np.testing.assert_allclose(trace["off"][row, k], ends, rtol=1e-12)
            left = (w * x[t - 1]).sum(axis=1) - x[t - 1] @ target - noise[t - 1]
            g = np.sign(left)[:, None] * x[t - 1]
            if t == 20:
                g[:, 0] *= outlier
            s += g**2
            w -= rate * g / (np.sqrt(s) + 1e-10)
            if records:
                metric = ((np.sqrt(s) + 1e-10) / rate)[:, [0, 2]].mean(axis=0)
                np.testing.assert_allclose(trace["metric"][row, k], metric, rtol=1e-12)
                row += 1


def test_a_rate_follows_the_path_that_it_has_alone_and_resumes_to_the_same(monkeypatch):
    monkeypatch.setattr(regression, "STRETCH", 25)
    both = finished(trial(optim.Adam))
    alone = finished(trial(optim.Adam, rates=RATES[1:]))
    first, rest = trial(optim.Adam), trial(optim.Adam)
    first.advance()
    rest.load_state_dict(first.state_dict())
    resumed = finished(rest)
    for name in ("error", "off", "metric"):
        np.testing.assert_array_equal(both[name][:, 1:], alone[name])
        np.testing.assert_array_equal(both[name], resumed[name])


@host_only
def test_a_rate_that_is_too_large_is_held_in_the_box():
    trace = finished(trial(optim.SGD, rates=np.array([1e6])))
    assert np.isfinite(trace["error"]).all() and trace["off"].max() <= 11


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rules": "adagradnorm"}, "AdaGradNorm looks at all coordinates at once"),
        ({"outlier": 1}, r"is outside \(1, inf\)"),
        ({"noise": 0.0}, r"is outside \(0, inf\)"),
        ({"at": 6001}, r"outside \[1, 6001\)"),
        ({"steps": 20}, r"outside \[100, inf\)"),
    ],
)
@host_only
def test_settings_that_cannot_be_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        experiments.run("stall", **changes)


@host_only
@pytest.mark.parametrize("rules", ["lion", "lion,amsgrad"])
def test_of_a_rule_without_a_diagonal_all_but_the_rates_is_shown(rules):
    result = experiments.run("stall", rules=rules, steps=200, seeds=1)
    (last,) = (f for f in result.findings if f.text.startswith("outlier Lion"))
    assert last.text == "outlier Lion: it has no diagonal, so a weight has no rate."
    alone = rules == "lion"
    assert ("Top right: nothing, since no rule here has a diagonal" in result.caption) is alone
    assert ("rates under AMSGrad" in result.caption) is not alone
    panels = {axes.get_title(loc="left"): axes for axes in result.figure.axes}
    (rates,) = (axes for title, axes in panels.items() if title.startswith("rates"))
    assert len([one for one in rates.lines if len(one.get_xdata()) > 3]) == (0 if alone else 3)
