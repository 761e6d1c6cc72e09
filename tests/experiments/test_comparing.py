"""The table of runs, and what differs between two."""

import csv
import io
import os
import pty
import shutil
import subprocess
import sys

import pytest

from experiments import comparing
from experiments.cli import main
from experiments.record.directory import RunDirectory


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of `why` with other settings."""
    out = tmp_path_factory.mktemp("runs")
    for name, options in (("a", []), ("b", ["--set", "c=3", "--set", "betas=(0, 0.1)"])):
        assert main(["run", "why", "--quick", "--out", str(out / name), *options]) == 0
    return out / "a" / "why", out / "b" / "why"


def said(capsys, *arguments):
    capsys.readouterr()
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr()


def test_a_table_has_a_row_for_each_run_with_what_its_settings_change(runs, capsys):
    text = said(capsys, "table", *runs, "--csv").out
    table = {row["run"]: row for row in csv.DictReader(io.StringIO(text))}
    first, second = (table[str(path)] for path in runs)
    assert first["settings"] == "quick=True periods=10"
    assert second["settings"] == "quick=True betas=0.0,0.1 c=3.0 periods=10"
    assert second["status"] == "complete" and second["backend"] == "numpy"
    assert second["verdict"].startswith("Under Adam the spike's step moves x by -1.05")


def test_a_table_is_sorted_by_the_column_that_is_named(runs, capsys):
    for column in ("run", "settings"):
        text = said(capsys, "table", *reversed(runs), "--csv", "--sort", column).out
        values = [row[column] for row in csv.DictReader(io.StringIO(text))]
        assert values == sorted(values) and len(set(values)) == 2


def test_columns_are_aligned(runs, capsys):
    lines = said(capsys, "table", *runs).out.splitlines()
    assert {line.index("  why") for line in lines[1:]} == {lines[0].index("  experiment")}
    assert {line.index("  complete") for line in lines[1:]} == {lines[0].index("  status")}


@pytest.mark.parametrize("width", [90, 100, 120, 1000])
def test_the_longest_columns_are_cut_to_the_width_of_a_terminal(width):
    row = dict.fromkeys(comparing.COLUMNS, "short") | {"settings": 90 * "s", "verdict": 200 * "v"}
    row["run"] = "runs/" * 20 + "mlp"
    cut = comparing.as_text([row], width).splitlines()
    whole = comparing.as_text([row]).splitlines()
    assert 0 <= min(width, max(map(len, whole))) - max(map(len, cut)) <= 1
    assert cut == whole if width == 1000 else "…" in cut[1]
    path, *short = cut[1].split()[:4]
    assert short == 3 * ["short"] and path.endswith("runs/mlp")  # of a path the end is told
    assert cut[0].split() == list(comparing.COLUMNS)  # short ones are whole


def test_a_table_that_is_piped_is_whole_and_one_in_a_terminal_fits(runs, tmp_path):
    command = [sys.executable, "-m", "experiments", "table", *map(str, runs)]
    piped = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "…" not in piped and max(map(len, piped.splitlines())) > 150
    mine, theirs = pty.openpty()
    with open(mine, "rb", buffering=0) as terminal:
        done = subprocess.run(command, stdout=theirs, env={**os.environ, "COLUMNS": "100"})
        os.close(theirs)
        shown = terminal.read(100_000).decode()
    assert done.returncode == 0 and "…" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_unfinished_runs_are_in_the_table_and_what_is_no_run_is_named(runs, tmp_path, capsys):
    manifest = RunDirectory(runs[0]).manifest
    partial = RunDirectory(tmp_path / "gone.partial")
    partial.path.mkdir()
    partial.write_manifest(experiment="gone", status="interrupted", settings=manifest["settings"])
    shown = said(capsys, "table", partial.path, tmp_path)
    assert "interrupted" in shown.out and "c=101.0" in shown.out  # none of it is known as usual
    assert f"{tmp_path} is left out" in shown.err


@pytest.mark.parametrize(("name", "cure"), [("findings.json", "plot"), ("manifest.json", "run")])
def test_a_damaged_run_is_left_out_of_the_table_and_has_no_differences(
    runs, tmp_path, capsys, name, cure
):
    damaged = tmp_path / "damaged"
    shutil.copytree(runs[0], damaged)
    (damaged / name).write_text("[1")
    shown = said(capsys, "table", damaged, runs[1])
    assert str(damaged) not in shown.out and str(runs[1]) in shown.out
    assert shown.err.startswith(f"{damaged} is left out: ") and len(shown.err.splitlines()) == 1
    for arguments in (["diff", runs[0], damaged], ["table", damaged]):
        assert main([*map(str, arguments)]) == 2
        printed = capsys.readouterr().err
        assert name in printed and f"`{cure}" in printed


def test_a_table_of_no_run_is_an_error(tmp_path, capsys):
    assert main(["table", str(tmp_path)]) == 2
    assert "none of these is a run; name directories" in capsys.readouterr().err


def test_a_run_differs_from_itself_in_nothing(runs, capsys):
    assert said(capsys, "diff", runs[0], runs[0]).out == ""


def test_two_runs_differ_in_settings_and_in_what_was_found(runs, capsys):
    lines = said(capsys, "diff", *runs).out.splitlines()
    assert lines[:2] == ["betas: 0.0,0.99 | 0.0,0.1", "c: 101.0 | 3.0"]
    assert any(line.startswith("- Under Adam the spike's step moves x by -7.96") for line in lines)
    assert any(line.startswith("+ Under Adam the spike's step moves x by -1.05") for line in lines)


def test_other_code_and_other_versions_are_told(runs, tmp_path, capsys):
    other = tmp_path / "why"
    shutil.copytree(runs[0], other)
    manifest = RunDirectory(other).manifest
    versions = manifest["versions"] | {"numpy": "0.1"}
    RunDirectory(other).write_manifest(code="f" * 64, versions=versions)
    code, numpy = manifest["code"][:12], manifest["versions"]["numpy"]
    said_ = said(capsys, "diff", runs[0], other).out
    assert said_ == f"code: {code} | {'f' * 12}\nnumpy: {numpy} | 0.1\n"
