"""Rows of docs/hunt.json against loops that know nothing of optim, and what is said of the rules
that are not hunted."""

import json
import re
from functools import partial
from hashlib import sha256
from math import ceil, copysign, sqrt
from pathlib import Path

import numpy as np
import pytest

import optim
from experiments.hunt import claimed, table
from experiments.hunt.drift import drift
from experiments.hunt.hunted import OTHER, Hunted
from experiments.hunt.problems import Spiked, as_slopes
from minigrad import Tensor
from tests.driving import host_only

pytestmark = host_only
KNOWN = json.loads((Path(__file__).parents[2] / "docs" / table.JSON).read_text())
PROBLEM = re.compile(
    r"(?P<large>[\d.]*) ?x if (?:t mod|\(t - 1\) mod) (?P<period>\d+) "
    r"(?:= 1|< (?P<spikes>\d+)), else -(?P<small>[\d.]*) ?x"
)


def one_period(text):
    """The slopes of a problem, from its formula."""
    found = PROBLEM.fullmatch(text).groupdict()
    large, small = (float(found[name] or 1) for name in ("large", "small"))
    spikes = int(found["spikes"] or 1)
    return [large] * spikes + [-small] * (int(found["period"]) - spikes)


def sign(x):
    return copysign(1.0, x) if x else 0.0


# Each takes the gradients one by one, with the step that the clip of ADOPT and the momentum of
# NAdam see and the number of those so far, and gives its step over lr


def adam(b1=0.9, b2=0.999, eps=1e-8, corrected=True, leak=None, belief=False, grams=False):
    m = v = largest = 0.0

    def step(g, t, k):
        nonlocal m, v, largest
        m = b1 * m + (1 - b1) * g
        of = g - m if belief else g
        v = b2 * v + (1 - b2) * of * of + (1e-16 if belief else 0.0)
        if leak is not None:
            largest = max(leak * largest, v)
        m_hat, v_hat = (m / (1 - b1**k), v / (1 - b2**k)) if corrected else (m, largest or v)
        move = m_hat / (sqrt(v_hat) + eps)
        return abs(move) * sign(g) if grams else move

    return step


def rmsprop(b2=0.99, momentum=0.0, eps=1e-8, first=False):
    v = b = 0.0

    def step(g, t, k):
        nonlocal v, b
        v = g * g if first and k == 1 else b2 * v + (1 - b2) * g * g
        b = momentum * b + g / (sqrt(v) + eps)
        return b

    return step


def adamax():
    m = u = 0.0

    def step(g, t, k):
        nonlocal m, u
        m, u = 0.9 * m + 0.1 * g, max(0.999 * u, abs(g) + 1e-8)
        return m / (1 - 0.9**k) / u

    return step


def nadam():
    m, v, product = 0.0, 0.0, 1.0

    def step(g, t, k):
        nonlocal m, v, product
        mu, ahead = (0.9 * (1 - 0.5 * 0.96 ** (0.004 * s)) for s in (t, t + 1))
        product *= mu
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        mixed = ahead * m / (1 - product * ahead) + (1 - mu) * g / (1 - product)
        return mixed / (sqrt(v / (1 - 0.999**k)) + 1e-8)

    return step


def lion():
    m = 0.0

    def step(g, t, k):
        nonlocal m
        move, m = sign(0.9 * m + 0.1 * g), 0.99 * m + 0.01 * g
        return move

    return step


def qhadam():
    m = v = 0.0

    def step(g, t, k):
        nonlocal m, v
        m, v = 0.995 * m + 0.005 * g, 0.999 * v + 0.001 * g * g
        return (0.7 * m / (1 - 0.995**k) + 0.3 * g) / (sqrt(v / (1 - 0.999**k)) + 1e-8)

    return step


def laprop():
    m = v = 0.0

    def step(g, t, k):
        nonlocal m, v
        v = 0.999 * v + 0.001 * g * g
        m = 0.9 * m + 0.1 * g / (sqrt(v / (1 - 0.999**k)) + 1e-15)
        return m / (1 - 0.9**k)

    return step


def adopt(b2=0.9999):
    m, v = 0.0, None

    def step(g, t, k):
        nonlocal m, v
        if v is None:
            v = g * g
            return 0.0
        clip = (t - 1) ** 0.25
        m = 0.9 * m + 0.1 * max(-clip, min(clip, g / max(sqrt(v), 1e-6)))
        v = b2 * v + (1 - b2) * g * g
        return m

    return step


def adashift(b2=0.999):
    past, v = [], 0.0
    weights = [0.9**age for age in range(10)]

    def step(g, t, k):
        nonlocal v
        past.insert(0, g)
        if len(past) == 11:
            v = b2 * v + (1 - b2) * past.pop() ** 2
            m = sum(w * x for w, x in zip(weights, past, strict=True)) / sum(weights)
            return m / (sqrt(v / (1 - b2 ** (k - 10))) + 1e-10)
        return 0.0

    return step


def acprop():
    m = s = 0.0

    def step(g, t, k):
        nonlocal m, s
        move = g if k == 1 else g / (sqrt(s / (1 - 0.999 ** (k - 1))) + 1e-16)
        m = 0.9 * m + 0.1 * g
        s = 0.999 * s + 0.001 * (g - m) ** 2 + 1e-16
        return move

    return step


BY_HAND = {
    "Lion(weight_decay=0.0)": lion,
    "RMSProp": rmsprop,
    "RMSPropMomentum": partial(rmsprop, momentum=0.9),
    "NovoGrad(weight_decay=0.0)": partial(rmsprop, 0.25, 0.9, 1e-6, first=True),
    "PaperAdam": partial(adam, eps=0.0, corrected=False),
    "Adam": adam,
    "Adam(betas=(0.9, 0.99))": partial(adam, b2=0.99),
    "AdaMax": adamax,
    "NAdam": nadam,
    "LeakyAMSGrad": partial(adam, eps=0.0, corrected=False, leak=0.9999),
    "AdaBelief": partial(adam, eps=1e-16, belief=True),
    "QHAdam": qhadam,
    "Grams": partial(adam, grams=True),
    "LaProp": laprop,
    "ADOPT": adopt,
    "ADOPT(betas=(0.9, 0.9))": partial(adopt, 0.9),
    "ACProp": acprop,
}
T = 10**6


def drift_by_hand(period, step, periods):
    """Of the last of so many periods, all but the first of which are at t = T."""
    k = 0
    for _ in range(periods):
        drift = 0.0
        for g in period:
            k += 1
            drift -= step(g, k if k <= len(period) else T, k)
    return drift


def test_the_drift_of_a_rule_with_a_queue():
    problem, hunted = Spiked(14.0, 1.0, 16), Hunted.of("AdaShift", betas=(0.9, 0.9))
    by_hand = drift_by_hand(problem.one_period.tolist(), adashift(0.9), 100)
    assert drift(hunted, as_slopes([problem]), T).d[0] == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize("name", BY_HAND)
def test_the_drift_of_a_row(name):
    found = [f for f in KNOWN[name]["findings"] if "drift" in f["numbers"]]
    assert found
    for finding in found[:2]:
        period = one_period(finding["problem"])
        slowly = "ADOPT" in name or "Leaky" in name  # forgets over 10^4 steps
        periods = ceil((250_000 if slowly else 50_000) / len(period)) + 8
        assert drift_by_hand(period, BY_HAND[name](), periods) == pytest.approx(
            finding["numbers"]["drift"]["1e+06"], rel=1e-6, abs=1e-6
        )


@pytest.mark.parametrize("name", BY_HAND)
def test_where_it_ends(name):
    """Of the runs that are not too long for Python."""
    for finding in KNOWN[name]["findings"]:
        n = finding["numbers"]
        if "at the worst point" in n and n["T"] <= 10**5:
            period, step, x, regret = one_period(finding["problem"]), BY_HAND[name](), -1.0, 0.0
            best = -copysign(1.0, sum(period))
            for k in range(1, n["T"] + 1):
                g = period[(k - 1) % len(period)]
                before, x_t = x, x
                regret += g * (x_t - best)
                x = max(-1.0, min(1.0, x - finding["alpha"] / sqrt(k) * step(g, k, k)))
            assert before == pytest.approx(n["x"][0][0], abs=1e-6)
            assert regret / n["T"] == pytest.approx(n["R/T"][0][0], rel=1e-6)


SLOPES = np.random.default_rng(0).standard_normal((200, 1)) * 3


def path(rule, slopes=SLOPES, x=0.5, **settings):
    """Of one coordinate."""
    return rule([Tensor(np.full(1, x), requires_grad=True)], lr=0.01, **settings).play(slopes)[:, 0]


@pytest.mark.parametrize(
    "name, settings, other, others",
    [
        ("AdaGradNorm", {}, "AdaGrad", {}),
        ("AvaGrad", {}, "Momentum", {"momentum": 0.9}),
        ("MaxAdaShift", {}, "AdaShift", {}),
        ("AdamMini", {}, "Adam", {}),
        ("ASGD", {"lambd": 0.0}, "SGD", {}),
        ("SGDW", {"weight_decay": 0.0}, "Momentum", {}),
        ("AdamW", {"weight_decay": 0.0}, "Adam", {}),
        ("NAdamW", {"weight_decay": 0.0}, "NAdam", {}),
        ("Shampoo", {"eps": 0.0}, "AdaGrad", {"eps": 0.0}),
        ("Muon", {"weight_decay": 0.0}, "Adam", {"eps": 1e-7}),
    ],
)
def test_in_one_coordinate_it_is(name, settings, other, others):
    assert f"it is {other}" in OTHER[name]
    one, same = path(getattr(optim, name), **settings), path(getattr(optim, other), **others)
    scale = 0.1 if name == "AvaGrad" else 1.0
    assert "scaled by 1 - beta1" in OTHER[name] or scale == 1.0
    np.testing.assert_allclose(one - 0.5, scale * (same - 0.5), rtol=1e-9, atol=1e-12)


def test_soap_is_adam_a_step_late():
    soap = path(optim.SOAP, weight_decay=0.0)
    adam = path(optim.Adam, SLOPES[1:], betas=(0.95, 0.95))
    np.testing.assert_allclose(soap[1:], adam, rtol=1e-6)


def test_sm3_moves_by_the_mean_of_adagrads_steps():
    steps = np.diff(path(optim.AdaGrad, eps=0.0))
    mean, x, expected = 0.0, 0.5, [0.5]
    for step in steps:
        mean = 0.9 * mean + 0.1 * step
        expected.append(x := x + mean)
    np.testing.assert_allclose(path(optim.SM3, eps=0.0), expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["LARS", "LAMB", "Adafactor"])
def test_they_slow_down_at_0(name):
    near, far = (np.abs(np.diff(path(getattr(optim, name), x=x))).max() for x in (0.01, 1.0))
    assert near == pytest.approx(0.01 * far, rel=0.05)


def test_rprop_begins_at_lr_and_follows_no_schedule():
    falling = optim.Rprop([Tensor(np.zeros(1), requires_grad=True)], lr=lambda t: 0.01 / t)
    np.testing.assert_array_equal(falling.play(SLOPES)[:, 0], path(optim.Rprop, x=0.0))


def test_the_spikes_of_a_block():
    problem = Spiked(2.0, 1.0, 10, spikes=3)
    assert one_period(str(problem)) == problem.one_period.tolist()


@pytest.mark.parametrize("b1, b2, c", [(0.9, 0.999, 42_620), (0.9, 0.99, 3214)])
def test_theorem_2_asks_for_long_periods(b1, b2, c):
    """C = 2 N with beta2^N C^2 <= 1 and N sqrt(1 - beta2) (1 - gamma) >= 4 is enough for it."""
    n = ceil(4 / (sqrt(1 - b2) * (1 - b1 / sqrt(b2))))
    while b2**n * (2 * n) ** 2 > 1:
        n += 1
    assert 2 * n == c
    assert f"C = {c:,} at betas = ({b1:g}, {b2:g})" in " ".join(claimed.CLAIMS.split())


def test_a_row_says_what_was_hunted():
    for name, hunted in table.rows():
        row = KNOWN[name]
        assert row["settings"].keys() == hunted.rule.hyperparameters().keys() - {"lr"}, name
        assert all(len(digest) == 64 for digest in row["sha256"].values())


def test_a_digest_is_that_of_the_text(tmp_path):
    file = tmp_path / "mine.py"
    text = "import optim\n\n\nclass Mine(optim.SGD):\n    '''Of mine.'''\n"
    file.write_text(text)
    assert Hunted.of(f"{file}:Mine").digest == sha256(text.encode()).hexdigest()
    assert Hunted.of("Adam").digest != Hunted.of("PaperAdam").digest
