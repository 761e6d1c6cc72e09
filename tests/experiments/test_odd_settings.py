"""The experiments at the least and oddest of their settings: what they say, and their figures."""

import json
import re
import warnings
from dataclasses import asdict

import numpy as np
import pytest
from matplotlib.text import Text

import experiments
import optim
from minigrad import Tensor
from optim.schedules import Power
from tests.driving import host_only

pytestmark = host_only
# what no sentence has: a number that is none, one of several things, a zero with a sign
UNTRUE = re.compile(
    r"\b(nan|inf|None)\b|(?<![.\d])1 (steps|seeds|orders|digits|coordinates|images|values|copies)\b"
    r"|-0\.0+\b(?!\d)|, and [.;]"
)
ODD = [
    ("projection", {"steps": 1}),
    ("projection", {"rule": "sgd", "steps": 3, "simplex": (1, -2, 1), "lr": 1e-3}),
    ("projection", {"steps": 40, "start_ball": (1, 0), "start_simplex": (1, 0, 0)}),
    ("adopt", {"steps": 1, "beta2s": 0.5}),
    ("adopt", {"steps": 300, "beta2s": (0.5, 0.6, 0.65, 0.7, 0.72)}),
    ("bias", {"steps": 10, "copies": 2, "beta2s": 0.9, "batches": 1}),
    ("bias", {"steps": 10, "copies": 2, "beta2s": (0.9, 0.999999), "p": 0.5}),
    ("horizon", {"horizons": 10, "dimensions": 1}),
    ("horizon", {"horizons": (10, 200), "start": 0, "lr": 1e-9}),
    ("floor", {"steps": 10, "seeds": 1, "rare": 0.01}),
    ("edge", {"steps": 2, "every": 1, "images": 1, "hidden": 1}),
    ("rare", {"classes": 3, "tail_steps": 2, "early": 2, "steps": 1, "seeds": 1, "batch": 1}),
    ("generalization", {"n": 1, "tests": 1, "steps": 2, "seeds": 1, "rules": "sgd"}),
    ("generalization", {"n": 20, "steps": 5, "seeds": 2, "descent_lr": 1e-90}),
    ("regret", {"steps": 300, "seeds": 1, "dimensions": 1, "rules": "adam"}),
    ("regret", {"steps": 300, "seeds": 1, "rules": "adam", "start": -1, "lr": 1e-9}),
    ("regret", {"steps": 600, "seeds": 2, "rules": "momentum"}),
    ("stall", {"steps": 100, "features": 2, "seeds": 1, "rules": "sgd,amsgrad"}),
    ("threshold", {"cs": 3, "steps": 12, "sizes": 3, "sum_steps": 6, "shuffles": 1}),
    ("threshold", {"cs": (30, 31, 32), "steps": 140, "sizes": (3, 4, 5), "sum_steps": 30}),
]


@pytest.mark.parametrize(("name", "changes"), ODD)
def test_what_is_said_is_finite_and_counted_and_drawn_without_warnings(name, changes):
    result = experiments.run(name, **changes)
    said = [result.verdict, result.caption, *(finding.text for finding in result.findings)]
    for text in said:
        assert not UNTRUE.search(text), text
    for finding in result.findings:
        json.dumps(asdict(finding), allow_nan=False)
        assert finding.stated.keys() <= finding.numbers.keys()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = result.figure
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [Text.get_window_extent(text) for text in axes.texts if text.get_text()]
        for i, one in enumerate(boxes):
            assert one.x0 > -1 and one.x1 < figure.bbox.width + 1
            for other in boxes[:i]:
                if min(one.x1, other.x1) - max(one.x0, other.x0) > 2:
                    overlap = min(one.y1, other.y1) - max(one.y0, other.y0)
                    assert overlap < 0.4 * min(one.height, other.height), axes.get_title("left")


def test_a_step_that_ends_in_the_set_is_not_projected():
    findings = experiments.run("projection", steps=1).findings
    (ball,) = (one for one in findings if one.text.startswith("ball, one step"))
    assert ball.text == "ball, one step: it ends in the ball, where nothing is projected."
    assert ball.numbers == {"apart": 0, "times as far": 1}


def test_what_an_outlier_does_at_once_is_seen_at_its_step():
    result = experiments.run("stall", steps=5000, at=777, seeds=1, rules="adagrad")
    once = result.findings[-1].numbers["at once"]
    trace, without = (result.traces[f"{kind} AdaGrad"] for kind in ("outlier", "dense"))
    (place,) = np.flatnonzero(trace["t"] == 777)
    factors = trace["metric"][place, :, 0] / without["metric"][place, :, 0]
    assert np.isclose(factors, once).any() and 777 in without["t"]


def test_a_beta_that_a_rule_declares_as_a_schedule_stays_one():
    """AdamNC's v is the mean of all squares, whatever beta2 is given."""
    changes = {"steps": 200, "seeds": 1, "features": 3, "rules": "adamnc"}
    one, other = (
        experiments.run("stall", **changes, betas=(0.9, beta2)).traces["dense AdamNC"]["metric"]
        for beta2 in (0.5, 0.999)
    )
    np.testing.assert_array_equal(one, other)


def test_what_does_not_move_is_not_said_to_move_against_the_drift():
    changes = {"cs": 3, "steps": 12, "sizes": 3, "sum_steps": 30, "shuffles": 1, "sum_lr": 1e-90}
    for finding in experiments.run("threshold", **changes).findings:
        if ", n = 3" in finding.text:
            assert finding.numbers["against the drift"] == 0


def test_a_scale_is_only_named_where_there_is_one_of_it():
    one = experiments.run("regret", steps=300, seeds=1, dimensions=1, rules="sgd")
    assert "in 1 coordinate of [-1, 1], with scales s_i of 1; the" in one.caption


def test_an_optimizer_of_many_runs_is_written_in_one_line():
    """As it stands in the sentence on a run that fails."""
    x = Tensor(np.zeros(200), requires_grad=True)
    rates = np.linspace(0.25, 0.5, 200)
    for lr in (rates, Power(rates, np.zeros(200))):
        text = repr(optim.Adam([x], lr=lr))
        assert "0.25, ..., 0.5" in text and "\n" not in text
