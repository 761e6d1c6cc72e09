"""Every hyperparameter has a kind, which says its range and holds it at every step."""

import inspect
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pytest

import optim
from minigrad import Tensor
from optim.engine.kinds import Kind, kinds
from optim.engine.settings import leaves, value_at
from tests.driving import SIZE, assert_identical, drive, end, gradients, host_only, start, tensors
from tests.rules.closure import Run

GRADS = gradients(6)
OURS = [rule for rule in optim.RULES.values() if rule.__module__.startswith("optim.")]
NAN = float("nan")


def parts(rule, name):
    """Of each part of a hyperparameter its place, its default and its kind."""
    kind, default = kinds(rule)[name], rule.hyperparameters()[name]
    every = kind if isinstance(kind, tuple) else (kind,)
    return [(*leaf, one) for leaf, one in zip(leaves(name, default), every, strict=True)]


def bad_values(kind):
    """Numbers at and beyond each end of a range."""
    below = [-np.inf] + ([kind.low - 0.5] if kind.low > -np.inf else [])
    above = [np.inf] + ([kind.high + 0.5] if kind.high < np.inf else [])
    ends = [kind.low] * (not kind.has_low) + [kind.high] * (not kind.has_high)
    return list(dict.fromkeys([NAN, *below, *above, *ends]))


@pytest.mark.parametrize("rule", OURS, ids=lambda rule: rule.__name__)
def test_every_hyperparameter_has_a_kind_and_a_line_of_help(rule):
    lines = dict(re.findall(r"^    (\w+): (.*)$", rule.__doc__, re.MULTILINE))
    assert list(lines) == ["params", "projection", "eager", *rule.hyperparameters()]
    for name, default in rule.hyperparameters().items():
        meaning, facts = lines[name].split("; ", 1) if "; " in lines[name] else ("", lines[name])
        assert re.search(r"[a-z]", meaning), f"nobody says what {name} does"
        assert facts.endswith(f"{default!r} by default")
        for place, part, kind in parts(rule, name):
            assert isinstance(kind, Kind)
            assert kind.name != "Number" or name == "f_min"
            assert re.fullmatch(
                r"whole numbers from [01]|[\[(](0|1|-inf), (1|inf)[\])]", kind.range
            )
            assert kind.range in facts or kind.range == "(-inf, inf)"
            for t in (1, 2, 1000):
                assert kind.contains(value_at(place, part, t)), f"{place} at step {t}"
            if not kind.whole:
                for bad in bad_values(kind):
                    assert not kind.contains(bad), f"{place}={bad}"


class Turning:
    """A schedule that gives `good`, but at step 3 `bad` if that is something."""

    def __init__(self, good):
        self.good, self.bad = good, None

    def __call__(self, t):
        good = self.good(t) if callable(self.good) else self.good
        return good if t < 3 or self.bad is None else self.bad


def scheduled(wants_array):
    """Every rule with every place of its hyperparameters that takes a schedule, or an array."""
    found = [
        pytest.param(rule, name, i, id=f"{rule.__name__}-{place}")
        for rule in OURS
        for name in rule.hyperparameters()
        for i, (place, _, kind) in enumerate(parts(rule, name))
        if kind.schedule and not kind.whole and (kind.array or not wants_array)
    ]
    assert len(found) > 100
    return pytest.mark.parametrize("rule, name, i", found)


def with_part(rule, name, i, part):
    default = rule.hyperparameters()[name]
    return {name: (*default[:i], part, *default[i + 1 :]) if isinstance(default, tuple) else part}


class Driven:
    """A rule at work, with a closure if it needs one."""

    def __init__(self, rule, settings):
        self.run = Run(rule, **settings) if rule.needs_closure else None
        self.opt = self.run.opt if self.run else rule(tensors(start()), **settings)

    def steps(self, count):
        if self.run:
            return self.run.steps(count)[1]
        return drive(self.opt, GRADS[self.opt.t : self.opt.t + count])

    def step(self):
        self.opt.step(self.run.closure if self.run else None)


def assert_refused(rule, name, i, turning, bads, shown=lambda bad: bad):
    """A step whose schedule gives a bad value raises, changes nothing and does not count."""
    (place, _, kind) = parts(rule, name)[i]
    one, twin = (Driven(rule, with_part(rule, name, i, turning)) for _ in range(2))
    one.steps(2)
    twin.steps(2)
    for bad in bads:
        turning.bad = bad
        number = shown(bad)
        said = "is NaN" if number != number else f"is {number:g}"
        said = f"{place} {said} at step 3, outside {kind.range}; mend the schedule."
        with pytest.raises(ValueError, match=re.escape(said)):
            one.step()
        assert one.opt.t == 2 and str(one.opt.used) == str(twin.opt.used)
        assert_identical(end(one.opt), end(twin.opt))
    turning.bad = None
    np.testing.assert_array_equal(one.steps(3), twin.steps(3))
    assert one.opt.t == 5
    assert_identical(end(one.opt), end(twin.opt))


@scheduled(wants_array=False)
def test_a_schedule_that_leaves_its_range_is_refused_and_changes_nothing(rule, name, i):
    _, default, kind = parts(rule, name)[i]
    good = default if callable(default) else float(default)
    assert_refused(rule, name, i, Turning(good), bad_values(kind))


@host_only  # a device would have to be waited for
@scheduled(wants_array=True)
def test_an_array_that_leaves_its_range_in_one_coordinate_is_refused(rule, name, i):
    place, default, kind = parts(rule, name)[i]
    size = 12 if rule.needs_closure else SIZE  # as closure.X0 has
    bads = [np.full(size, value_at(place, default, 3)) for _ in bad_values(kind)]
    for array, bad in zip(bads, bad_values(kind), strict=True):
        array[7] = bad
    turning = Turning(np.full(size, value_at(place, default, 2)))
    assert_refused(rule, name, i, turning, bads, shown=lambda array: array[7])


@pytest.mark.parametrize(
    "rule, name, i",
    [
        pytest.param(rule, name, i, id=f"{rule.__name__}-{place}")
        for rule in OURS
        for name in rule.hyperparameters()
        for i, (place, _, kind) in enumerate(parts(rule, name))
        if kind.schedule and not kind.array and not kind.whole
    ],
)
def test_a_schedule_of_numbers_may_not_turn_into_one_of_arrays(rule, name, i):
    place, default, _ = parts(rule, name)[i]
    turning = Turning(float(default))
    one, twin = (Driven(rule, with_part(rule, name, i, turning)) for _ in range(2))
    one.steps(2)
    twin.steps(2)
    turning.bad = np.full(one.opt.params.size, float(default))
    said = rf"{re.escape(place)} is an array of shape \(\d+,\) at step 3, but one number"
    with pytest.raises(ValueError, match=said):
        one.step()
    assert one.opt.t == 2
    assert_identical(end(one.opt), end(twin.opt))


def test_a_step_that_was_refused_leaves_a_graph_as_it_was():
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    opt = optim.SGD([x], lr=lambda t: 2.0 - t)
    for _ in range(2):
        opt.step()
    loss = (x * x).sum()
    with pytest.raises(ValueError, match=r"lr is -1 at step 3, outside \[0, inf\)"):
        opt.step()
    loss.backward()  # which a step that counts forbids


USERS = """
from typing import Annotated, ClassVar

import optim
from optim import Beta, Count, Fixed, Fraction, Positive, Rate
from optim.engine.kinds import Kind, but

Angle = Kind("Angle", -3, 3, has_high=True, meaning="whereto")


class Own(optim.Optimizer):
    \"\"\"Steps. Nobody 2026.\"\"\"

    made: ClassVar[int] = 3
    lr: Rate = 0.1
    betas: tuple[Beta, Beta] = (0.9, 0.5)
    ahead: Annotated[Rate, "how far to look ahead"] = 0.5
    both: Annotated[tuple[Fraction, Positive], "two parts"] = (1.0, 0.25)
    alone: Annotated[Beta, but(array=False)] = 0.5
    kept: Annotated[tuple[Rate, Rate], but(fixed=True)] = (1.0, 1.0)
    angle: Angle = 0.0
    plain: float = 1.0
    first: Fixed = 2.0
    every: Count = 2

    def start(self, p):
        return {"m": p * 0 + self.first}

    @optim.inplace
    def kernel(p, g, m, *, lr, betas, ahead, both, alone, angle, plain):
        m *= betas[0]
        m += (1 - betas[0]) * g
        p -= lr * (betas[1] + ahead + both[0] + both[1] + alone + angle + plain) * m
"""
RANGES = {
    "lr": "[0, inf)",
    "betas[0]": "[0, 1)",
    "betas[1]": "[0, 1)",
    "ahead": "[0, inf)",
    "both[0]": "[0, 1]",
    "both[1]": "(0, inf)",
    "alone": "[0, 1)",
    "kept[0]": "[0, inf)",
    "kept[1]": "[0, inf)",
    "angle": "[-3, 3]",
    "plain": "(-inf, inf)",
    "first": "(0, inf)",
    "every": "whole numbers from 1",
}
SIGNATURE = (
    "lr: Rate = 0.1, betas: tuple[Beta, Beta] = (0.9, 0.5), ahead: Rate = 0.5, both: "
    "tuple[Fraction, Positive] = (1.0, 0.25), alone: Beta = 0.5, kept: tuple[Rate, Rate] = (1.0, "
    "1.0), angle: Angle = 0.0, plain: float = 1.0, first: Fixed = 2.0, every: Count = 2)"
)
DOC = """
    lr: step size; in [0, inf), 0.1 by default
    betas: how much of each running mean stays each step; in [0, 1), (0.9, 0.5) by default
    ahead: how far to look ahead; in [0, inf), 0.5 by default
    both: two parts; in [0, 1] and in (0, inf), (1.0, 0.25) by default
    alone: in [0, 1), 0.5 by default
    kept: in [0, inf), (1.0, 1.0) by default
    angle: whereto; in [-3, 3], 0.0 by default
    plain: 1.0 by default
    first: in (0, inf), 2.0 by default
    every: whole numbers from 1, 2 by default"""


def imported(source, tmp_path, monkeypatch):
    """A module of this source."""
    path = tmp_path / "users.py"
    path.write_text(source)
    spec = spec_from_file_location("users", path)
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "users", module)
    spec.loader.exec_module(module)
    del optim.RULES["own"]
    return module


@pytest.fixture(params=("", "from __future__ import annotations\n"), ids=("now", "as text"))
def own(request, tmp_path, monkeypatch):
    """A user's rule, with types as they are and written as text."""
    return imported(request.param + USERS, tmp_path, monkeypatch).Own


def test_kinds_of_a_users_rule(own):
    every = {place: kind for name in own.hyperparameters() for place, _, kind in parts(own, name)}
    assert {place: kind.range for place, kind in every.items()} == RANGES
    assert [place for place, kind in every.items() if not kind.array and not kind.whole] == [
        "alone",
        "first",
    ]
    assert str(inspect.signature(own)).endswith(SIGNATURE)
    assert own.__doc__.endswith(DOC)


def test_ranges_of_a_users_rule(own):
    for name in own.hyperparameters():
        for i, (place, default, kind) in enumerate(parts(own, name)):
            if kind.whole:
                with pytest.raises(ValueError, match=f"{place}=0 is not a positive integer"):
                    own(tensors(start()), **{name: 0})
                continue
            for bad in bad_values(kind):
                said = rf"{name}=.* is outside {re.escape(kind.range)}; choose one inside"
                with pytest.raises(ValueError, match=said):
                    own(tensors(start()), **with_part(own, name, i, bad))
            if kind.schedule:
                assert_refused(own, name, i, Turning(float(default)), bad_values(kind))


def test_what_a_users_rule_may_be_set_to(own):
    opt = own(tensors(start()))
    drive(opt, GRADS[:1])
    opt.both, opt.angle = (0.5, 2), -3
    drive(opt, GRADS[:1])
    assert opt.used["both"] == (0.5, 2.0) and opt.used["angle"] == -3
    for name, value in (("kept", (1.0, 2.0)), ("first", 1.0), ("every", 3)):
        with pytest.raises(AttributeError, match=f"{name} is fixed"):
            setattr(opt, name, value)
    with pytest.raises(ValueError, match="alone of Own is one number, not an array"):
        opt.alone = np.full(SIZE, 0.5)
    with pytest.raises(TypeError, match=r"both=0.5: both is a tuple of two"):
        opt.both = 0.5


def test_a_type_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    source = """
from __future__ import annotations
from typing import TYPE_CHECKING
import optim
if TYPE_CHECKING:
    from optim import Rate

class Own(optim.Optimizer):
    lr: Rate = 0.1

    @optim.inplace
    def kernel(p, g, *, lr):
        p -= lr * g
"""
    own = imported(source, tmp_path, monkeypatch).Own
    with pytest.raises(TypeError, match=r"a type of Own cannot be read, since name 'Rate'"):
        own(tensors(start()))
