"""The script of faults does what it says, on a few of each kind."""

import re
from pathlib import Path

import pytest

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
