"""Trials on the workers of a dask cluster, as real processes of which some are killed."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from experiments import dask_worker, on_dask
from experiments.cli import main
from experiments.record.directory import RunDirectory
from experiments.registry import EXPERIMENTS
from experiments.runner import execute
from experiments.workers import Interrupted, Run
from minigrad.backend import current
from tests.driving import host_only

pytest.importorskip("distributed", reason="dask's distributed is not installed")
pytestmark = [pytest.mark.xdist_group("dask"), host_only]
ROOT = Path(__file__).parents[2]
LONG = ["run", "logistic", "--data", "digits", "--seeds", "3", "--backend", "numpy"]
PATIENCE = 120.0


@contextmanager
def started(*arguments, **options):
    """A process of this Python, which is killed in the end, with what it started."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored after `&`
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    try:
        yield process
    finally:
        kill(process)
        if process.stdout:
            process.stdout.close()


def kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def until(holds):
    end = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < end, "in vain"
        time.sleep(0.1)
    return found


@contextmanager
def cluster(folder, threads=1, workers=2):
    """A scheduler and workers: the address, and the processes, the scheduler's first."""
    log = folder / "scheduler.log"
    scheduler = ["dask", "scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1"]
    with log.open("w") as file, started(*scheduler, stdout=file) as first:
        address = until(lambda: re.search(r"Scheduler at: +(tcp://\S+)", log.read_text()))[1]
        each = ["dask", "worker", address, "--nthreads", threads, "--no-dashboard"]
        each += ["--local-directory", folder]
        with (
            started(*each, stdout=subprocess.DEVNULL) as one,
            started(*each, stdout=subprocess.DEVNULL) as other,
        ):
            until(lambda: log.read_text().count("Register worker") >= 2)
            yield address, [first, one, other]


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    """What processes of this machine make of the long run."""
    out = tmp_path_factory.mktemp("processes")
    assert main([*LONG, "--out", str(out)]) == 0
    return RunDirectory(out / "logistic").traces()


def assert_same(traces, directory):
    found = directory.traces()
    assert found.keys() == traces.keys()
    for label, arrays in traces.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[label][name], array, strict=True)


def test_a_worker_that_is_killed_costs_its_trial_a_retry(tmp_path, traces):
    with cluster(tmp_path) as (address, (_, one, _)):
        run = ["experiments", *LONG, "--out", tmp_path, "--dask", address]
        with started(*run, stdout=subprocess.PIPE) as command:
            until(lambda: list(tmp_path.glob("logistic.partial/*.npz")))
            kill(one)
            said, _ = command.communicate(timeout=PATIENCE)
        assert command.returncode == 0, said
    assert_same(traces, RunDirectory(tmp_path / "logistic"))


def test_a_local_cluster_of_processes_gives_the_same_numbers(tmp_path, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "tests" / "mine.py", "mine.py")
    run = [
        "run",
        "theorem-1",
        "--steps",
        "3000",
        "--rules",
        "adam,mine.py:Mine,mine.py:Mine(lr=1.0)",
    ]
    assert main([*run, "--out", "processes"]) == 0
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options, processes=True) as cluster:
        assert main([*run, "--out", "dask", "--dask", cluster.scheduler_address]) == 0
    assert_same(
        RunDirectory(tmp_path / "processes" / "theorem-1").traces(),
        RunDirectory(tmp_path / "dask" / "theorem-1"),
    )


def test_a_run_without_its_scheduler_is_continued_by_another_engine(tmp_path, traces):
    with cluster(tmp_path) as (address, (scheduler, *_)):
        run = ["experiments", *LONG, "--out", tmp_path, "--dask", address]
        with started(*run, stdout=subprocess.PIPE) as command:
            until(lambda: list(tmp_path.glob("logistic.partial/*.npz")))
            kill(scheduler)
            said, _ = command.communicate(timeout=PATIENCE)
    assert command.returncode == 1 and "Traceback" not in said, said
    assert f"the connection to the scheduler at {address} is lost" in said
    partial_ = tmp_path / "logistic.partial"
    assert f"continue with: python -m experiments resume {partial_}" in said
    assert main(["resume", str(partial_)]) == 0
    assert_same(traces, RunDirectory(tmp_path / "logistic"))


def test_a_trial_of_which_three_workers_die_has_failed(tmp_path):
    experiment = EXPERIMENTS["logistic"]
    settings = experiment.configured({"data": "digits", "epochs": 100_000})
    directory = RunDirectory.create(tmp_path, "logistic", settings)
    with cluster(tmp_path) as (address, _):
        jobs = [(Run(experiment, settings, directory), "SGD")]
        with on_dask.submitted(jobs, "numpy", address) as (futures, _):
            (future,) = futures
            with on_dask._connected(address) as client:
                dead = set()
                while len(dead) < on_dask.DEATHS:
                    (worker,) = until(lambda: busy(client) - dead)
                    os.kill(client.run(os.getpid, workers=[worker])[worker], signal.SIGKILL)
                    dead.add(worker)
            assert "workers died of it" in str(future.exception(PATIENCE))


def busy(client):
    """The workers that have a trial."""
    return {name for name, calls in client.processing().items() if calls}


def test_what_would_give_other_numbers_is_refused(tmp_path, monkeypatch, capsys):
    arguments = ["run", "why", "--quick", "--out", str(tmp_path / "out"), "--dask"]
    with cluster(tmp_path, threads=2) as (address, _):
        assert main([*arguments, address]) == 2
        assert "has 2 threads" in capsys.readouterr().err
    with cluster(tmp_path) as (address, _):
        for what, value in (("code", "another"), ("numpy", "0.1")):
            other = {**dask_worker.surroundings("numpy"), what: value}
            with monkeypatch.context() as patch:
                patch.setattr(on_dask, "surroundings", lambda backend, other=other: other)
                assert main([*arguments, address]) == 2
            said = capsys.readouterr().err
            assert f"has other {what}, " in said and f"and not {value}; give it the same" in said
        # a rule that only this machine can make
        (tmp_path / "here.py").write_text(
            f"import os, optim\nassert os.getpid() == {os.getpid()}\nclass Here(optim.SGD): pass\n"
        )
        assert main([*arguments, address, "--rules", f"{tmp_path / 'here.py'}:Here"]) == 2
        said = capsys.readouterr().err
        assert "cannot run why: rule" in said and "does not run at line 2 (AssertionError)" in said
    assert not (tmp_path / "out").exists()


def test_no_scheduler_is_said_before_anything_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(on_dask, "CONNECT_SECONDS", 1.0)
    out = tmp_path / "out"
    assert main(["run", "why", "--dask", "tcp://127.0.0.1:9", "--out", str(out)]) == 2
    assert "no scheduler answers there" in capsys.readouterr().err and not out.exists()


def test_what_is_no_scheduler_is_not_waited_for(tmp_path, monkeypatch, capsys):
    """As the port of the dashboard, which takes a connection and says nothing of dask's."""
    monkeypatch.setattr(on_dask, "CONNECT_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.monotonic()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        for where in (address, address.replace("tcp", "http"), "nonsense"):
            assert main(["run", "why", "--dask", where, "--out", str(tmp_path / "out")]) == 2
            assert f"--dask {where}: no scheduler answers there (" in capsys.readouterr().err
        assert time.monotonic() - began < 15
    assert not (tmp_path / "out").exists()


class Asked:
    """The event that tells workers to stop, without a cluster."""

    name, asked = "asked", False

    def is_set(self):
        return self.asked


def test_of_a_worker_that_sees_no_directory_the_traces_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_worker, "event", lambda name: Asked())
    monkeypatch.setattr(dask_worker, "unfit", lambda *_: "")
    experiment = EXPERIMENTS["theorem-1"]
    settings = experiment.configured({"steps": 60})
    directory = RunDirectory.create(tmp_path, "theorem-1", settings)
    what = partial(dask_worker.advance, "theorem-1", settings, "AMSGrad")
    seconds, traces = what(tmp_path / "elsewhere", None, current().name, {}, "asked")
    assert seconds > 0 and not (tmp_path / "elsewhere").exists()
    assert what(directory.path, None, current().name, {}, "asked")[1] is None
    kept = directory.gather(["AMSGrad"])["AMSGrad"]
    assert kept.keys() == traces.keys()
    for name, array in kept.items():
        np.testing.assert_array_equal(traces[name], array)


def test_a_worker_that_is_asked_to_stop_has_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_worker, "event", lambda name: asked)
    monkeypatch.setattr(dask_worker, "unfit", lambda *_: "")
    monkeypatch.setattr(dask_worker, "LOOK_SECONDS", 0.0)
    asked = Asked()
    experiment = EXPERIMENTS["theorem-1"]
    settings = experiment.configured({"steps": 300_000})
    directory = RunDirectory.create(tmp_path, "theorem-1", settings)
    what = "theorem-1", settings, "AMSGrad", directory.path, None, current().name, {}, "asked"
    answers = iter([False, False, False, True])
    asked.is_set = lambda: next(answers)
    with pytest.raises(Interrupted):
        dask_worker.advance(*what)
    assert directory.kept("AMSGrad")


def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path, traces):
    with cluster(tmp_path) as (address, _):
        run = ["experiments", *LONG, "--out", tmp_path, "--dask", address]
        with started(*run, stdout=subprocess.PIPE) as command:
            until(lambda: list(tmp_path.glob("logistic.partial/*.npz")))
            command.send_signal(signal.SIGINT)
            said, _ = command.communicate(timeout=PATIENCE)
        assert command.returncode == 130 and "interrupted" in said, said
        assert main(["resume", str(tmp_path / "logistic.partial"), "--dask", address]) == 0
    assert_same(traces, RunDirectory(tmp_path / "logistic"))


def test_without_workers_it_says_so_and_ctrl_c_gives_up(tmp_path):
    with cluster(tmp_path) as (address, (_, one, other)):
        run = ["experiments", *LONG, "--out", tmp_path, "--dask", address]
        with started(*run, stdout=subprocess.PIPE) as command:
            until(lambda: list(tmp_path.glob("logistic.partial/*.npz")))
            kill(one)
            kill(other)
            lines = iter(command.stdout.readline, "")
            assert any(f"the scheduler at {address} has no workers" in line for line in lines)
            began = time.monotonic()
            command.send_signal(signal.SIGINT)
            said, _ = command.communicate(timeout=PATIENCE)
            assert time.monotonic() - began < 30
    assert command.returncode == 130 and "Traceback" not in said, said
    assert f"resume {tmp_path / 'logistic.partial'}" in said


def of_an_absolute_path(*what):
    """What is sent to workers, whose directory in force is another."""
    assert what[3].is_absolute()
    return dask_worker.advance(*what)


def test_workers_get_the_whole_path_of_a_relative_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(on_dask, "advance", of_an_absolute_path)
    with cluster(tmp_path) as (address, _):
        assert main(["run", "theorem-1", "--steps", "60", "--out", "out", "--dask", address]) == 0


def test_an_executor_of_ones_own_will_do(tmp_path):
    """The runner asks for no more than futures and what is done of each."""
    from concurrent.futures import ThreadPoolExecutor

    from experiments.workers import advance_to_end

    experiment = EXPERIMENTS["why"]
    settings = experiment.configured({}, quick=True)
    directory = RunDirectory.create(tmp_path, "why", settings)

    @contextmanager
    def submit(jobs, backend):
        with ThreadPoolExecutor(1) as pool:
            yield (
                {
                    pool.submit(
                        advance_to_end, "why", settings, label, run.directory.path, backend
                    ): (run, label)
                    for run, label in jobs
                },
                [0.0] * len(jobs),
            )

    assert execute([Run(experiment, settings, directory)], current().name, submit) == 0
