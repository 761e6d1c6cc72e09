"""docs/misconceptions.md: its Python prints what it says, and the numbers that it states come out.

The long runs are derived again by experiments/loops/replay.py, the rest by short runs and closed
forms. Test accuracies, and what only other rules' long runs show, are left to the experiments.
"""

import re
import shlex
from functools import cache

import numpy as np
import pytest

import experiments
import optim
from experiments.claims import landscapes, memory, regret, regret_report, stall, stall_report
from experiments.loops import replay
from experiments.problems.drift import drift, move
from experiments.problems.functions import LANDSCAPES
from experiments.problems.linear import REDDI
from experiments.registry import EXPERIMENTS
from minigrad import Tensor
from optim import RULES
from tests.driving import host_only
from tests.project.pages import ROOT, check_command, run
from tests.trials import finished

pytestmark = host_only
PAGE = ROOT / "docs/misconceptions.md"
INTRODUCTION, *SECTIONS = re.split(r"^### ", PAGE.read_text("utf-8"), flags=re.MULTILINE)
TEXTS = {int(text.partition(".")[0]): " ".join(text.split()) for text in SECTIONS}
BETAS = 0.9, 0.99
AT = 100_000, 300_000, 1_000_000
VERDICTS = "Right", "Half right", "Wrong"
NUMBERS = {}  # by claim: a function that yields what its section has to say


def claim(number):
    def add(function):
        NUMBERS[number] = function

    return add


def test_every_claim_has_a_verdict_and_they_are_counted():
    assert list(TEXTS) == list(range(1, 23))
    verdicts = [re.search(r"\*\*(.*?)\.?\*\*", text)[1] for text in TEXTS.values()]
    right, half, wrong = map(verdicts.count, VERDICTS)
    assert right + half + wrong == 22
    counted = f"{right} are right, {half} half right, {wrong} wrong"
    assert counted in " ".join(INTRODUCTION.split())


@pytest.mark.parametrize("number", TEXTS)
def test_every_claim_has_python_or_an_experiment_that_shows_it(number):
    named = re.findall(r"`([a-z0-9-]+)`(?: with `([^`]*)`)?", TEXTS[number])
    for name, options in named:
        check_command("experiments", ["run", name, *shlex.split(options)])
    assert named or "`python -m optim show" in TEXTS[number] or "```python" in TEXTS[number]


def test_its_python_prints_what_it_says():
    assert len(list(run(PAGE))) == 4


@cache
def played(rule, **settings):
    """x_t and R_t / t at AT, on the problem of Section 5 with alpha_t = 0.5 / sqrt(t)."""
    if rule is replay.adagrad:  # whose root of a sum grows like sqrt(t)
        lr = 0.5
    else:
        lr, settings["betas"] = lambda t: 0.5 / np.sqrt(t), BETAS
    trial = replay.Replay(REDDI, rule, steps=AT[-1], x1=0.0, lr=lr, times=np.array(AT), **settings)
    traces = finished(trial)
    return traces["x"][:, 0], traces["average_regret"][:, 0]


@cache
def of_memory(name):
    """The factors by which steps of a rule are smaller, 1, 2, ... steps after the outlier."""
    s = EXPERIMENTS["memory"].settings
    g = np.ones((memory.BEFORE + s.after, 1))
    g[memory.BEFORE - 1] = s.outlier
    opt = RULES[name]([Tensor(np.zeros(1), requires_grad=True)], lr=1.0, betas=s.betas)
    _, metric = opt.play(g, metric=True)
    return metric[memory.BEFORE - 1 :, 0] / metric[memory.BEFORE - 2, 0]


@cache
def falling(name, steps, lr, **settings):
    """The steps t at which Gamma_t is negative."""
    x = Tensor(np.zeros(1), requires_grad=True)
    opt = RULES[name]([x], lr=lr, betas=BETAS, **settings)
    _, metric = opt.play(REDDI.slopes(1, steps + 1), metric=True)
    return 2 + np.flatnonzero(np.diff(metric[:, 0]) < 0)


@claim(3)
def _():
    states = {name: RULES[name].state_names() for name in ("rmsprop", "adadelta", "momentum")}
    for name, names in states.items():
        yield f"`python -m optim show {name}` has {' and '.join(names)}"
    *moments, _, _ = RULES["adam"].state_names()
    yield f"has {', '.join(moments)} and two numbers"


def of_stall(label, steps):
    """The first steps of one of its trials."""
    one = stall.trials(EXPERIMENTS["stall"].settings)[label]()
    while one.opt.t < steps:
        one.advance()
    return {label: one.traces()}


@claim(4)
def _():
    s, found = EXPERIMENTS["stall"].settings, []
    for kind in ("sparse", "dense"):
        traces = of_stall(f"{kind} SGD", s.shift) | of_stall(f"{kind} AdaGrad", s.shift)
        sgd, adagrad = (stall_report.reached(traces, kind, r, s) for r in ("SGD", "AdaGrad"))
        found.append(sgd / adagrad)
    yield f"the best of {len(stall_report.RATES)} rates, SGD's error is {found[0]:.1f} times"
    yield f"and {found[1]:.1f} times on dense ones"


@claim(5)
def _():
    s = EXPERIMENTS["stall"].settings
    traces = of_stall("dense AdaGrad", s.steps)
    first, anew = stall_report.learned(traces, "dense", "AdaGrad", s)
    yield f"AdaGrad learns in {first:,} steps, and when the minimum has moved after {s.shift - 1:,}"
    yield f"takes {anew:,} to learn anew"
    x, average = played(replay.adagrad)
    yield f"AdaGrad is at x = {x[1]:.3f}, and after 1,000,000 at {x[2]:.3f}"
    yield f"R_T/T down from {average[1]:.3f} to {average[2]:.3f}"


@claim(6)
def _():
    factor = of_memory("adam")
    yield f"makes Adam's steps {factor[0]:.0f} times smaller"
    yield f"takes {memory.recovery(EXPERIMENTS['memory'].settings, 0.0):,.0f} steps"
    yield f"takes {np.argmax(factor <= memory.RECOVERED)} steps"


@claim(7)
def _():
    moved = move(np.arange(101), 0.0, 0.99, 0.0, REDDI.large, REDDI.small, 101)
    yield f"the spike moves x by {moved[0]:.2f}"
    yield f"small slopes move x by {moved[1:].sum():+.2f}"
    yield f"a period moves it by {moved.sum():+.2f}"
    assert f"moves x by {moved[0]:+.2f}" in experiments.run("why", rules="adam").verdict


@claim(8)
def _():
    yield f"the drift is {drift(REDDI, (0.9, 0.9999)):.4f}"


@claim(9)
def _():
    for name in ("amsgradtorch", "amsgradkeras"):
        found = falling(name, 5000, 0.5)
        yield f"negative on {(found <= 2222).sum():,} of the first 2,222 steps"
        yield f"for the last time at t = {found[-1]:,}"
    assert not len(falling("amsgrad", 5000, 0.5))


@claim(10)
def _():
    found = falling("paperadam", 3030, optim.schedules.InverseSqrt(0.5))
    yield f"positive until t = {found[0] - 1}"
    yield f"negative on {np.sum((found > 303) & (found <= 404))} of 101 steps"


@claim(11)
def _():
    with_momentum, without = (float(drift(REDDI, (beta1, 0.99))) for beta1 in (0.9, 0.0))
    yield f"{with_momentum:+.2f} at beta1 = 0.9 and {without:+.2f} at 0"
    x, _ = played(replay.adamnc)
    yield f"at x = {x[1]:.3f} after 300,000 steps and {x[2]:.3f} after 1,000,000"


@claim(12)
def _():
    factor = of_memory("amsgrad")
    assert factor[0] == factor[-1] and len(factor) > 20_000
    yield f"steps are {factor[0]:.0f} times smaller after it"
    _, metric = optim.AMSGrad([Tensor(np.zeros(1), requires_grad=True)], lr=1.0, betas=BETAS).play(
        REDDI.slopes(1, 3031), metric=True
    )
    yield f"sqrt(v_max) = {metric[-1, 0]:.2f}"


@claim(13)
def _():
    yield f"{drift(REDDI, BETAS, 0.9995):+.4f} at rho = 0.9995"
    yield f"{drift(REDDI, BETAS, 0.9996):+.4f} at 0.9996"
    yield f"in {memory.recovery(EXPERIMENTS['memory'].settings, 0.9996):,.0f} steps"


@claim(14)
def _():
    rho, steps = 0.9999, 10_201
    found = falling("leakyamsgrad", steps, optim.schedules.InverseSqrt(0.5), rho=rho)
    yield f"from t = {found[0]:,} on"
    yield f"on {np.sum((found > steps - 101) & (found <= steps))} of 101 steps"
    yield f"x = {played(replay.amsgrad, rho=rho)[0][1]:.3f} after 300,000 steps"
    yield f"the drift is {drift(REDDI, BETAS, rho):.4f}"


@claim(15)
def _():
    for rule, said in (
        (replay.amsgrad, "is {:.1f}, {:.1f} and {:.1f}"),
        (replay.adam, "Adam {:.0f}, {:.0f} and {:.0f}"),
    ):
        yield said.format(*played(rule)[1] * np.sqrt(AT))


@claim(16)
def _():
    yield "R_T/T is {:.3f}, {:.3f} and {:.3f}".format(*played(replay.adam)[1])
    yield f"20/101 = {2 * REDDI.mean:.3f}"
    s, traces = EXPERIMENTS["regret"].settings, []
    for rule in ("PaperAdam", "AMSGrad"):
        trial = regret.trials(s)[f"periodic {rule}"]()
        traces.append(finished(trial))
    passed = regret_report.passes(regret_report.PERIODIC, *traces, s)
    yield f"from T = {passed:,} on above what the theorem promises of AMSGrad's run"


@claim(17)
def _():
    found = experiments.run("projection").findings
    ends = {one.text.split(":")[0]: one.numbers.get("above the minimum") for one in found}
    assert ends["ball own"] < 1e-9 and ends["simplex own"] < 1e-9
    plain = f"{ends['ball plain']:.2f} and {ends['simplex plain']:.1f}"
    yield f"AMSGrad projected with equal weights ends {plain} above the minimum"


@claim(18)
def _():
    name = "styblinski_tang"
    s = landscapes.Landscapes()
    for rule in s.names:
        trial = landscapes.trials(s)[f"{rule} {name}"]()
        trace = finished(trial)
        best = landscapes.best(LANDSCAPES[name], trace)
        when = landscapes.arrival(LANDSCAPES[name], trace)[best]
        assert (rule == "AMSGrad") == np.isfinite(when)
        if rule == "AMSGrad":
            yield f"at the deepest from step {when:.0f} on"


@claim(19)
def _():
    slopes = REDDI.slopes(1, 102)
    assert (slopes == 1010).sum() == 1 and (slopes == -10).sum() == 100
    yield f"mean is {slopes.sum():.0f}/101"


@claim(20)
def _():
    ends = [played(rule)[0][2] for rule in (replay.adam, replay.amsgrad)]
    yield f"x = {ends[0]:.3f} and {ends[1]:.3f} after 1,000,000 steps"
    slow, fast = (float(drift(REDDI, (0.9, beta2))) for beta2 in (0.999, 0.99))
    yield f"{slow:+.3f} in place of {fast:+.2f}"
    assert round(fast / slow) == 18  # an eighteenth of the speed


@claim(21)
def _():
    found = experiments.run("theorem-1", c=3, rules="paperadam").findings[0]
    yield f"{found.numbers['R_T/T at C = 3']:.3f} at C = 3"
    yield f"above the {found.stated['R_T/T at C = 3']:.3f} that is proved"


@pytest.mark.parametrize("number", NUMBERS)
def test_its_numbers_come_out(number):
    for said in NUMBERS[number]():
        assert said in TEXTS[number], said
