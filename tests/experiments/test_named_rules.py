"""Rules by name, those of files among them: what may be named, and that a run keeps its rules."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import experiments
from experiments.cli import main
from experiments.record.curves import STYLES
from experiments.record.directory import RunDirectory
from experiments.record.settings import parts
from experiments.registry import EXPERIMENTS
from experiments.report import plan
from minigrad import Tensor
from optim import RULES, SGD, Adam, Optimizer
from optim.check import check_rule, scale
from optim.named import named, read
from tests.driving import host_only

pytestmark = host_only
FILE = Path(__file__).parents[1] / "mine.py"
COMPARING = [name for name, one in EXPERIMENTS.items() if hasattr(one.settings, "rules")]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A copy of the file, in the directory in force."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(FILE, "mine.py")
    return Path("mine.py")


def test_a_list_is_split_at_commas_outside_brackets():
    assert parts("adam, b.py:B(lr=1, betas=(0, [1])),c") == (
        "adam",
        "b.py:B(lr=1, betas=(0, [1]))",
        "c",
    )


def test_the_label_is_the_class_and_what_is_fixed(mine):
    assert named("ADAM").label == "Adam"
    assert named("adam( eps = 1e-6 )").label == "Adam(eps=1e-06)"
    assert named("mine.py:Mine").label == "Mine"
    both = named("mine.py:Mine(lr=1e-2, betas=(0, .5))")
    assert both.label == "Mine(lr=0.01, betas=(0, 0.5))" and both.rule is named("mine.py:Mine").rule


def test_a_file_may_be_in_the_home_directory_or_have_any_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "r\xe8gles d'ici").mkdir()
    shutil.copy(FILE, tmp_path / "r\xe8gles d'ici" / "la mienne.py")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for folder in ("~", "..", str(tmp_path)):
        assert named(f"{folder}/r\xe8gles d'ici/la mienne.py:Mine(lr=1.0)").label == "Mine(lr=1.0)"
    with pytest.raises(ValueError, match="cannot be read"):
        named("~nobody-of-this-name/mine.py:Mine")


def test_a_file_of_another_editor_is_the_same_rule(mine):
    mine.write_bytes(b"\xef\xbb\xbf" + FILE.read_bytes().replace(b"\n", b"\r\n"))
    assert named("mine.py:Mine").label == "Mine"
    assert read(["mine.py:Mine"], {}) == {"mine.py": FILE.read_text()}


def test_a_rule_that_drifts_the_same_way_at_all_betas_is_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("up.py").write_text(
        "import optim\nfrom minigrad import xp\n\n\nclass Up(optim.Optimizer):\n"
        "    lr: optim.Rate = 0.1\n    betas: tuple[optim.Beta, optim.Beta] = (0.9, 0.99)\n\n"
        "    @optim.inplace\n    def kernel(p, g, *, lr, betas):\n"
        "        p -= lr * xp.sign(g) * (2 - betas[0] - betas[1])\n"
    )
    result = experiments.run("phase-diagram", rules="up.py:Up", steps=404)
    assert "1,602 go to the worst" in result.verdict
    drawn = {text.get_text() for text in result.figure.axes[0].texts}
    assert "(0.9, 0.99)" in drawn and "drift 0" not in drawn


def test_what_a_name_fixes_no_experiment_changes(mine):
    rules = "mine.py:Mine", "mine.py:Mine(lr=1e-2)"
    result = experiments.run("synthetic-online", rules=rules, steps=300, betas=(0.5, 0.6))
    trials = EXPERIMENTS["synthetic-online"].trials(result.settings)
    free, fixed = (trials[label]().opt for label in ("Mine", "Mine(lr=0.01)"))
    assert callable(free.lr) and fixed.lr == 0.01 and free.betas == fixed.betas == (0.5, 0.6)
    assert not np.array_equal(*(trace["x"] for trace in result.traces.values()))
    assert "What the names of Mine(lr=0.01) fix is so throughout." in result.caption
    assert "Mine is from mine.py." in result.caption


@pytest.mark.parametrize("name", COMPARING)
def test_every_experiment_takes_rules_of_files(name, mine):
    experiment = EXPERIMENTS[name]
    data = {"data": "digits"} if hasattr(experiment.settings, "data") else {}
    settings = experiment.configured({"rules": ["adam", "mine.py:Mine"], **data}, quick=True)
    mine.unlink()
    made = experiment.trials(experiment.prepare(settings))
    (label, *_) = (label for label in made if "Mine" in label)
    trial = made[label]()
    trial.advance()
    assert type(trial.opt).__name__ == "Mine"


def test_the_one_rule_of_an_experiment_may_be_of_a_file(mine):
    settings = EXPERIMENTS["projection"].configured({"rule": "mine.py:Mine"})
    mine.unlink()
    result = experiments.run("projection", rule="mine.py:Mine", files=settings.files, steps=20)
    assert result.verdict.startswith("Projected in the plain metric Mine ends above")


def test_a_run_outlives_the_file_of_its_rules(mine, monkeypatch, tmp_path):
    rules = "adam,mine.py:Mine,mine.py:Drifting,mine.py:Mine(lr=1e-2)"
    steps = ("--steps", "3000")
    assert main(["run", "synthetic-online", "--rules", rules, *steps, "--workers", "2"]) == 0
    path = tmp_path / "runs" / "synthetic-online"
    manifest = RunDirectory(path).manifest
    assert manifest["settings"]["files"] == {"mine.py": FILE.read_text()}
    assert manifest["files_sha256"] == {"mine.py": hashlib.sha256(FILE.read_bytes()).hexdigest()}
    mine.unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    drawn, found = ((path / one).read_bytes() for one in ("figure.svg", "findings.json"))
    assert main(["plot", str(path)]) == 0
    assert (path / "figure.svg").read_bytes() == drawn
    assert (path / "findings.json").read_bytes() == found
    result = experiments.load(path)
    assert list(result.traces) == ["Adam", "Mine", "Drifting", "Mine(lr=0.01)"]
    for label in result.traces:
        assert f"{label} is " in result.caption
    assert main(["page", str(path.parent)]) == 0
    text = Path("index.html").read_text("utf-8")
    assert "Drifting" in text and "mine.py:Mine(lr=1e-2)" in text


def test_the_table_and_the_difference_of_runs_do_not_print_files(mine, capsys):
    for out in ("a", "b"):
        options = ["--set", "periods=1", "--rules", "mine.py:Mine", "--out", out]
        assert main(["run", "why", *options, "--workers", "1"]) == 0
        mine.write_text(FILE.read_text() + "# more\n")
    capsys.readouterr()
    assert main(["table", "a/why"]) == 0 and main(["diff", "a/why", "b/why"]) == 0
    said = capsys.readouterr().out
    assert "class Mine" not in said and "rules=mine.py:Mine" in said
    old, new = (hashlib.sha256(one.read_bytes()).hexdigest() for one in (FILE, mine))
    assert said.endswith(f"\ntext of mine.py: {old[:12]} | {new[:12]}\n")


def test_of_a_run_with_another_text_it_is_said(mine, capsys):
    options = ["--set", "periods=1", "--rules", "mine.py:Mine", "--workers", "1"]
    assert main(["run", "why", *options]) == 0
    mine.write_text(FILE.read_text() + "# more\n")
    assert main(["run", "why", *options]) == 2
    assert "runs/why exists with other texts of rules; give" in capsys.readouterr().err


def test_curves_of_rules_of_files_have_looks_of_their_own(mine):
    rules = ["adam", "mine.py:Mine", "mine.py:Drifting"]
    result = experiments.run("synthetic-online", rules=rules, steps=500)
    _, played = result.figure.axes
    shown = {(one.get_color(), one.get_linestyle(), one.get_marker()) for one in played.lines[:3]}
    assert STYLES["Adam"] in shown and len(shown) == 3
    assert {"Adam", "Mine", "Drifting"} <= {text.get_text() for text in played.texts}


def test_resume_goes_by_the_recorded_text(mine, tmp_path):
    experiment = EXPERIMENTS["synthetic-online"]
    settings = experiment.configured({"rules": ["mine.py:Mine"], "steps": 2000})
    whole = experiments.run("synthetic-online", rules=["mine.py:Mine"], steps=2000)
    directory = RunDirectory.create(tmp_path, experiment.name, settings)
    directory.unlock()
    mine.write_text(FILE.read_text().replace("p -= lr", "p += lr"))
    assert main(["resume", str(directory.path), "--workers", "1"]) == 0
    resumed = experiments.load(tmp_path / experiment.name)
    for name, values in whole.traces["Mine"].items():
        np.testing.assert_array_equal(resumed.traces["Mine"][name], values)
    other = experiments.run("synthetic-online", rules=["mine.py:Mine"], steps=2000)
    assert not np.array_equal(other.traces["Mine"]["x"], whole.traces["Mine"]["x"])


def test_rules_and_set_rules_are_one_setting(mine):
    given = "adam,mine.py:Mine(betas=(0.5, 0.6))"
    recorded = []
    for options in (
        ["--rules", given],
        ["--rules", "adam", "--rules", "mine.py:Mine(betas=(0.5, 0.6))"],
        ["--set", f"rules={given}"],
    ):
        arguments = ["run", "why", "--set", "periods=1", *options, "--force", "--workers", "1"]
        assert main(arguments) == 0
        recorded.append(json.loads(Path("runs/why/manifest.json").read_text())["settings"])
    assert recorded[0] == recorded[1] == recorded[2]
    assert recorded[0]["rules"] == ["adam", "mine.py:Mine(betas=(0.5, 0.6))"]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ("lacking.py:Mine", "'lacking.py:Mine': lacking.py cannot be read (No such file"),
        (".py:Mine", "rule '.py:Mine'"),
        ("mine.py", "rule 'mine.py' is no name of a rule; give one as adam, adam(eps=1e-6)"),
        ("mine:Mine", "is no name of a rule"),
        ("mine.py:Drift", "mine.py has no rule Drift; did you mean 'Drifting'?"),
        ("functions.py:f", "functions.py has no rule f; write a class of optim.Optimizer in it"),
        ("mine.py:Rate", "mine.py has no rule Rate"),
        ("mine.py:xp", "mine.py has no rule xp"),
        ("mine.py:Mine(lrr=1)", "rule 'mine.py:Mine(lrr=1)' has no 'lrr'; did you mean 'lr'?"),
        ("mine.py:Mine(lr=-1)", "cannot be built: lr=-1 is outside [0, inf)"),
        ("mine.py:Mine(lr='a')", "cannot be built"),
        ("mine.py:Mine(1e-2)", "(1e-2) is not made of names and literals; write hyperparameters"),
        ("mine.py:Mine(**{})", "is not made of names and literals"),
        ("mine.py:Mine(lr=open('x'))", "is not made of names and literals"),
        ("mine.py:Mine(projection=None)", "has no 'projection'"),
        ("divides.py:Mine", "divides.py does not run at line 2 (ZeroDivisionError: division by "),
        ("leaves.py:Mine", "leaves.py does not run at line 2 (SystemExit: 3)"),
        ("wrong.py:Mine", "wrong.py does not run at line 2 (SyntaxError: "),
        ("bytes.py:Mine", "bytes.py cannot be read ('utf-8' codec"),
        ("taken.py:Adam", "Adam is a rule of optim.rules.adam already"),
        ("rolls.py:Rolls", "rule 'rolls.py:Rolls' cannot be built"),
        ("mine.py:Mine,copy.py:Mine", "rules: Mine is there twice; leave one out"),
        ("adam,Adam", "rules: Adam is there twice"),
        ("adam(amsgrad=True)", "has no 'amsgrad'; optim.AMSGradTorch"),
        ("amsgrd", "rule 'amsgrd' is unknown; did you mean 'amsgrad'?"),
        ("", "rule '' is no name of a rule"),
    ],
)
def test_refuses_what_names_no_rule(rules, says, mine, capsys):
    Path("functions.py").write_text("def f(): pass")
    Path("divides.py").write_text("x = 1\nx / 0")
    Path("leaves.py").write_text("import sys\nsys.exit(3)")
    Path("wrong.py").write_text("\nclass Mine(:")
    Path("bytes.py").write_bytes(b"\xff")
    Path("copy.py").write_text(FILE.read_text() + "\n")
    Path("taken.py").write_text("import optim\nclass Adam(optim.SGD): pass")
    Path("rolls.py").write_text(
        "import optim\nimport numpy as np\nclass Rolls(optim.Optimizer):\n"
        "    lr: float = 0.1\n    @optim.inplace\n    def kernel(p, g, *, lr):\n"
        "        p -= lr * np.roll(g, 1)\n"
    )
    assert main(["run", "why", "--rules", rules]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize("name", ["landscapes", "mlp", "logistic", "cifarnet"])
def test_a_rate_that_is_to_vary_may_not_be_fixed(name):
    with pytest.raises(ValueError, match=r"SGD\(lr=0.5\) fixes lr, which this experiment varies"):
        EXPERIMENTS[name].configured({"rules": ["sgd(lr=0.5)"]})


def test_files_leave_the_names_of_rules_as_they_were(mine):
    before = dict(RULES)
    first = named("mine.py:Mine").rule
    mine.write_text(FILE.read_text().replace("abs(g)", "g * g"))
    second = named("mine.py:Mine").rule
    assert RULES == before and first is not second
    assert named("adam").rule is Adam and named("SGD").rule is SGD


RULE = """{first}
import optim
class Mine(optim.{base}):
    {field}
    @optim.inplace
    def kernel(p, g, *, lr):
        p -= {step}
"""
RIGHT = {"first": "", "base": "Optimizer", "field": "lr: optim.Rate = 0.1", "step": "lr * g"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"step": "lr * h"}, "cannot be built at line 7: NameError: name 'h' is not defined"),
        ({"step": "lr * g.foo"}, "cannot be built at line 7: an array in a kernel has no foo"),
        ({"field": "lr: optim.Rate"}, "has no default for lr; declare one, as in lr: optim.Rate"),
        (
            {"field": "def __init__(self, params, lr): super().__init__(params, lr=lr)"},
            "'lr'; declare its hyperparameters as fields, in place of an __init__.",
        ),
        ({"base": "rules.__class__"}, "Mine of wrong.py is no rule; derive it from optim.Opt"),
    ],
)
def test_a_mistake_in_a_rule_is_said_with_its_line(wrong, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("right.py").write_text(RULE.format(**RIGHT))
    assert named("right.py:Mine").label == "Mine"
    Path("wrong.py").write_text(RULE.format(**RIGHT | wrong))
    with pytest.raises(ValueError, match=re.escape(says)):
        named("wrong.py:Mine")


def test_a_rule_without_a_kernel_says_so():
    class Kernelless(Optimizer):
        lr: float = 0.1

    with pytest.raises(TypeError, match="Kernelless has no kernel, which is what moves p; write"):
        Kernelless([Tensor(np.zeros(1), requires_grad=True)])


@pytest.mark.parametrize("given", ["rules", "sys.path"])
@pytest.mark.parametrize("first", ["from helpers import f", "import packed.inner", "from . import"])
def test_a_file_that_needs_its_neighbours_is_refused(first, given, tmp_path, monkeypatch, capsys):
    """Since the run would not have them; also those that Python does find, as in `python -m`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here" / "packed").mkdir(parents=True)
    for name in ("helpers.py", "packed/__init__.py", "packed/inner.py"):
        (tmp_path / "here" / name).write_text("def f(x): return x")
    first = first.replace("from . import", "from . import helpers")
    (tmp_path / "here" / "mine.py").write_text(RULE.format(**RIGHT | {"first": first}))
    if given == "sys.path":
        monkeypatch.syspath_prepend(tmp_path / "here")
    assert main(["run", "why", "--rules", "here/mine.py:Mine"]) == 2
    assert "is not installed but lies near it, where whoever resumes" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_file_may_import_what_is_installed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "installed")
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "minehelp.py").write_text("def f(x): return x")
    first = "import math, numpy, PIL.Image, experiments.data, tqdm, minehelp"
    (tmp_path / "PIL").mkdir()  # no module
    first += ", minelib"  # as if by `pip install -e .`, which leaves the module where it is
    (tmp_path / "minelib.py").touch()
    (tmp_path / "installed" / "minelib-1.dist-info").mkdir()
    (tmp_path / "installed" / "minelib-1.dist-info" / "top_level.txt").write_text("minelib\n")
    (tmp_path / "installed" / "minelib-1.dist-info" / "METADATA").write_text("Name: minelib\n")
    monkeypatch.syspath_prepend(tmp_path)
    Path("mine.py").write_text(RULE.format(**RIGHT | {"first": first}))
    assert named("mine.py:Mine").label == "Mine"


@pytest.mark.parametrize("raised", ["KeyError('a')", "ValueError('a')", "Exception"])
def test_what_a_rule_raises_in_a_step_is_said_with_its_line(raised, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("late.py").write_text(
        "import optim\n\nclass Late(optim.SGD):\n    def update(self):\n"
        f"        if self.t > 50:\n            raise {raised}\n        self.apply('kernel')\n"
    )
    steps = ["--steps", "2000", "--workers", "1"]
    assert main(["run", "synthetic-online", "--rules", "adam,late.py:Late", *steps]) == 1
    said = capsys.readouterr().out
    assert f"failed: Late: late.py at line 6 raises {raised.split('(')[0]}" in said
    assert "it would fail again: mend the rule, and --force" in said and "resume" not in said


def test_what_a_rule_raises_in_this_process_is_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("late.py").write_text(
        "import optim\n\nclass Late(optim.SGD):\n    def update(self):\n        raise KeyError(3)\n"
    )
    rule = named("late.py:Late")
    checked = check_rule(rule)
    assert all(str(one) == "no, it raises KeyError: 3" for one in checked.values())
    assert scale(rule) == "it raises KeyError: 3"
    assert main(["hunt", "late.py:Late"]) == 2
    expected = "experiments: late.py at line 5 raises KeyError: 3; mend the rule.\n"
    assert capsys.readouterr().err == expected
    monkeypatch.setattr(plan, "PLAN", {"theorem-1": {"steps": 30}})  # which does not take it
    assert main(["report", "late.py:Late", "--workers", "1"]) == 0
    report = Path("reports/Late/report.md").read_text()
    assert "Nothing is known from theorem-1 and a sum of functions without constraints." in report


def test_from_python_a_setting_of_other_experiments_is_named_as_theirs():
    with pytest.raises(ValueError, match="cycles has no setting 'rules'; it is a setting of synth"):
        experiments.run("cycles", rules=["adam"])
    with pytest.raises(ValueError, match="cycles has no setting 'step'; did you mean 'steps'"):
        experiments.run("cycles", step=3)
