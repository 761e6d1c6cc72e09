"""What the README says is what the project does."""

import re
from pathlib import Path

import numpy as np

from experiments.registry import EXPERIMENTS
from minigrad import Tensor, to_host
from minigrad.tape import OPS, op
from optim import RULES
from optim.__main__ import table

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
USE, AROUND, OP, RULE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def run(code):
    names = {"__name__": "readme", "op": op}
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_the_table_of_rules_is_the_one_that_the_code_prints():
    assert table() in README, "paste what `python -m optim` prints into README.md"
    assert f"among {len(ours())}," in README


def ours():
    return [rule for rule in RULES.values() if rule.__module__.startswith("optim.")]


def test_the_table_of_experiments_is_complete():
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", README, re.MULTILINE) == list(EXPERIMENTS)


def test_the_example_of_use_learns(capsys):
    names = run(USE)
    assert names["loss"].item() < 0.2 < names["model"].loss(names["x"], 1 - names["y"]).item()
    assert capsys.readouterr().out


def test_the_example_of_wrappers_learns(capsys):
    names = run(USE + AROUND)
    assert float(capsys.readouterr().out.split()[-1]) < 0.5
    assert names["opt"].t == 100


def test_the_example_of_an_op_is_right():
    square = run(OP)["square"]
    x = Tensor([1.0, -3.0], requires_grad=True)
    square(x).sum().backward()
    np.testing.assert_array_equal(to_host(x.grad), [2, -6])
    del OPS["square"]


def test_the_example_of_an_optimizer_steps():
    rule = run(RULE)["SignMomentum"]
    x = Tensor(np.array([1.0, -3.0]), requires_grad=True)
    opt = rule([x], lr=0.5)
    x.grad = [2.0, -7.0]
    opt.step()
    np.testing.assert_array_equal(x.numpy(), [0.5, -2.5])
    del RULES["signmomentum"]


def test_the_files_it_names_exist():
    for path in re.findall(r"`((?:minigrad|optim|experiments|tests)/[\w/]*(?:\.\w+)?)`", README):
        assert (ROOT / path).exists(), path
