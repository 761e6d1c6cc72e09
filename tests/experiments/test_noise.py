"""The experiments on slopes with noise: what they say is true at every setting."""

import re
from pathlib import Path

import numpy as np
import pytest

import experiments
from experiments.claims import bias, floor_measures
from experiments.claims.bias import BATCHES, MOMENTUM, SWEEP
from experiments.registry import EXPERIMENTS
from tests.driving import host_only

pytestmark = host_only


@pytest.mark.parametrize(
    ("changes", "table"),
    [
        # means that another program found, with other draws
        (
            {"steps": 3000, "copies": 1000},
            {SWEEP: (-0.0690, -0.0393, -0.0194, -0.0091, -0.0041)},
        ),
        (
            {"steps": 10_000, "copies": 1000},
            {
                SWEEP: (-0.0712, -0.0402, -0.0199, -0.0095, -0.0043),
                BATCHES: (-0.040, -0.0186, -0.0084, -0.0038, -0.0019),
            },
        ),
        # where p is 1/2 the data are symmetric
        ({"steps": 3000, "copies": 300, "p": 0.5, "beta2s": 0.8, "batches": (1, 3)}, {SWEEP: (0,)}),
        ({"steps": 500, "copies": 100, "p": 0.8, "beta1": 0.5, "beta2": 0.95, "seed": 3}, {}),
    ],
)
def test_bias(changes, table):
    result = experiments.run("bias", **changes)
    s = result.settings
    x = {label: trace["x"][-1] for label, trace in result.traces.items()}
    means = {label: one.mean(axis=1) for label, one in x.items()}
    errors = {label: one.std(axis=1) / np.sqrt(s.copies) for label, one in x.items()}
    for label, expected in table.items():
        off = np.abs(means[label] - expected)
        assert (off < 3 * errors[label] + 0.001).all(), (label, means[label])
        assert off.max() < 0.003
    for label in ("Adam, symmetric", "AMSGrad", "SGD"):
        (finding,) = (one for one in result.findings if one.text.startswith(f"{label}: "))
        assert finding.numbers["x"] == means[label][0]
        if s.p == 0.1:
            assert abs(means[label][0]) < 0.002
    for finding, label in zip(result.findings, (SWEEP, MOMENTUM, BATCHES), strict=False):
        assert finding.text.startswith(f"{label}, ")
        for mean in means[label]:
            assert f"{mean:+.4f}" in finding.text
        assert ("slope" in finding.stated) == (s.p != 0.5 and label != MOMENTUM)
    if len(s.beta2s) > 1 and s.p == 0.1:
        assert result.findings[0].numbers["slope"] == pytest.approx(1, abs=0.1)
    lowest = s.beta2s.index(min(s.beta2s))
    end = f"ends {means[SWEEP][lowest]:+.4f} from the minimum at beta2 = {min(s.beta2s):g}"
    assert end in result.verdict
    assert f"{s.steps:,} steps" in result.caption and f"p = {s.p:g}" in result.caption


def test_the_bias_is_what_the_moments_of_the_data_say():
    """To first order in 1 - beta2, by a Monte Carlo mean of m / sqrt(v) where x does not move."""
    s = EXPERIMENTS["bias"].settings
    rng = np.random.default_rng(0)
    for beta1, beta2, batch in ((0.0, 0.99, 1), (0.9, 0.99, 1), (0.0, 0.98, 2)):
        x = bias.told(s, beta2, beta1, batch)
        g = x - (rng.binomial(batch, s.p, (6000, 1000)) / batch - s.p)
        m, v, steps = np.zeros(1000), np.full(1000, s.p * (1 - s.p) / batch), []
        for row in g:
            m = beta1 * m + (1 - beta1) * row
            v = beta2 * v + (1 - beta2) * row**2
            steps.append(np.mean(m / np.sqrt(v)))
        drift, per_x = np.mean(steps[500:]), np.sqrt(batch / (s.p * (1 - s.p)))
        assert abs(drift / per_x) < 0.15 * abs(x)


@pytest.mark.parametrize(
    ("changes", "table", "stalled"),
    [
        (
            {"horizons": (1000, 4000, 16_000)},
            (0.1068, 0.0538, 0.0269),
            (0.0750, 0.0547, 0.0493),
        ),
        ({"horizons": 4000, "seed": 5, "lr": 0.01, "betas": (0.5, 0.9)}, (0.0538,), None),
        ({"horizons": (4000, 1000), "dimensions": 400, "beta2": 0.9}, (0.0538, 0.1068), None),
    ],
)
def test_horizon(changes, table, stalled):
    result = experiments.run("horizon", **changes)
    s = result.settings
    tuned, constant, schedule = result.findings
    found = [tuned.numbers[f"N = {n}"] for n in s.horizons]
    assert found == pytest.approx(table, rel=0.03)
    if stalled:
        found = [constant.numbers[f"N = {n}"] for n in s.horizons]
        assert found == pytest.approx(stalled, rel=0.03)
    assert tuned.numbers.get("slope", -0.5) == pytest.approx(-0.5, abs=0.02)
    assert ("slope" in tuned.stated) == (len(s.horizons) > 1) == ("like N to the" in result.verdict)
    assert schedule.numbers["scheduled"] < 1e-13 < 1e-2 < schedule.numbers["not scheduled"]
    x = {k: result.traces[k]["x"] for k in ("Adam", "PaperAdam, scheduled", "PaperAdam")}
    most = np.abs(x["PaperAdam, scheduled"] - x["Adam"]).max()
    assert schedule.numbers["scheduled"] == most
    assert f"{s.dimensions} coordinates" in result.caption
    assert f"seed {s.seed};" in result.caption and f"alpha = {s.lr:g}" in result.caption


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 2000, "seeds": 101},
        {"steps": 300, "seeds": 41, "rules": "momentum,lion", "rare": 1.0, "seed": 2},
        {"steps": 60, "seeds": 31, "rules": "amsgrad,adagrad", "tilt": 0.05},
        {"steps": 60, "seeds": 31, "rules": "adagrad"},
    ],
)
def test_floor(changes):
    result = experiments.run("floor", **changes)
    s, traces = result.settings, result.traces
    top, half = np.sort(np.roots([1, 0, -1, s.tilt]).real)[1], {}
    for name, finding in zip(s.names, result.findings, strict=False):
        floor = traces[f"{name} floor"]["mean"][-1].mean(axis=1)
        assert finding.text.startswith(f"{name}: ") and finding.numbers["floor"] == floor[-1]
        x = traces[f"{name} wells"]["x"][-1]
        share = np.mean(x < top, axis=1)
        assert finding.numbers["best share"] == pytest.approx(share.max())
        assert share[floor_measures.RATES == finding.numbers["best alpha"]] == share.max()
        # from the least rates nothing escapes: as many are in each well as began there
        assert share[0] == 0.5 and np.abs(x).max() <= 2
        out = np.mean(x[:, : s.seeds] < top, axis=1)
        alpha = finding.numbers.get("alpha of half")
        if alpha:
            k = np.searchsorted(floor_measures.RATES, alpha)
            assert out[k - 1] < 0.5 <= out[k] and f"{alpha:.3f}" in finding.text
        else:
            assert out.max() < 0.5
        half[name] = bool(alpha)
    assert any(half.values()) == ("half of the seeds leave the worse well" in result.verdict)
    some = [name for name, there in half.items() if there]
    assert (f"the worse well under {', '.join(some)} where" in result.verdict) == (
        0 < len(some) < len(half)
    )
    assert f"q = {s.rare:g}" in result.caption and f"{s.steps:,} steps" in result.caption
    last = result.findings[-1]
    assert last.numbers["1/t"] == pytest.approx(last.stated["1/t"], rel=0.5)


def test_the_floor_of_sgd_is_its_closed_form_and_adams_goes_like_the_rate():
    result = experiments.run("floor", steps=6000, seeds=100, rules=("sgd", "adam", "amsgrad"))
    rates = floor_measures.RATES
    sgd, adam, amsgrad = floor_measures.floors(result.traces, result.settings).values()
    assert sgd == pytest.approx(rates / (2 - rates), rel=0.05)
    # v is near the variance of the noise, so Adam's are near SGD's; v_max is above it
    assert adam[rates < 0.03] == pytest.approx(rates[rates < 0.03] / 2, rel=0.08)
    assert (amsgrad < 0.9 * adam).all()
    powers = [finding.numbers["power"] for finding in result.findings[:3]]
    assert powers == pytest.approx([1, 1, 1], abs=0.03)
    # what takes half of the seeds out of the worse well is the floor, not the rule
    halves = floor_measures.half(result.traces, result.settings).values()
    alphas, floors = zip(*halves, strict=True)
    assert max(floors) < 1.2 * min(floors) < 1.3 * min(alphas) < max(alphas)


@host_only
def test_a_rule_that_stands_still_has_a_floor_of_0_that_has_no_power(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("still.py").write_text(
        "import optim\n\n\nclass Still(optim.Optimizer):\n    lr: optim.Rate = 0.1\n\n"
        "    @optim.inplace\n    def kernel(p, g, *, lr):\n        p -= 0 * lr * g\n"
    )
    changes = {"steps": 500, "seeds": 5}
    alone = experiments.run("floor", rules="still.py:Still", **changes)
    assert alone.verdict.startswith("The floor E x^2 is 0; under none does a larger alpha")
    assert "power" not in alone.findings[0].numbers and alone.figure
    both = experiments.run("floor", rules="sgd,still.py:Still", **changes)
    assert re.match(r"The floor E x\^2 goes like alpha to the [\d.]+ under SGD;", both.verdict)
    drawn = {text.get_text() for text in both.figure.axes[0].texts}
    assert "SGD" in drawn and "Still" not in drawn
