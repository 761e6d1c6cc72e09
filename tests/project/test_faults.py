"""The script of faults does what it says, on a few of each kind."""

import re
from contextlib import contextmanager
from pathlib import Path

import pytest

import optim
from minigrad import Parameters
from minigrad.backend import current
from optim.engine.optimizer import Optimizer
from optim.engine.saving import Saved, SavedRule
from optim.engine.state import State
from optim.engine.stepping import Stepping
from optim.wrappers.base import Wrapper
from tests.driving import host_only
from tests.faults.__main__ import main

pytestmark = host_only  # its processes do not know the backends that tests register


def test_damaged_files_are_refused_or_whole(capsys):
    assert main(["files", "--count", "110", "--seed", "0"]) == 0
    said = capsys.readouterr().out
    refused, whole = (
        sum(map(int, re.findall(rf"(\d+) {what}", said))) for what in ("refused", "whole")
    )
    assert refused + whole == 110 and refused > 50 and "    0 faults" in said


def test_damage_that_nobody_notices_is_a_fault(monkeypatch, capsys):
    monkeypatch.setattr("minigrad.load", Path.read_bytes)
    assert main(["files", "--count", "30", "--seed", "0"]) == 1
    assert "another content, without a word" in capsys.readouterr().out


@pytest.mark.parametrize("part", ["saves", "runs"])
def test_a_process_that_is_killed_loses_nothing_that_it_saved(part, capsys):
    assert main([part, "--count", "2"]) == 0
    assert "2 kills" in capsys.readouterr().out


def test_sequences_follow_their_reference(capsys):
    assert main(["sequences", "--count", "20", "--seed", "2018"]) == 0
    assert "20 sequences of 30" in capsys.readouterr().out


@contextmanager
def shows_and_stays(params, values):
    params.scatter(values)
    yield


def counts_refused(rule, check=Optimizer.check_gradients):
    try:
        return check(rule)
    except FloatingPointError:
        rule.t += 1
        raise


def without(name, of, empty):
    """A function that gives what another one does, but nothing of that name."""

    def function(one):
        return {n: empty if n == name else x for n, x in of(one).items()}

    return function


BROKEN = {
    "averaged() does not restore": (Parameters, "holding", shows_and_stays),
    "a refused step counts": (Optimizer, "check_gradients", counts_refused),
    "settings are not loaded": (Saved, "_load_settings", lambda *_: []),
    "Accumulate's count is not saved": (Wrapper, "_rest", without("count", Wrapper._rest, 0)),
    "t is not saved": (SavedRule, "_rest", without("t", SavedRule._rest, 0)),
    "an average is not loaded": (Wrapper, "_set", lambda *_: None),
    "a plateau is not loaded": (
        optim.schedules.ReduceOnPlateau, "load_state_dict", lambda *_: None,
    ),
    "an older owner steps": (Parameters, "check_claim", lambda *_: None),
    "what broke off goes on": (Stepping, "check_whole", lambda *_: None),
    "SkipNonFinite lets all through": (
        optim.SkipNonFinite, "move", lambda one, *given: one.inner.move(*given),
    ),
    "a frozen parameter moves": (
        Optimizer, "check_step", lambda one: vars(one).update(_next=one._prepared().at(one.t + 1)),
    ),
    "weights loaded later go unnoticed": (State, "follow", lambda *_: None),
    "groups move before all are checked": (
        optim.Groups, "check_gradients", lambda one: one[0].check_gradients(),
    ),
    "inside averaged() a step happens": (SavedRule, "check_outside", lambda *_: None),
}  # fmt: skip


@pytest.mark.skipif(current().name != "numpy", reason="what 20 sequences find is known for NumPy")
@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_broken_on_purpose_is_found(broken, monkeypatch, capsys):
    monkeypatch.setattr(*BROKEN[broken])
    assert main(["sequences", "--count", "20", "--seed", "2018"]) == 1
    assert "\n    sequence " in capsys.readouterr().out
