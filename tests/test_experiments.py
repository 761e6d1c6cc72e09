"""The command line and what it leaves on disk, as a user sees them."""

import csv
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from driving import host_only

from experiments import runner
from experiments.cli import main
from experiments.registry import EXPERIMENTS
from experiments.store import Store

pytestmark = host_only  # its processes do not know the backends that tests register
ROOT = Path(__file__).parents[1]
FILES = {"figure.csv", "figure.png", "figure.svg", "manifest.json", "traces.npz"}


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The output of `all --quick`, run as a user would."""
    out = tmp_path_factory.mktemp("quick")
    done = cli("all", "--quick", "--data", "digits", "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def cli(*arguments, **options):
    command = [sys.executable, "-W", "error", "-m", "experiments", *map(str, arguments)]
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
    assert {path.name for path in out.iterdir()} == set(EXPERIMENTS)
    for name in EXPERIMENTS:
        assert {path.name for path in (out / name).iterdir()} == FILES
        assert str(out / name / "figure.png") in printed
        manifest = json.loads((out / name / "manifest.json").read_text())
        assert manifest["status"] == "complete"
        assert manifest["experiment"] == name
        assert manifest["backend"] and manifest["versions"]["numpy"] == np.__version__
        assert manifest["blas_threads"] == 1 and manifest["wall_seconds"] > 0
        assert set(manifest["sha256"]) == FILES - {"manifest.json"}
        for file, digest in manifest["sha256"].items():
            assert hashlib.sha256((out / name / file).read_bytes()).hexdigest() == digest


def test_the_findings_name_every_run(quick):
    out, printed = quick
    for name in EXPERIMENTS:
        for key in arrays(out / name / "traces.npz"):
            assert f"\n  {key.split('/')[0]}" in printed


def test_the_csv_holds_what_the_figure_shows(quick):
    out, _ = quick
    with open(out / "synthetic-online" / "figure.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    traces = arrays(out / "synthetic-online" / "traces.npz")
    drawn = [r for r in rows if r["panel"] == "the point played, x_t" and r["series"] == "AMSGrad"]
    np.testing.assert_array_equal([int(r["x"]) for r in drawn], traces["AMSGrad/t"])
    np.testing.assert_array_equal([float(r["y"]) for r in drawn], traces["AMSGrad/x"][:, 0])


def test_plot_draws_the_same_bytes_again_and_computes_nothing(quick):
    out, _ = quick
    for name in ("theorem-1", "logistic"):
        before = {path.name: path.read_bytes() for path in (out / name).iterdir()}
        assert main(["plot", str(out / name)]) == 0
        assert {path.name: path.read_bytes() for path in (out / name).iterdir()} == before


def test_the_worker_count_changes_nothing(quick, tmp_path):
    out, _ = quick
    names = ["theorem-1", "mlp"]
    assert cli("run", *names, "--quick", "--workers", 1, "--out", tmp_path).returncode == 0
    for name in names:
        same(out / name, tmp_path / name)


class StopAt:
    """An event that is set when it has been asked so many times."""

    def __init__(self, count):
        self.count = count

    def is_set(self):
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
    store = Store.create(tmp_path, experiment, settings)
    first, *_ = experiment.runs(settings)
    monkeypatch.setattr(runner, "_stop", StopAt(1 + pieces))
    with pytest.raises(runner.Interrupted):
        runner._run(name, settings, first, store.path)
    assert store.checkpoint(first).exists()

    resumed = cli("resume", store.path)
    assert resumed.returncode == 0, resumed.stderr
    sets = [f"{key}={value}" for key, value in changes.items()]
    whole = cli("run", name, *(f"--set={pair}" for pair in sets), "--out", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    same(tmp_path / "whole" / name, tmp_path / name)
    assert not store.path.exists()


def test_ctrl_c_keeps_what_was_recorded(tmp_path):
    arguments = ["run", "synthetic-stochastic", "--out", str(tmp_path)]  # minutes long
    running = subprocess.Popen(
        [sys.executable, "-m", "experiments", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    partial = tmp_path / "synthetic-stochastic.partial"
    while not (partial / "manifest.json").exists():
        time.sleep(0.05)
    time.sleep(2)  # so that the processes are at it, most likely; any moment will do
    running.send_signal(signal.SIGINT)
    printed, complaint = running.communicate(timeout=60)
    assert running.returncode == 1 and "Traceback" not in complaint
    assert Store(partial).manifest["status"] == "interrupted"
    assert f"resume {partial}" in printed
    assert not (tmp_path / "synthetic-stochastic").exists()
    assert main(arguments) == 2  # not over the unfinished one
    assert partial.exists()


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


def test_a_rerun_needs_force_and_replaces_the_old_run(quick, tmp_path, capsys):
    arguments = ["run", "theorem-1", "--steps", "30", "--workers", "1", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert main(arguments) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*arguments, "--seed", "3", "--set", "lr=0.25", "--force"]) == 0
    settings = json.loads((tmp_path / "theorem-1" / "manifest.json").read_text())["settings"]
    assert settings["lr"] == 0.25 and settings["steps"] == 30


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


def test_a_damaged_run_is_refused(quick, tmp_path, capsys):
    out, _ = quick
    assert main(["resume", str(out / "gamma")]) == 2
    assert "nothing to resume" in capsys.readouterr().err
    damaged = tmp_path / "gamma"
    damaged.mkdir()
    (damaged / "manifest.json").write_bytes((out / "gamma" / "manifest.json").read_bytes())
    (damaged / "traces.npz").write_bytes((out / "gamma" / "traces.npz").read_bytes()[:1000])
    assert main(["plot", str(damaged)]) == 2
    assert "traces.npz" in capsys.readouterr().err


def test_list_names_every_experiment(capsys):
    assert main(["list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(EXPERIMENTS)


def test_each_file_runs_as_a_script(tmp_path):
    script = ROOT / "experiments" / "theorem_1.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script, "--steps", "60"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Store(tmp_path / "runs" / "theorem-1").manifest["settings"]["steps"] == 60
