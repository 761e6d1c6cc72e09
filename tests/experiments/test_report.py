"""python -m experiments report: what it runs, and what it says of rules that are known."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments import runner
from experiments.cli import main
from experiments.interactive import load
from experiments.record.directory import RunDirectory
from experiments.record.environment import environment
from experiments.report import plan, unconstrained
from tests.driving import host_only

pytestmark = [host_only, pytest.mark.xdist_group("report")]
FILE = Path(__file__).parents[1] / "mine.py"
SHORT = {  # the plan, but for its lengths
    "synthetic-online": {"steps": 10_100},
    "regret": {"steps": 600, "seeds": 2},
    "phase-diagram": {"steps": 2_020},
    "theorem-1": {"steps": 900},
    "synthetic-stochastic": {"steps": 500, "seeds": 5},
    "landscapes": {"steps": 50},
    "logistic": {"data": "digits", "epochs": 1, "tuning_seeds": 1, "seeds": 2, "rates": 3},
    "mlp": {"data": "digits", "epochs": 1, "tuning_seeds": 1, "seeds": 2, "rates": 3},
}


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """Reports of two rules of a file, which is gone, and of two of ours, in one directory."""
    out = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(out)
        patch.setattr(plan, "PLAN", {name: SHORT.get(name, one) for name, one in plan.PLAN.items()})
        shutil.copy(FILE, "mine.py")
        for rule in ("mine.py:Mine", "mine.py:Drifting"):
            assert main(["report", rule, "--workers", "2"]) == 0
        Path("mine.py").unlink()
        patch.setattr(plan, "PLAN", {"synthetic-online": {"steps": 101_000}, "why": {}})
        for rule in ("adam", "AMSGrad", "adam(lr=1.0, betas=(0.9, 0.95))"):
            assert main(["report", rule, "--workers", "2"]) == 0
    return out / "reports"


def texts(reported, label):
    return [(reported / label / f"report.{end}").read_text("utf-8") for end in ("md", "html")]


def verdict(reported, label):
    return texts(reported, label)[0].split("\n\n")[1]


@pytest.mark.parametrize("label", ["Mine", "Drifting"])
def test_the_page_has_every_experiment_with_its_figure_and_asks_for_nothing(reported, label):
    markdown, html = texts(reported, label)
    drawn = re.findall(r"\]\((\S+)/figure.png\)", markdown)
    assert drawn == [name for name in plan.PLAN if (reported / label / name).exists()]
    assert set(plan.PLAN) - set(drawn) == ({"phase-diagram"} if label == "Drifting" else set())
    assert html.count("<svg") == len(drawn)
    asked = re.findall(r"(?:\b(?:src|href)\s*=\s*[\"']|\burl\(|@import\s+)([^\"')\s>]*)", html)
    assert all(one == "" or one[0] in "#" or one.startswith("data:") for one in asked)
    assert f"class {label}(optim.Optimizer)" in html and f"class {label}(" in markdown
    for name in drawn:
        result = load(reported / label / name)
        assert all(label in trial for trial in list(result.traces)[:1])


def test_checks_that_do_not_hold_are_named_first(reported):
    assert verdict(reported, "Mine").startswith("9 of 9 checks hold for Mine. ")
    said = "7 of 9 checks hold for Drifting (not: still at gradients of 0, still where gradients"
    assert verdict(reported, "Drifting").startswith(said)
    listed = texts(reported, "Drifting")[0].split("## What was checked\n\n")[1]
    assert listed.startswith("- still at gradients of 0: no, 30 gradients of 0 move a parameter by")


def test_what_is_left_out_says_why(reported):
    assert verdict(reported, "Drifting").split(". ")[-2] == "Nothing is known from phase-diagram"
    for text in texts(reported, "Drifting"):
        assert "phase-diagram left out: rules: Drifting has no betas, which this" in text


def test_what_is_known_of_rules_is_found(reported):
    adam, amsgrad = (verdict(reported, label) for label in ("Adam", "AMSGrad"))
    assert "On the 1010 problem it ends at the worst point, +1." in adam
    assert "x climbs, away from the best point." in adam
    away = "goes away from the minimum at beta = (0.0, 0.1)"
    assert away in adam and away not in amsgrad
    assert "is near the minimum at beta = (0.9, 0.99)" in adam
    assert "On the 1010 problem it ends at the best point, -1." in amsgrad
    assert "x descends, to the best point, as SGD does." in amsgrad
    assert "in closed form x drifts by +1.9 alpha a period" in texts(reported, "Adam")[0]
    # beside each are the others, once
    assert load(reported / "Adam" / "why").traces.keys() == {"Adam", "AMSGrad", "SGD"}


def test_what_a_name_fixes_is_not_said_to_be_otherwise(reported):
    markdown, _ = texts(reported, "Adam(lr=1.0, betas=(0.9, 0.95))")
    own = markdown.split("## Its lines")[0]
    sentences = [line for line in own.splitlines() if line.startswith("- ")]
    assert "- 101,000 steps: Adam(lr=1.0, betas=(0.9, 0.95)) is" in own
    assert not any("and beta = " in sentence for sentence in sentences)
    assert "- At its own settings, with the others at beta = (0.9, 0.99): x = " in own
    assert "and beta = (0.9, 0.99): Mine is" in texts(reported, "Mine")[0]


def test_the_trace_is_told(reported):
    markdown, _ = texts(reported, "Mine")
    for said in (
        "The pass kernel is 11 calls of NumPy on a block, and 2 operations among numbers once",
        "State: m, v; 2 for each parameter",
        "numba compiles each pass to one loop",
        "is one compiled loop over time",
        "It prints as CUDA: kernel.",
        "A step prints as JavaScript.",
        "Scale, without eps: steps are the same where gradients are 2^20 times as large.",
    ):
        assert said in markdown


def test_another_report_is_not_overwritten_unasked(reported, monkeypatch, capsys):
    monkeypatch.chdir(reported.parent)
    monkeypatch.setattr(plan, "PLAN", {"synthetic-online": {"steps": 202_000}, "why": {}})
    before = texts(reported, "Adam")
    assert main(["report", "adam"]) == 2
    assert (
        "synthetic-online exists with other steps; give another --out, or"
        in capsys.readouterr().err
    )
    assert texts(reported, "Adam") == before


def test_a_report_that_is_interrupted_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "PLAN", {"synthetic-online": {"steps": 300}, "why": {}})
    folder, execute = tmp_path / "reports" / "AMSGrad", runner.execute

    def interrupted(runs, backend, submit):
        """After the first run, and in the middle of the second, whose trials have not begun."""
        assert execute(runs[:1], backend, submit) == 0
        runs[1].directory.write_manifest(**environment(backend))
        return runner.INTERRUPTED

    monkeypatch.setattr(runner, "execute", interrupted)
    assert main(["report", "amsgrad", "--workers", "1"]) == 130
    assert "the same command goes on" in capsys.readouterr().out
    assert sorted(one.name for one in folder.iterdir()) == ["synthetic-online", "why.partial"]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "PLAN", {"synthetic-online": {"steps": 300}, "why": {}})
    started = [RunDirectory(one).manifest["started"] for one in sorted(folder.iterdir())]
    assert main(["report", "amsgrad", "--workers", "1"]) == 0
    markdown, page = texts(folder.parent, "AMSGrad")
    assert page.count("<svg") == 2 and "Nothing is known" not in markdown
    whole = [folder / "synthetic-online", folder / "why"]
    assert [RunDirectory(one).manifest["started"] for one in whole] == started
    assert main(["report", "amsgrad", "--workers", "1"]) == 0  # of what is there
    assert [RunDirectory(one).manifest["started"] for one in whole] == started
    assert texts(folder.parent, "AMSGrad") == [markdown, page]


def test_a_rule_that_is_none_is_refused_before_anything_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report", "mine.py:Mine"]) == 2
    assert "rule 'mine.py:Mine': mine.py cannot be read" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_is_seen_on_the_sum_without_constraints():
    for ends, seen in (
        ((1.0, np.nan), "overflows"),
        ((1.0, unconstrained.BEST), "is near the minimum"),
        ((1.0, 1.0), "stands still away from the minimum"),
        ((2.0, 3.0), "goes away from the minimum"),
        ((3.0, 2.0), "comes nearer"),
    ):
        assert unconstrained.status(*ends) == seen
