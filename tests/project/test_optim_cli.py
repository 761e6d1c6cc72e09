"""python -m optim."""

import re
import sys

import pytest

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
    assert int(re.search(r"NumPy: (\d+) calls", text)[1]) > 0
    assert all(name in text for name in rule.state_names())
    assert "CuPy: " in text


@host_only
@pytest.mark.parametrize(
    "name, calls", [("sgd", 2), ("momentum", 4), ("adam", 12), ("amsgrad", 13)]
)
def test_calls_of_numpy_are_counted(name, calls, monkeypatch, capsys):
    assert f"NumPy: {calls} calls" in said(monkeypatch, capsys, "show", name)


def test_an_unknown_name_says_the_nearest(monkeypatch, capsys):
    with pytest.raises(SystemExit, match="2"):
        said(monkeypatch, capsys, "show", "amsgard")
    assert "did you mean 'amsgrad'" in capsys.readouterr().err
