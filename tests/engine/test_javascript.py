"""A step as node runs it has the bits of NumPy in float64."""

import json
import shutil
import subprocess

import numpy as np
import pytest

import optim
from minigrad import Tensor
from optim.engine import javascript
from optim.engine.functions import ROUNDED_ANYHOW
from optim.engine.hoist import evaluate
from optim.engine.passes import FlatPass
from optim.engine.program import Value
from optim.engine.whole import one_program
from optim.schedules import InverseSqrt
from tests.driving import feed, host_only
from tests.rules.table import TABLE

STEPS, SIZE = 50, 9
RULES = [
    rule
    for rule in TABLE
    if not rule.per_tensor and rule.update is optim.Optimizer.update and rule is not optim.Padam
]
DRIVE = """
const {runs} = JSON.parse(require("fs").readFileSync(0));
const reply = x => typeof x === "number" && !isFinite(x) ? String(x) : Object.is(x, -0) ? "-0" : x;
const out = {};
for (const [name, run] of Object.entries(runs)) {
  const step = STEPS_BY_NAME[name], {arrays, numbers} = run;
  run.gradients.forEach((g, k) => {
    arrays.g = g;
    step(arrays, numbers, run.settings[k], run.powers[k]);
  });
  out[name] = {arrays, numbers};
}
console.log(JSON.stringify(out, (key, x) => reply(x)));
"""


def of_rule(rule):
    """An optimizer, its program, and gradients that are zero, tiny, large or ordinary."""
    rng = np.random.default_rng(5)
    x = Tensor(rng.normal(size=SIZE), requires_grad=True)
    lr = {} if rule is optim.Rprop else {"lr": InverseSqrt(0.1)}
    opt = rule([x], **lr)
    assert all(isinstance(one, FlatPass) for one in opt._passes.values())
    program = one_program(tuple(one.program for one in opt._passes.values()))
    scales = rng.choice([0, 1e-30, 1, 1e5], size=(STEPS, SIZE))
    return opt, program, rng.normal(size=(STEPS, SIZE)) * scales


def powers_of(program, values):
    """The results of the functions whose last bits differ between machines."""
    known = {program.numbers[n]: np.float64(x) for n, x in values.items() if n in program.numbers}
    found = []
    for entry in program.hoisted:
        operands = [known[x] if isinstance(x, Value) else np.float64(x) for x in entry.inputs]
        known[entry.out] = evaluate(entry, operands)
        if entry.function in ROUNDED_ANYHOW:
            found.append(float(known[entry.out]))
    return found


@pytest.fixture(scope="module")
def played():
    """The end of every rule's run on NumPy and on node."""
    node = shutil.which("node")
    if not node:
        pytest.skip("node is not installed")
    runs, functions, expected = {}, [], {}
    for rule in RULES:
        opt, program, gradients = of_rule(rule)
        arrays = {"p": opt.params.data.tolist()}
        arrays |= {n: a.tolist() for n, a in opt.state.items() if a.ndim}
        numbers = {n: float(a) for n, a in opt.state.items() if not a.ndim}
        settings, powers = [], []
        for g in gradients:
            now = opt._prepared().at(opt.t + 1)
            settings.append(now)
            powers.append(powers_of(program, now | {n: float(opt.state[n]) for n in numbers}))
            feed(opt.params, g)
            opt.step()
        runs[rule.__name__] = {
            "arrays": arrays,
            "numbers": numbers,
            "settings": settings,
            "powers": powers,
            "gradients": gradients.tolist(),
        }
        functions.append(f"{json.dumps(rule.__name__)}: {javascript.step(program)}")
        expected[rule.__name__] = {"p": opt.params.data.copy(), **opt.state}
    source = f"{javascript.FUNCTIONS}\nconst STEPS_BY_NAME = {{{','.join(functions)}}};{DRIVE}"
    given = json.dumps({"runs": runs})
    done = subprocess.run([node, "-e", source], input=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return expected, json.loads(done.stdout)


@host_only
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_elementwise_rule(rule, played):
    expected, got = played[0][rule.__name__], played[1][rule.__name__]
    for name, array in expected.items():
        there = got["arrays"][name] if array.ndim else got["numbers"][name]
        there = np.array([float(x) for x in np.ravel(there)]).reshape(array.shape)
        assert there.tobytes() == np.asarray(array, "float64").tobytes(), name


def test_most_rules_are_there():
    assert len(RULES) >= 44
