"""python -m optim."""

import inspect
import pydoc
import re
import sys
from pathlib import Path

import pytest

import minigrad
import optim
from optim import __main__ as cli
from tests.driving import host_only
from tests.rules.table import every_rule


def said(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["optim", *words])
    cli.main()
    return capsys.readouterr().out


def test_the_table_has_a_row_for_every_rule(monkeypatch, capsys):
    rows = said(monkeypatch, capsys).splitlines()
    ours = [r.__name__ for r in optim.RULES.values() if r.__module__.startswith("optim.")]
    assert [re.match(r"\| `(\w+)` \|", row)[1] for row in rows[2:]] == ours
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}  # one in a cell is escaped
    (amsgrad,) = (row for row in rows if row.startswith("| `AMSGrad` |"))
    for part in ("long_memory", "Reddi", "lr=0.001", "3 (m, v, v_max)", "`optax.amsgrad`"):
        assert part in amsgrad


@host_only
@every_rule
def test_every_rule_can_be_shown(rule, monkeypatch, capsys):
    text = said(monkeypatch, capsys, "show", rule.__name__)
    assert f"class {rule.__name__}(" in text
    assert all(name in text for name in rule.state_names())
    for name in (*rule.passes, *rule.after_projection):
        assert f"The pass `{name}` is" in text
    assert rule.per_tensor or "__device__ void x_" in text


@host_only
@pytest.mark.parametrize(
    "name, calls", [("sgd", 2), ("momentum", 4), ("adam", 12), ("amsgrad", 13)]
)
def test_calls_of_numpy_are_counted(name, calls, monkeypatch, capsys):
    text = said(monkeypatch, capsys, "show", name)
    assert f"on each coordinate, {calls} calls of NumPy on a block:" in text


def test_a_step_is_printed_in_javascript(monkeypatch, capsys):
    text = said(monkeypatch, capsys, "show", "AMSGrad", "--js")
    assert "const step = (arrays, numbers, settings" in text and "Math.sqrt" in text
    with pytest.raises(SystemExit, match="2"):
        said(monkeypatch, capsys, "show", "dog", "--js")
    assert "DoG sums over coordinates" in capsys.readouterr().err


def test_a_rule_of_a_file_is_shown(monkeypatch, capsys):
    file = Path(__file__).parents[1] / "mine.py"
    text = said(monkeypatch, capsys, "show", f"{file}:Mine(lr=0.5)")
    assert "class Mine(optim.Optimizer)" in text and "p ← p − lr m / max(v, 1e−30)" in text
    assert "const step" in said(monkeypatch, capsys, "show", f"{file}:Mine", "--js")
    with pytest.raises(SystemExit, match="2"):
        said(monkeypatch, capsys, "show", f"{file}:Other")
    assert "has no rule Other; known are Mine, Drifting" in capsys.readouterr().err


def test_its_version_is_that_of_the_project(monkeypatch, capsys):
    with pytest.raises(SystemExit, match="0"):
        said(monkeypatch, capsys, "--version")
    assert capsys.readouterr().out.strip() == minigrad.__version__


@pytest.mark.parametrize(
    "one", [optim, optim.Adam, optim.schedules.Cosine, optim.ClipNorm, optim.Box], ids=repr
)
def test_help_works(one):
    assert pydoc.render_doc(one)


@every_rule
def test_help_says_of_each_hyperparameter_what_it_does_its_range_and_its_default(rule):
    text = pydoc.render_doc(rule)
    for name, default in rule.hyperparameters().items():
        line = re.search(rf"^ \|  +{name}: (.+); (.+) by default$", text, re.MULTILINE)
        assert line and repr(default) in line[2], name
        assert re.search(r"in [\[(].*[\])]|whole numbers|^", line[2])
    assert "collections.abc.Callable" not in str(inspect.signature(rule)).split("*", 1)[1]


def test_an_unknown_name_says_the_nearest(monkeypatch, capsys):
    with pytest.raises(SystemExit, match="2"):
        said(monkeypatch, capsys, "show", "amsgard")
    assert "did you mean 'amsgrad'" in capsys.readouterr().err
