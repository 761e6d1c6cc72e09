"""What the README and docs say is what the project does."""

import re

import numpy as np
import pytest

import optim
from benchmarks.groups import GROUPS
from experiments.registry import EXPERIMENTS, GALLERY
from minigrad import Tensor, xp
from minigrad.tape import OPS
from optim import RULES, engine, projections, schedules, wrappers
from optim.__main__ import table
from optim.engine.kinds import Kind
from tests.driving import host_only
from tests.project.pages import ROOT, run

README, OPTIM, RULES_PAGE, SPEED, SHOWN = (
    (ROOT / name).read_text("utf-8")
    for name in (
        "README.md",
        "docs/optim.md",
        "docs/rules.md",
        "docs/speed.md",
        "docs/experiments.md",
    )
)


def test_the_table_of_rules_is_the_one_that_the_code_prints():
    assert table() in RULES_PAGE, "paste what `python -m optim` prints into docs/rules.md"


def test_what_is_counted_is_right():
    ours = [rule for rule in RULES.values() if rule.__module__.startswith("optim.")]
    assert f"{len(OPS)} ops, and {len(ours)} optimizers" in " ".join(README.split())
    assert f"among {len(ours)}," in RULES_PAGE


def test_the_table_of_experiments_is_complete():
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", SHOWN, re.MULTILINE) == list(EXPERIMENTS)
    assert f"all {len(GALLERY)} figures" in README


def test_the_tables_of_speed_are_those_of_the_bench():
    headings = re.findall(r"^\| (\S+) .*\n\| -", SPEED, re.MULTILINE)
    assert headings == [name for name in GROUPS if name in headings] and headings


def test_the_blocks_of_the_readme_do_what_it_says(capsys):
    blocks = run(ROOT / "README.md")

    names = next(blocks)
    np.testing.assert_allclose([names["w"].item(), names["b"].item()], [2, 1], atol=1e-5)

    names = next(blocks)
    assert names["loss"].item() < 0.2 < names["model"].loss(names["x"], 1 - names["y"]).item()

    capsys.readouterr()
    next(blocks)
    found = re.findall(r"(\w+) (\S+)", capsys.readouterr().out)
    assert ", ".join(f"{rule} {float(x):.3f}" for rule, x in found) in README

    result = next(blocks)["result"]
    assert f"# {result.verdict.split(' so it')[0]} ..." in README
    assert f"# {result.findings[0].numbers['period']:.3f} ..." in README
    names = next(blocks)
    assert f"# {names['x'].item():.3f}: it fails too" in README
    x = Tensor(np.array([1.0, -3.0]), requires_grad=True)
    x.grad = [2.0, -7.0]
    names["SignMomentum"]([x], lr=0.5).step()
    np.testing.assert_array_equal(x.numpy(), [0.5, -2.5])

    assert not list(blocks)


@host_only
def test_the_page_about_tensors_runs(capsys):
    *_, names = run(ROOT / "docs/autograd.md")
    assert names["w"].grad.tolist() == np.float32([0.6, 0.8]).tolist()
    assert "was written to after it was used" in capsys.readouterr().out


@host_only
def test_the_blocks_of_the_page_on_optimizers_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    *_, names = run(ROOT / "docs/optim.md")
    assert names["loss"] < 0.2 and names["saved"]["opt"]["rule"] == "ExponentialAverage"
    out = capsys.readouterr().out
    assert "(1474,) 0.9" in out and "(10000, 1) 0" in out and "\n1 0\n" in out
    assert "{'lr': 0.002, 'betas': (0.9, 0.6666666666666667), 'eps': 1e-08}" in out
    np.testing.assert_allclose(names["w"].numpy(), [0.8, -1.6], rtol=1e-6)

    moved = {name: moved_by(names[name]) for name in MOVED}
    assert moved == {name: pytest.approx(by) for name, by in MOVED.items()}


MOVED = {  # by one step of 0.1 from [3.0], [0.3, 0.4], with gradients of these
    "NormalizedSGD": [-0.1 * x / 9.25**0.5 for x in (3, 0.3, 0.4)],
    "NormalizedPerTensor": [-0.1, -0.06, -0.08],
    "AveragedSGD": [-0.3, -0.03, -0.04],
}


def moved_by(rule):
    tensors = [Tensor(np.array(x), requires_grad=True) for x in ([3.0], [0.3, 0.4])]
    before = [tensor.numpy().copy() for tensor in tensors]
    opt = rule(tensors, lr=0.1)
    for tensor in tensors:
        tensor.grad = tensor.numpy()
    opt.step()
    with opt.averaged():
        return np.concatenate([t.numpy() - x for t, x in zip(tensors, before, strict=True)])


def test_the_table_of_kinds_is_that_of_the_code():
    kinds = [(n, getattr(optim, n)) for n in engine.__all__]
    kinds = {n: kind for n, kind in kinds if isinstance(kind, Kind)}
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (yes|no) \| (yes|no) \| (.*) \|$", OPTIM, re.M)
    assert {row[0] for row in rows} == set(kinds)
    yes_or_no = {True: "yes", False: "no"}
    for name, said, schedule, array, read in rows:
        kind = kinds[name]
        assert said == kind.range
        if not kind.whole:
            assert (schedule, array) == (yes_or_no[kind.schedule], yes_or_no[kind.array])
        assert ("cannot be set later" in read) == kind.fixed


REFUSED = re.findall(r"^\| `(.*?)` \|", OPTIM.split("## What is refused")[-1], re.MULTILINE)


@pytest.mark.parametrize("code", REFUSED)
def test_what_the_page_says_is_refused_is(code):
    state = ", m" if re.search(r"\bm\b", code) else ""
    source = f"def kernel(p, g{state}, *, lr):\n    " + "\n    ".join(code.split("; "))
    names = {"xp": xp, "rng": np.random.default_rng(0), "weights": xp.ones(2)}
    exec(source, names)
    kernel = optim.inplace(names["kernel"])
    rule = type(
        "Refused",
        (optim.Optimizer,),
        {"__annotations__": {"lr": optim.Rate}, "lr": 0.1, "kernel": kernel},
    )
    with pytest.raises(TypeError):
        rule([Tensor([1.0, 2.0], requires_grad=True)])


def test_the_page_on_optimizers_names_all_that_is_public():
    public = [*engine.__all__, *wrappers.__all__, *projections.__all__, *schedules.__all__]
    assert [n for n in public if not re.search(rf"\b{n}\b", OPTIM)] == []
