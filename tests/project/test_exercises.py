"""docs/exercises.md: every exercise has an answer, which prints what the page says and is right."""

import re
from functools import cache

import numpy as np
import pytest

import optim
from experiments.problems.drift import drift
from experiments.problems.linear import Periodic
from tests.driving import host_only
from tests.project.pages import ROOT, run

PAGE = ROOT / "docs/exercises.md"
EXERCISES = re.findall(r"^### (\d+)\. (.*?)\n(.*?)(?=^##|\Z)", PAGE.read_text("utf-8"), re.M | re.S)


def test_there_are_twelve_each_with_a_question_and_one_folded_answer():
    assert [int(number) for number, _, _ in EXERCISES] == list(range(1, 13))
    for _, _, text in EXERCISES:
        question, *answers = text.split("<details><summary>Answer</summary>\n")
        (answer,) = answers
        assert "```" not in question
        assert answer.count("```python") == answer.count("```text") == 1
        assert answer.rstrip().endswith("</details>")


@cache
def answers():
    """The names that the page leaves, by name."""
    *_, names = run(PAGE)
    return names


@host_only
def test_the_answers_print_what_the_page_says_and_their_formulas_are_right():
    """Against the closed form of the experiments, which was derived for both moments at once, and
    thresholds that were computed for this project before."""
    names = answers()
    for c, beta2 in ((3, 0.1), (101, 0.99), (32, 0.999)):
        problem = Periodic(large=c, small=1, period=c)
        assert names["drift"](c, c, beta2) == pytest.approx(float(drift(problem, (0, beta2))))
    problem = Periodic(large=101, small=1, period=101)
    for rho in (0.999, 0.9999):
        expected = float(drift(problem, (0, 0.99), rho))
        assert names["leaky_drift"](rho) == pytest.approx(expected, abs=1e-12)
    assert names["beta2"] == pytest.approx(0.999603, abs=5e-7)  # of C = 101, the last one
    late = names["late"] / names["alpha"]
    assert 10 * late == pytest.approx(33, rel=0.01)  # the paper's slopes are ten times these


@host_only
def test_the_rule_of_two_lines_is_amsgrad_where_gradients_are_sparse():
    names = answers()
    g = np.random.default_rng(1).standard_normal((500, 7))
    g[np.random.default_rng(2).random(g.shape) < 0.7] = 0
    ends = []
    for rule in (names["Mine"], optim.AMSGrad, optim.PaperAdam):
        x = names["Tensor"](np.ones(7), requires_grad=True)
        rule([x], lr=0.1).play(g)
        ends.append(x.numpy())
    np.testing.assert_array_equal(ends[0], ends[1])
    assert np.all(ends[0] != ends[2])


@host_only
def test_dividing_by_the_v_before_moves_x_by_the_drift_that_the_page_derives():
    names = answers()
    settings = {"lr": 1.0, "beta2": 0.9, "projection": None}
    x, _ = names["play"](names["Before"], names["slopes"](101, 101, 2021), **settings)
    assert x[-1] - x[-102] == pytest.approx(names["drift_before"](101, 101, 0.9))
