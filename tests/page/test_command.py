"""python -m experiments page: one file, of what was run and of rules of one's own."""

import re
import shlex
import shutil
from copy import copy
from html import escape
from pathlib import Path

import numpy as np
import pytest

from experiments.cli import _parser, main
from experiments.options import changed
from experiments.page import hunts
from experiments.page.runs import LARGEST_TABLE, html, mathematics, read
from experiments.record.directory import RunDirectory
from experiments.registry import EXPERIMENTS
from optim import RULES
from tests.driving import host_only

pytestmark = [host_only, pytest.mark.xdist_group("page-command")]
MINE = '''
import optim
from minigrad import xp


class {name}(optim.Optimizer):
    """Steps of lr along the sign of a running mean of gradients."""

    lr: optim.Rate = 1e-3
    momentum: optim.Beta = 0.9

    @optim.inplace
    def kernel(p, g, m, *, lr, momentum):
        m *= momentum
        m += (1 - momentum) * g
        p -= lr * xp.sign(m)
'''


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    assert main(["run", "theorem-1", "--quick", "--out", str(out), "--workers", "1"]) == 0
    return out


def written(tmp_path, *arguments):
    path = tmp_path / "index.html"
    assert main(["page", *map(str, arguments), "--output", str(path)]) == 0
    return path.read_text("utf-8")


def test_a_page_asks_for_nothing_beside_itself(runs, tmp_path):
    text = written(tmp_path, runs)
    asked = re.findall(r"(?:\b(?:src|href)\s*=\s*[\"']|\burl\(|@import\s+)([^\"')\s>]*)", text)
    assert len(asked) > 100
    assert all(one == "" or one[0] in "#$" or one.startswith("data:") for one in asked), asked
    assert text.count("<script") == text.count("</script>") == 4
    assert len(text.encode()) < 2e6


def test_a_run_is_a_claim_with_its_findings_its_command_and_its_numbers(runs, tmp_path):
    text = written(tmp_path, runs)
    card = text[text.index('id="claim-theorem-1"') :]
    assert "PaperAdam" in card and "python -m experiments run theorem-1" in card
    assert 'id="table-theorem-1"' in card and 'id="figure-theorem-1"' in card
    assert 'src="data:image/png;base64,' in card and 'alt="' in card


@pytest.mark.parametrize(
    "name, changes",
    [
        ("tournament", {"rules": ["Adam", "SGD(lr=0.1)"], "problems": ["wood", "softmax"]}),
        ("tournament", {"problems": ["mlp"], "rates": 5, "data": "a folder"}),
        ("theorem-1", {"c": [2.5, 3.0], "steps": 900}),
        ("generalization", {}),
    ],
)
def test_the_command_of_a_run_has_its_settings(runs, name, changes):
    (claim,) = read([runs])
    claim.experiment, claim.name = EXPERIMENTS[name], name
    claim.settings = claim.experiment.configured(changes)
    python, m, module, *arguments = shlex.split(claim.command)
    assert (python, m, module, arguments[:2]) == ("python", "-m", "experiments", ["run", name])
    again = changed(_parser().parse_args(arguments), [claim.experiment])
    assert claim.experiment.configured(again) == claim.settings
    assert "(" not in claim.command.replace("SGD(lr=0.1)", "")


def test_the_names_inside_a_figure_are_its_own(runs):
    (claim,) = read([runs])
    ids = re.findall(r'\bid="([^"]+)"', claim.figure)
    assert len(ids) > 20 and all(one.startswith("theorem-1-") for one in ids)
    assert 'role="img" aria-label="' in claim.figure and "currentColor" in claim.figure


def test_a_thumbnail_is_small(runs):
    (claim,) = read([runs])
    assert 1_000 < len(claim.thumbnail) < 40_000


def test_claims_stand_in_groups_the_paper_s_first(runs):
    (claim,) = read([runs])
    other = copy(claim)
    other.name = "why"
    text = html([claim, other])
    places = [text.index(one) for one in ("The paper", "claim-theorem-1", "since", "claim-why")]
    assert places == sorted(places)


def test_a_table_that_is_too_large_is_left_out_and_said_so(runs, monkeypatch):
    (claim,) = read([runs])
    noise = np.random.default_rng(0).bytes(LARGEST_TABLE)
    monkeypatch.setattr(type(claim), "tables", {"figure.csv": noise})
    text = html([claim])
    assert "they are too many to carry here" in text and len(text) < LARGEST_TABLE


def test_every_rule_has_a_section_with_all_there_is_to_know_of_it(tmp_path):
    sections = re.split(r'<details class="rule-page" id="rule-', written(tmp_path, tmp_path))[1:]
    ours = [rule for rule in RULES.values() if rule.__module__.startswith("optim.")]
    assert [one.partition('"')[0] for one in sections] == [rule.__name__ for rule in ours]
    for rule, section in zip(ours, sections, strict=True):
        name = rule.__name__
        assert re.search(r"<p>[^<]*\b(1[89]|20)\d\d\b", section), f"{name}: no paper"
        assert re.search(r"p ←|called for each tensor|see its lines", section), (
            f"{name}: no formula"
        )
        assert f"class {name}(" in section and "State, in values per parameter:" in section
        assert f"Compared with <code>{rule.oracle}" in section or "a transcription of" in section
        for setting, default in rule.hyperparameters().items():
            assert re.search(rf"<td>{setting}(\[\d\])?</td>", section), f"{name}: {setting}"
            assert isinstance(default, tuple) or f"<td>{escape(repr(default))}</td>" in section


def test_nothing_that_was_run_is_a_page_too(tmp_path):
    assert "Nothing has been run yet" in written(tmp_path, tmp_path / "runs")


def test_a_folder_that_is_not_there_is_named(tmp_path, capsys):
    written(tmp_path, tmp_path / "rnus")
    assert capsys.readouterr().err == f"{tmp_path / 'rnus'} is left out: there is no such folder.\n"


@pytest.mark.parametrize("name", ("figure.svg", "figure.png", "figure.csv", "findings.json"))
def test_a_run_that_lacks_a_file_is_named_with_what_mends_it(runs, tmp_path, capsys, name):
    other = tmp_path / "theorem-1"
    shutil.copytree(runs / "theorem-1", other)
    (other / name).unlink()
    command = ["page", str(tmp_path), "--output", str(tmp_path / "index.html")]
    assert main(command) == 2
    said = capsys.readouterr().err
    told = (
        f"{other / name} cannot be read (No such file or directory); `plot {other}` writes it anew."
    )
    assert said == f"experiments: {told}\n"
    assert main(["plot", str(other)]) == 0 and main(command) == 0


def test_an_unfinished_run_is_left_out(runs, tmp_path):
    partial = tmp_path / "runs" / "theorem-1.partial"
    shutil.copytree(runs / "theorem-1", partial)
    RunDirectory(partial).write_manifest(status="interrupted")
    assert "Nothing has been run yet" in written(tmp_path, tmp_path / "runs")


def test_a_rule_of_one_s_own_stands_beside_the_others(tmp_path):
    (tmp_path / "mine.py").write_text(MINE.format(name="Mine"))
    text = written(tmp_path, tmp_path, "--rules", tmp_path / "mine.py:Mine")
    assert '"rules": "Adam,AMSGrad,Mine"' in text
    section = text[text.index('id="rule-Mine"') :]
    assert "p ← p − lr sign(m)" in section and "class Mine(optim.Optimizer)" in section
    assert "<td>your own</td>" in text


def test_a_run_of_another_version_is_named(runs, tmp_path, capsys):
    other = tmp_path / "theorem-1"
    shutil.copytree(runs / "theorem-1", other)
    settings = RunDirectory(other).manifest["settings"] | {"sources": 1}
    RunDirectory(other).write_manifest(settings=settings)
    assert main(["page", str(tmp_path), "--output", str(tmp_path / "index.html")]) == 2
    assert f"{other} is of another version: there is no setting" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given, message",
    [
        ("mine.py:Other", "has no rule Other; known are Yours"),
        ("mine.py:Yours(lr=0.1)", "Yours(lr=0.1) fixes what the page lets change"),
        ("mine.py:Yours,copy.py:Yours", "Yours is there twice; leave one out, or rename its class"),
    ],
)
def test_refuses_what_is_no_rule(tmp_path, monkeypatch, capsys, given, message):
    for file in ("mine.py", "copy.py"):
        (tmp_path / file).write_text(MINE.format(name="Yours"))
    monkeypatch.chdir(tmp_path)
    assert main(["page", "--rules", given]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "index.html").exists()


def test_findings_are_said_once_and_in_the_letters_of_the_lab(runs):
    (claim,) = read([runs])
    text = html([claim])
    shown = re.sub(r"<(img|script)[^>]*>[^<]*", "", text)
    for finding in claim.findings:
        assert shown.count(mathematics(finding.text)) == 1
    assert "β₂ = 1/(1 + C<sup>2</sup>), α<sub>t</sub> = 0.5/√t, from x<sub>1</sub> = 1" in shown
    assert not re.search(r"\b(alpha|beta\d?|sqrt)\b", shown)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("beta1 = sqrt(beta2), alpha_t = 1/sqrt(t)", "β₁ = √β₂, α<sub>t</sub> = 1/√t"),
        ("sqrt(1 - beta2^t) > v_max", "√(1 - β₂<sup>t</sup>) &gt; v_max"),
        ("My_Rule, A_Rule and My_rule at x_12", "My_Rule, A_Rule and My_rule at x<sub>12</sub>"),
        (
            "beta1_t of f_t(x)^2 at v_hat.",
            "β₁<sub>t</sub> of f<sub>t</sub>(x)<sup>2</sup> at v<sub>hat</sub>.",
        ),
        ("R_T/T of Gamma_t, alphabet, 1_000", "R<sub>T</sub>/T of Γ<sub>t</sub>, alphabet, 1_000"),
    ],
)
def test_letters(text, expected):
    assert mathematics(text) == expected.replace("v_max", "v<sub>max</sub>")


def test_a_claim_of_the_paper_without_a_number_says_so(runs):
    (claim,) = read([runs])
    silent = copy(claim)
    silent.findings = [type(one)(one.text, one.numbers) for one in claim.findings]
    assert "The paper gives no number" in html([silent])
    assert "The paper gives no number" not in html([claim])


def test_a_folder_with_hunts_is_shown_as_the_table_of_the_docs(tmp_path):
    docs = Path(__file__).parents[2] / "docs"
    text = hunts.html([tmp_path, docs])
    rows = re.findall(r"<tr><td>(.*?)</td></tr>", text)
    found = [tuple(row.split("</td><td>")) for row in rows]
    written = re.findall(
        r"^\| `(.*)` \| (.*) \| (.*) \| (.*) \| (.*) \|$", (docs / "hunt.md").read_text(), re.M
    )
    assert found == [tuple(map(mathematics, row)) for row in written] and len(found) > 40
    assert hunts.html([tmp_path]) == ""
