"""The command line and what it leaves on disk, as a user sees them."""

import ast
import csv
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest

import experiments
import minigrad
from experiments import runner, workers
from experiments.cli import _parser, main
from experiments.paper import classification_report
from experiments.problems.images import DataError
from experiments.record.directory import RunDirectory, RunDirectoryError
from experiments.record.figure import Sheet
from experiments.record.wording import listed
from experiments.registry import EXPERIMENTS, GALLERY, PAPER
from minigrad.backend import current
from minigrad.checkpoint import atomic_write
from tests.driving import host_only

pytestmark = host_only  # its processes do not know the backends that tests register
ROOT = Path(__file__).parents[2]
FILES = {
    "figure.csv",
    "figure.png",
    "figure.svg",
    "findings.json",
    "manifest.json",
    "traces.npz",
}
COMMAND = [sys.executable, "-W", "error", "-m", "experiments"]
MEASURE = """
import pathlib, resource, subprocess, sys  # from a small process: a fork counts as what it is of
status = subprocess.run(sys.argv[2:]).returncode
kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
pathlib.Path(sys.argv[1]).write_text(str(kilobytes))
sys.exit(status)
"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The output of `all --quick`, run as a user would."""
    out = tmp_path_factory.mktemp("quick")
    command = [*COMMAND, "all", "--quick", "--data", "digits", "--out", str(out)]
    measured = [sys.executable, "-c", MEASURE, str(kilobytes_of(out)), *command]
    done = subprocess.run(measured, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def kilobytes_of(out):
    """Where the quick runs leave the most memory that one of their processes had."""
    return out.with_suffix(".kilobytes")


def cli(*arguments, **options):
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)


def arrays(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def same(first, second):
    one, two = arrays(first / "traces.npz"), arrays(second / "traces.npz")
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, two[name])


def test_every_experiment_leaves_figure_numbers_traces_and_manifest(quick):
    out, printed = quick
    assert {path.name for path in out.iterdir()} == set(PAPER)
    for name in PAPER:
        assert {path.name for path in (out / name).iterdir()} == FILES
        assert str(out / name / "figure.png") in printed
        manifest = json.loads((out / name / "manifest.json").read_text())
        assert manifest["status"] == "complete"
        assert manifest["experiment"] == name
        assert manifest["backend"] and manifest["versions"]["numpy"] == np.__version__
        assert manifest["blas_threads"] == 1
        runs = {key.split("/")[0] for key in arrays(out / name / "traces.npz")}
        assert set(manifest["seconds"]) == runs
        assert set(manifest["sha256"]) == FILES - {"manifest.json"}
        for file, digest in manifest["sha256"].items():
            assert hashlib.sha256((out / name / file).read_bytes()).hexdigest() == digest


def test_no_process_needs_a_gigabyte(quick):
    """The kernel's maximum over all processes that have ended; longer runs keep no more."""
    kilobytes = int(kilobytes_of(quick[0]).read_text())
    assert 30_000 < kilobytes < 1_000_000


def test_the_findings_name_every_trial_and_are_printed_and_kept(quick):
    out, printed = quick
    for name in PAPER:
        found = json.loads((out / name / "findings.json").read_text())
        assert found["experiment"] == name
        assert f"  {found['verdict']}\n" in printed
        for key in arrays(out / name / "traces.npz"):
            assert f"\n  {key.split('/')[0]}" in printed
        for one in found["findings"]:
            assert f"  {one['text']}\n" in printed
            assert one["numbers"] and one["stated"].keys() <= one["numbers"].keys()


@pytest.mark.parametrize("name", ["theorem-1", "gamma"])
def test_python_has_what_the_command_line_has(quick, name):
    out, _ = quick
    loaded, result = experiments.load(out / name), experiments.run(name, quick=True)
    found = json.loads((out / name / "findings.json").read_text())
    for one in (loaded, result):
        assert (one.verdict, one.caption) == (found["verdict"], found["caption"])
        assert [vars(finding) for finding in one.findings] == found["findings"]
        assert one.verdict in repr(one)
    assert result.settings == loaded.settings
    for label, trace in loaded.traces.items():
        for key, values in trace.items():
            np.testing.assert_array_equal(result.traces[label][key], values)
    assert loaded._repr_png_().startswith(b"\x89PNG")


def test_python_refuses_what_the_command_line_refuses(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'why'"):
        experiments.run("whi")
    with pytest.raises(ValueError, match="no setting 'cc'"):
        experiments.run("why", cc=3)
    with pytest.raises(RunDirectoryError, match="is not a run"):
        experiments.load(tmp_path)
    with pytest.raises(AttributeError, match="no attribute 'jump'"):
        experiments.jump  # noqa: B018


def test_the_csv_holds_what_the_figure_shows(quick):
    out, _ = quick
    with open(out / "synthetic-online" / "figure.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    traces = arrays(out / "synthetic-online" / "traces.npz")
    panel = "the point played, at the end of each period"
    drawn = [r for r in rows if r["panel"] == panel and r["series"] == "AMSGrad"]
    t, x = traces["AMSGrad/t"], traces["AMSGrad/x"][:, 0]
    shown = (t < 101) | (t % 101 == 0)
    np.testing.assert_array_equal([int(r["x"]) for r in drawn], t[shown])
    np.testing.assert_array_equal([float(r["y"]) for r in drawn], x[shown])


def test_a_curve_in_pieces_is_one_series_of_the_csv(quick):
    out, _ = quick
    with open(out / "phase-diagram" / "figure.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    curves = {row["series"] for row in rows if row["panel"].startswith("drift 0 of Adam")}
    assert {name for name in curves if "C =" in name} == {f"C = {c}" for c in (4, 10, 30, 100, 300)}
    assert sum(row["series"] == "C = 300" and row["x"] == "nan" for row in rows) == 2


def test_plot_draws_the_same_bytes_again_and_computes_nothing(quick):
    out, _ = quick
    for name in ("theorem-1", "logistic"):
        before = {path.name: path.read_bytes() for path in (out / name).iterdir()}
        assert main(["plot", str(out / name)]) == 0
        assert {path.name: path.read_bytes() for path in (out / name).iterdir()} == before


def test_the_users_style_of_figures_changes_nothing(quick):
    out, _ = quick
    before = {path.name: path.read_bytes() for path in (out / "theorem-1").iterdir()}
    theirs = {
        "figure.facecolor": "black",
        "savefig.bbox": "tight",
        "text.usetex": True,
        "font.family": "serif",
        "lines.linewidth": 9,
        "svg.fonttype": "none",
    }
    with matplotlib.rc_context(theirs):
        assert main(["plot", str(out / "theorem-1")]) == 0
        assert matplotlib.rcParams["lines.linewidth"] == 9
    assert {path.name: path.read_bytes() for path in (out / "theorem-1").iterdir()} == before


def test_a_quick_run_says_what_was_cut(quick):
    out, printed = quick
    for name, experiment in PAPER.items():
        manifest = RunDirectory(out / name).manifest
        assert manifest["settings"]["quick"] == bool(experiment.quick)
        drawn = (out / name / "figure.svg").read_text("utf-8")
        said = printed.split(f"\n{name}: ")[1].split("figure: ")[0]
        assert ("A quick run (" in said) == ("A quick run (" in drawn) == bool(experiment.quick)
        for key in experiment.quick:
            assert f"{key}={manifest['settings'][key]}" in said


def test_a_setting_that_was_cut_may_be_given(tmp_path):
    gamma = EXPERIMENTS["gamma"]
    settings = gamma.configured({"steps": 77}, quick=True)
    assert "(steps=77)" in gamma.caveat(settings) and not gamma.caveat(gamma.settings)


def test_optimizers_whose_best_rate_is_at_the_edge_are_not_ranked(quick):
    out, printed = quick
    for name in ("logistic", "mlp"):
        said = printed.split(f"\n{name}: ")[1].split("figure: ")[0]
        drawn = " ".join((out / name / "figure.svg").read_text("utf-8").split())
        edges = [
            label
            for label, trace in RunDirectory(out / name).traces().items()
            if trace["best_rate"] in trace["rates"][[0, -1]]
        ]
        sentence = f"No ranking: the best rate of {listed(edges)} is at the edge of the grid"
        assert edges and sentence in said and "No ranking" in drawn


def test_an_inner_best_rate_is_ranked():
    whole, quick = SimpleNamespace(quick=False), SimpleNamespace(quick=True)
    trace = {"rates": np.array([0.1, 0.3, 1.0]), "best_rate": np.array(0.3)}
    assert classification_report.unranked({"SGD": trace}, whole) == ""
    assert classification_report.unranked({"SGD": trace}, quick).startswith("No ranking: a quick")
    edge = {**trace, "best_rate": np.array(1.0)}
    assert classification_report.unranked({"SGD": trace, "Adam": edge}, whole).startswith(
        "No ranking: the best rate of Adam is at the edge"
    )


def test_the_worker_count_changes_nothing(quick, tmp_path):
    out, _ = quick
    names = ["theorem-1", "mlp"]
    assert cli("run", *names, "--quick", "--workers", 1, "--out", tmp_path).returncode == 0
    for name in names:
        same(out / name, tmp_path / name)


def full_disk(*_, **__):
    raise OSError(28, "No space left on device")


class StopAt:
    """A wish to stop that is there when it has been asked for so many times."""

    def __init__(self, count):
        self.count = count

    @property
    def value(self):
        self.count -= 1
        return self.count < 0


@pytest.mark.parametrize(
    ("name", "changes", "pieces"),
    [
        ("synthetic-stochastic", {"steps": 9000, "seeds": 3}, 3),
        ("logistic", {"data": "digits", "epochs": 3, "rates": 2, "seeds": 2}, 7),
        ("logistic", {"data": "digits", "epochs": 3, "rates": 2, "seeds": 2}, 15),
    ],
)
def test_an_interrupted_run_resumes_to_the_same_numbers(
    tmp_path, monkeypatch, name, changes, pieces
):
    experiment = EXPERIMENTS[name]
    settings = experiment.prepare(experiment.configured(changes))
    directory = RunDirectory.create(tmp_path, experiment.name, settings)
    first, *_ = experiment.trials(settings)
    monkeypatch.setattr(workers, "_stop", StopAt(1 + pieces))
    with pytest.raises(workers.Interrupted):
        workers.advance_to_end(name, settings, first, directory.path, current().name)
    assert directory.checkpoint_path(first).exists()
    directory.unlock()

    resumed = cli("resume", directory.path)
    assert resumed.returncode == 0, resumed.stderr
    sets = [f"{key}={value}" for key, value in changes.items()]
    whole = cli("run", name, *(f"--set={pair}" for pair in sets), "--out", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    same(tmp_path / "whole" / name, tmp_path / name)
    assert not directory.path.exists()


def test_the_seconds_of_a_run_are_those_of_all_its_parts(tmp_path, monkeypatch):
    experiment = EXPERIMENTS["theorem-1"]
    settings = experiment.configured({"steps": 9000})
    directory = RunDirectory.create(tmp_path, experiment.name, settings)
    directory.write_manifest(seconds={"PaperAdam": 12.5})
    run = workers.Run(experiment, settings, directory)
    with directory.traces_path("PaperAdam").open("wb") as file:
        np.savez(file, t=np.arange(3))  # done before
    advance = partial(workers.advance_to_end, "theorem-1", settings)
    assert advance("PaperAdam", directory.path, current().name) == 0
    monkeypatch.setattr(workers, "_stop", StopAt(2))
    with pytest.raises(workers.Interrupted):
        advance("AMSGrad", directory.path, current().name)
    checkpoint = directory.checkpoint_path("AMSGrad")
    kept = minigrad.load(checkpoint)
    minigrad.save(checkpoint, trial=kept["trial"], seconds=kept["seconds"] + 100)
    monkeypatch.undo()
    monkeypatch.setattr(RunDirectory, "gather", full_disk)
    assert runner.execute([run], "numpy", partial(workers.submitted, workers=1)) == runner.FAILED
    assert RunDirectory(directory.path).manifest["seconds"]["PaperAdam"] == 12.5
    assert 100 < RunDirectory(directory.path).manifest["seconds"]["AMSGrad"] < 200


@pytest.mark.parametrize(
    ("error", "status", "advice"),
    [
        (workers.Interrupted("a"), "interrupted", "continue with"),
        (BrokenProcessPool("dead"), "failed: a worker was killed", "continue with"),
        (MemoryError("no room"), "failed: no room", "continue with"),
        (RuntimeError("of a device"), "failed: of a device", "continue with"),
        (DataError("x is missing"), "failed: x is missing", "continue with"),
        (FloatingPointError("overflow"), "failed: overflow", "would fail again"),
    ],
)
def test_an_unfinished_run_says_why_and_how_to_go_on(tmp_path, capsys, error, status, advice):
    theorem_1 = EXPERIMENTS["theorem-1"]
    directory = RunDirectory.create(tmp_path / "a place", theorem_1.name, theorem_1.settings)
    runner._report_failure(directory, error)
    assert directory.manifest["status"].startswith(status)
    printed = capsys.readouterr().out
    assert status in printed and advice in printed
    assert ("continue" in advice) == (f"resume '{directory.path}'" in printed)


def test_a_mistake_in_the_program_is_not_hidden(tmp_path):
    theorem_1 = EXPERIMENTS["theorem-1"]
    directory = RunDirectory.create(tmp_path, theorem_1.name, theorem_1.settings)
    with pytest.raises(KeyError):
        runner._report_failure(directory, KeyError("x"))
    assert directory.manifest["status"] == "failed: 'x'"


def test_a_failure_goes_before_an_interruption(tmp_path, capsys):
    theorem_1 = EXPERIMENTS["theorem-1"]
    directory = RunDirectory.create(tmp_path, theorem_1.name, theorem_1.settings)
    ended = {label: Future() for label in "ab"}
    ended["a"].set_exception(workers.Interrupted("a"))
    ended["b"].set_exception(OSError("full"))
    assert not runner.conclude(workers.Run(theorem_1, theorem_1.settings, directory), ended)
    assert directory.manifest["status"] == "failed: full"


def test_a_directory_is_run_by_one_process_at_a_time(tmp_path, capsys):
    theorem_1 = EXPERIMENTS["theorem-1"]
    directory = RunDirectory.create(tmp_path, theorem_1.name, theorem_1.settings)
    for command in (["run", "theorem-1", "--out", tmp_path, "--force"], ["resume", directory.path]):
        refused = cli(*command)
        assert refused.returncode == 2 and "is being run by another process" in refused.stderr
    assert directory.manifest["status"] == "running"


def test_a_directory_that_another_process_has_just_made_is_left_alone(tmp_path, monkeypatch):
    theorem_1 = EXPERIMENTS["theorem-1"]
    directory = RunDirectory.create(tmp_path, theorem_1.name, theorem_1.settings)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", lambda path: False)  # so it was a moment ago
        with pytest.raises(RunDirectoryError, match="another process"):
            RunDirectory.create(tmp_path, theorem_1.name, theorem_1.settings)
    assert directory.manifest["status"] == "running"


def test_what_others_put_into_a_directory_stays(tmp_path, capsys):
    theorem_1 = EXPERIMENTS["theorem-1"]
    directory = RunDirectory.create(tmp_path, theorem_1.name, theorem_1.configured({"steps": 30}))
    directory.unlock()
    (directory.path / "notes.txt").write_text("mine")
    (directory.path / "more").mkdir()
    (directory.path / "PaperAdam.npz.1.1.tmp").write_bytes(b"a half")
    assert main(["resume", str(directory.path)]) == 0
    whole = tmp_path / "theorem-1"
    assert {path.name for path in whole.iterdir()} == FILES | {"notes.txt", "more"}
    assert main(["plot", str(whole)]) == 0


def test_resume_takes_only_what_is_called_unfinished(tmp_path, capsys, monkeypatch):
    theorem_1 = EXPERIMENTS["theorem-1"]
    directory = RunDirectory.create(tmp_path, theorem_1.name, theorem_1.configured({"steps": 30}))
    directory.unlock()
    shutil.copytree(directory.path, tmp_path / "mine")
    assert main(["resume", str(tmp_path / "mine")]) == 2
    assert "not called NAME.partial" in capsys.readouterr().err
    monkeypatch.chdir(directory.path)
    assert main(["resume", "."]) == 0
    assert (tmp_path / "theorem-1" / "figure.png").exists()


def test_what_is_written_is_whole_or_not_there(tmp_path):
    with pytest.raises(KeyError), atomic_write(tmp_path / "file") as file:
        file.write(b"a half")
        raise KeyError
    assert not list(tmp_path.iterdir())
    with atomic_write(tmp_path / "file") as file:
        file.write(b"all")
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").read_bytes() == b"all" and len(list(tmp_path.iterdir())) == 1


LONG = ["run", "synthetic-stochastic"]


def started(out):
    """A run of minutes, as soon as its directory is there, and that directory."""
    running = subprocess.Popen(
        [sys.executable, "-m", "experiments", *LONG, "--out", str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored after `&`
    )
    partial = out / "synthetic-stochastic.partial"
    while not (partial / "manifest.json").exists():
        time.sleep(0.01)
    return running, partial


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.3, 2])  # workers start, and are at it by then
def test_ctrl_c_keeps_what_was_recorded(tmp_path, seconds):
    running, partial = started(tmp_path)
    time.sleep(seconds)
    os.killpg(running.pid, signal.SIGINT)  # to every process, as a terminal does
    printed, complaint = running.communicate(timeout=60)
    assert running.returncode == 130 and "Traceback" not in complaint
    assert RunDirectory(partial).manifest["status"] == "interrupted"
    assert f"resume {partial}" in printed
    assert not (tmp_path / "synthetic-stochastic").exists()
    assert main([*LONG, "--out", str(tmp_path)]) == 2  # not over the unfinished one
    assert partial.exists()


def test_workers_end_with_the_process_that_started_them(tmp_path):
    running, _ = started(tmp_path)
    time.sleep(2)
    running.kill()
    running.communicate(timeout=30)  # returns when nobody holds the pipes any more


def test_ctrl_c_before_anything_runs_is_one_sentence(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.cli._list", interrupted)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "experiments: interrupted\n"


def test_a_full_disk_fails_the_run_and_loses_nothing(tmp_path):
    def no_large_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    arguments = ["run", "synthetic-stochastic", "--quick", "--out", tmp_path]
    failed = cli(*arguments, preexec_fn=no_large_files)
    assert failed.returncode == 1
    assert "File too large" in failed.stdout and "Traceback" not in failed.stderr
    partial = tmp_path / "synthetic-stochastic.partial"
    assert json.loads((partial / "manifest.json").read_text())["status"].startswith("failed")
    assert cli("resume", partial).returncode == 0
    assert cli(*arguments[:3], "--out", tmp_path / "whole").returncode == 0
    same(tmp_path / "whole" / "synthetic-stochastic", tmp_path / "synthetic-stochastic")


def test_a_figure_that_cannot_be_written_is_a_failure_that_resume_mends(
    tmp_path, capsys, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(Sheet, "save", full_disk)
        assert main(["run", "theorem-1", "--steps", "30", "--out", str(tmp_path)]) == 1
    partial = tmp_path / "theorem-1.partial"
    assert f"resume {partial}" in capsys.readouterr().out
    assert "No space left" in RunDirectory(partial).manifest["status"]
    assert main(["resume", str(partial)]) == 0
    assert RunDirectory(tmp_path / "theorem-1").manifest["status"] == "complete"


def test_resuming_is_not_offered_for_what_would_fail_again(tmp_path, capsys):
    changes = ["--steps", "30", "--set", "rules=sgd", "--set", "descent_lr=1e100"]
    assert main(["run", "generalization", *changes, "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "failed: SGD: " in printed and "resume" not in printed


def test_a_rerun_needs_force_and_replaces_the_old_run(quick, tmp_path, capsys):
    arguments = ["run", "theorem-1", "--steps", "30", "--workers", "1", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert main([*arguments, "--set", "lr=0.25"]) == 2
    said = capsys.readouterr().err
    assert "theorem-1 exists with other lr; give another --out, or --force to replace it" in said
    assert main([*arguments, "--set", "lr=0.25", "--force"]) == 0
    settings = json.loads((tmp_path / "theorem-1" / "manifest.json").read_text())["settings"]
    assert settings["lr"] == 0.25 and settings["steps"] == 30


def test_a_run_that_goes_on_with_other_code_says_so_and_is_of_neither(quick, tmp_path, capsys):
    theorem_1 = EXPERIMENTS["theorem-1"]
    directory = RunDirectory.create(tmp_path, "theorem-1", theorem_1.configured({"steps": 30}))
    directory.write_manifest(code="0" * 64)
    directory.unlock()
    capsys.readouterr()
    assert main(["resume", str(directory.path), "--workers", "1"]) == 0
    assert "theorem-1 began with other code: what it finds is of both." in capsys.readouterr().out
    arguments = ["run", "theorem-1", "--steps", "30", "--out", str(tmp_path)]
    assert main(arguments) == 2
    assert "theorem-1 exists with other code; give" in capsys.readouterr().err


def test_a_finished_run_is_made_again_only_by_other_code_or_backend(quick, tmp_path, capsys):
    arguments = ["run", "theorem-1", "--steps", "30", "--workers", "1", "--out", str(tmp_path)]
    assert main(arguments) == 0
    directory = RunDirectory(tmp_path / "theorem-1")
    began = directory.manifest["started"], directory.manifest["seconds"]
    capsys.readouterr()
    assert main(arguments) == 0
    assert "so it is not run again" in capsys.readouterr().out
    assert began == (directory.manifest["started"], directory.manifest["seconds"])
    drawn, numbers = ((directory.path / name).read_bytes() for name in ("figure.svg", "figure.csv"))
    for name in ("figure.svg", "figure.csv"):
        (directory.path / name).unlink()
    assert main(arguments) == 0
    assert (
        "figure.csv and figure.svg, which it lacked, came from its traces"
        in capsys.readouterr().out
    )
    assert (directory.path / "figure.svg").read_bytes() == drawn
    assert (directory.path / "figure.csv").read_bytes() == numbers
    assert began == (directory.manifest["started"], directory.manifest["seconds"])
    for changed in ({"code": "other"}, {"backend": "other"}):
        kept = directory.manifest
        directory.write_manifest(**changed)
        capsys.readouterr()
        assert main(arguments) == 2
        assert f"theorem-1 exists with other {next(iter(changed))}; give" in capsys.readouterr().err
        directory.write_manifest(**kept)
    (directory.path / "traces.npz").unlink()
    assert main(arguments) == 2
    assert "theorem-1 has no whole traces.npz" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "synthetic-onlin"], "did you mean 'synthetic-online'?"),
        (["run", "gamma", "--set", "rhoo=1"], "did you mean 'rho'?"),
        (["run", "gamma", "--set", "rho"], "is not KEY=VALUE"),
        (["run", "gamma", "--set", "rho='high'"], "rho='high'"),
        (["run", "gamma", "--set", "betas=(0.9, 1.0)"], "betas"),
        (["run", "gamma", "--set", "lr=-1"], "lr="),
        (["run", "gamma", "--steps", "0"], "steps=0"),
        (["run", "gamma", "--steps", "1"], "steps=1"),
        (["run", "gamma", "--set", "betas=(0.9,)"], "betas=(0.9,)"),
        (["run", "gamma", "--set", "betas=('a', 'b')"], "betas=('a', 'b')"),
        (["run", "gamma", "--set", "start=5"], "start=5.0"),
        (["run", "gamma", "--set", "rules=adam,amsgrd"], "did you mean 'amsgrad'?"),
        (["run", "gamma", "--set", "rules=sgd,adopt"], "ADOPT has no diagonal"),
        (["run", "why", "--set", "rules=lbfgs"], "LBFGS asks for a closure"),
        (["run", "why", "--set", "c=1"], "c=1.0 is outside (1, inf)"),
        (["run", "why", "--set", "c=3", "--set", "period=4"], "period=4 is too long for c=3"),
        (["run", "why", "--set", "spike=102"], "spike=102: give a step of the period, 1 to 101"),
        (["run", "synthetic-online", "--set", "scale=0"], "scale=0.0"),
        (
            ["run", "synthetic-online", "--set", "scale=1e200"],
            "scale=1e+200: give numbers of a size",
        ),
        (
            ["run", "synthetic-online", "--set", "scale=1e100", "--set", "c=1e60"],
            "c times scale is too large",
        ),
        (["run", "phase-diagram", "--set", "rules=sgd"], "SGD has no betas, which this"),
        (["run", "theorem-1", "--set", "rules=adam(betas=(0, 0.1))"], "fixes betas"),
        (["run", "theorem-1", "--set", "lr=1e999"], "lr=inf"),
        (["run", "theorem-1", "--set", "c=()"], "c=()"),
        (["run", "theorem-1", "--set", "lr=1" + "0" * 400], "give float, like the default, 0.5"),
        (["run", "theorem-1", "--steps", "1" + "0" * 22], "too large"),
        (["run", "phase-diagram", "--set", "periods=(1, 10)"], "periods=(1, 10)"),
        (["run", "phase-diagram", "--set", "periods=(10000000,)"], "periods=(10000000,)"),
        (["run", "bias", "--set", "p=1"], "p=1.0 is outside (0, 1)"),
        (["run", "bias", "--set", "batches=20000"], "batches=(20000,) is outside [1, 10000]"),
        (["run", "horizon", "--set", "horizons=5"], "horizons=(5,) is outside [10, 1e8]"),
        (["run", "floor", "--set", "tilt=0.4"], "tilt=0.4 is outside (0, 0.385)"),
        (["run", "floor", "--set", "rules=sgd,lbfgs"], "LBFGS asks for a closure"),
        (["run", "bias", "--set", "steps=1"], "steps=1 is outside [10, inf)"),
        (
            ["run", "bias", "--set", "copies=1"],
            "copies=1 is outside [2, inf); choose inside, for a standard error",
        ),
        (["run", "bias", "--set", "beta2s=(0.9, 0.5, 0.9)"], "0.9 is there twice; give each once"),
        (["run", "horizon", "--set", "horizons=(10, 1e1)"], "10 is there twice"),
        (["run", "horizon", "--set", "start=1e300"], "give numbers of a size of 1e-100 to 1e+100"),
        (["run", "stall", "--set", "noise=1e-300"], "noise=1e-300: give numbers of a size"),
        (["run", "stall", "--set", "features=1"], "features=1 is outside [2, inf)"),
        (["run", "generalization", "--set", "steps=1"], "steps=1 is outside [2, inf)"),
        (["run", "edge", "--set", "images=5000"], "images=5000: there are 1,497 to train on"),
        (["run", "edge", "--set", "lrs=0"], "lrs=(0.0,) is outside (0, inf)"),
        (["run", "edge", "--set", "eps=1e-20"], "eps=1e-20 is outside [1e-12, inf)"),
        (["run", "edge", "--set", "beta1s=0.9999"], "is outside [0, 0.999]"),
        (["run", "edge", "--set", "condition=1e9"], "condition=1000000000.0 is outside [10, 1e8]"),
        (["run", "floor", "--set", "rare=0"], "rare=0.0 is outside [0.01, 1]"),
        (
            ["run", "cycles", "--rules", "adam"],
            "has a setting 'rules'; it is a setting of synthetic-online, synthetic-stochastic,",
        ),
        (["run", "projection", "--rules", "adam"], "'rules'; did you mean 'rule'?"),
        (["run", "mlp", "--set", "data=5"], "data=5: give str | None"),
        (["run", "mlp", "--data", "digits", "--set", "note=mine"], "has a setting 'note'"),
        (["run", "mlp", "--data", "digits", "--seeds", "1" + "0" * 12], "Unable to allocate"),
        (["run", "theorem-1", "--set", "c=('a',)"], "c=('a',)"),
        (["run", "theorem-1", "--set", "c=(1.5, 3)"], "c=(1.5, 3.0)"),
        (
            ["run", "synthetic-stochastic", "--set", "probability=2"],
            "probability=2: give one",
        ),
        (["run", "synthetic-stochastic", "--set", "probability=0.001"], "above 0.0098"),
        (["run", "mlp", "--set", "epochs=abc"], "epochs='abc'"),
        (["run", "mlp", "--set", "rates=1000"], "rates=1000"),
        (["run", "mlp", "--set", "dataset=mnist"], "no experiment here has a setting 'dataset'"),
        (["run", "mlp", "--steps", "10"], "no experiment here has a setting 'steps'"),
        (["run", "theorem-1", "--seeds", "3"], "no experiment here has a setting 'seeds'"),
        (["run", "theorem-1", "--data", "digits"], "no experiment here has a setting 'data'"),
        (["run", "gamma", "--backend", "cupi"], "did you mean 'cupy'?"),
        (["run", "logistic", "--data", "no/such/place"], "no/such/place"),
        (["plot", "no/such/run"], "no/such/run"),
        (["resume", "no/such/run"], "no/such/run"),
    ],
)
def test_bad_arguments_are_one_sentence_and_status_2(tmp_path, capsys, arguments, says):
    out = ["--out", str(tmp_path)] if arguments[0] == "run" else []
    assert main([*arguments, *out]) == 2
    printed = capsys.readouterr().err
    assert says in printed and len(printed.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--workers", "0", "0 is too small"),
        ("--steps", "1.5", "'1.5' is not a whole number"),
        ("--steps", "inf", "'inf' is not a whole number"),
        ("--steps", "many", "'many' is not a whole number"),
    ],
)
def test_numbers_that_cannot_be_are_refused_with_the_usage(capsys, option, value, says):
    with pytest.raises(SystemExit) as stopped:
        main(["run", "gamma", option, value])
    assert stopped.value.code == 2
    assert f"argument {option}: {says}" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_to_is_named_and_left_clean(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("not a directory")
    assert main(["run", "theorem-1", "--out", str(tmp_path / "file")]) == 2
    assert f"--out {tmp_path / 'file'} cannot be used" in capsys.readouterr().err

    monkeypatch.setattr(RunDirectory, "write_manifest", full_disk)
    assert main(["run", "theorem-1", "--out", str(tmp_path / "full")]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert not list((tmp_path / "full").iterdir())


def test_a_manifest_that_was_changed_is_refused(tmp_path, capsys):
    theorem_1 = EXPERIMENTS["theorem-1"]
    directory = RunDirectory.create(tmp_path, theorem_1.name, theorem_1.configured({"steps": 300}))
    directory.unlock()
    path = directory.path / "manifest.json"
    text = path.read_text("utf-8")
    path.write_text(" ".join(text.split()), "utf-8")  # laid out in another way, it is the same
    before = RunDirectory(directory.path).manifest
    assert before["settings"]["steps"] == 300
    path.write_text(text.replace('"steps": 300', '"steps": 301'), "utf-8")
    assert main(["resume", str(directory.path)]) == 2
    assert "damaged, or was edited" in capsys.readouterr().err


def test_a_manifest_without_what_every_run_has_is_refused(tmp_path, capsys):
    for text in ("{}", "[]", "7", "{"):
        (tmp_path / "manifest.json").write_text(text)
        for command in ("plot", "resume"):
            assert main([command, str(tmp_path)]) == 2
            assert f"{tmp_path} is not a run" in capsys.readouterr().err


def test_a_damaged_run_is_refused(quick, tmp_path, capsys):
    out, _ = quick
    assert main(["resume", str(out / "gamma")]) == 2
    assert "is not called NAME.partial" in capsys.readouterr().err
    damaged = tmp_path / "gamma"
    damaged.mkdir()
    (damaged / "manifest.json").write_bytes((out / "gamma" / "manifest.json").read_bytes())
    (damaged / "traces.npz").write_bytes((out / "gamma" / "traces.npz").read_bytes()[:1000])
    assert main(["plot", str(damaged)]) == 2
    printed = capsys.readouterr().err
    assert "traces.npz" in printed and "`resume` it if it is unfinished" in printed


def test_list_names_every_experiment_and_its_settings(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[::3] == list(EXPERIMENTS)
    gamma = lines[lines.index("gamma") + 2].split("  ")
    assert gamma[2].startswith("rules=('Adam', 'AMSGrad', 'LeakyAMSGrad'")
    assert gamma[3:] == [
        *("lr=0.5", "start=0.0", "scale=10.0", "betas=(0.9, 0.99)", "c=101.0", "period=None"),
        *("spike=1", "steps=100000", "rho=0.9999"),
    ]


def test_a_setting_of_the_wrong_type_names_the_default_also_where_it_is_made_anew():
    with pytest.raises(
        ValueError, match=r"files=3: give dict\[str, str\], like the default, \{\}\."
    ):
        experiments.run("mlp", files=3)


def test_settings_are_taken_as_one_writes_them(tmp_path):
    assert _parser().parse_args(["run", "gamma", "--steps", "1e6"]).steps == 10**6
    assert EXPERIMENTS["gamma"].configured({"steps": 1e6}).steps == 10**6
    assert EXPERIMENTS["theorem-1"].configured({"c": 3}).c == (3.0,)
    changes = ["--set", "c=3", "--set", "rules=adam,amsgrad", "--set", "start=-0.5"]
    assert (
        main(["run", "synthetic-online", *changes, "--steps", "1e2", "--out", str(tmp_path)]) == 0
    )
    settings = RunDirectory(tmp_path / "synthetic-online").manifest["settings"]
    assert settings["steps"] == 100 and settings["c"] == 3.0
    assert settings["rules"] == ["adam", "amsgrad"] and settings["start"] == -0.5


def test_all_are_those_of_the_paper_and_the_gallery_has_every_experiment_but_the_tournament():
    assert [*_parser().parse_args(["all"]).names] == [*PAPER]
    assert [*_parser().parse_args(["gallery"]).names] == [*GALLERY]
    assert PAPER.items() < GALLERY.items() < EXPERIMENTS.items()
    assert {*EXPERIMENTS} - {*GALLERY} == {"tournament"}


STOREYS = (
    ("problems", "record"),
    ("data", "loops"),
    ("experiment",),
    ("paper", "advancing"),
    (
        "claims",
        "tournament",
    ),
    ("result", "hunt"),
    ("registry",),
    ("interactive", "workers", "page", "comparing", "options"),
    ("dask_worker",),
    ("runner", "on_dask"),
    ("mpi", "report"),
    ("beginning",),
    ("cli",),
    ("__main__",),
)


def imported(file):
    """The modules of the package that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1:] for name in names if name.startswith("experiments."))


def test_each_storey_of_the_package_knows_only_those_below_it():
    level = {name: height for height, names in enumerate(STOREYS) for name in names}
    package, within = ROOT / "experiments", {}
    for file in package.rglob("*.py"):
        place = file.relative_to(package).with_suffix("").parts
        if place[-1] == "__init__":
            top = place == ("__init__",)
            assert [*imported(file)] == ([["interactive"]] if top else []), file
            continue
        for name in imported(file):
            if name[0] == place[0]:
                within.setdefault(place, set()).add(tuple(name[:2]))
            else:
                assert level[name[0]] < level[place[0]], f"{file} imports {'.'.join(name)}"
    TopologicalSorter(within).prepare()  # raises CycleError for files that import each other
