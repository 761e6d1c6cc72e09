"""Experiments on the ranks of MPI, which are real processes."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from minigrad.checkpoint import read_arrays
from tests.driving import host_only
from tests.mpi import MPIEXEC, ROOT, mpiexec, needs_mpi

pytestmark = [needs_mpi, host_only, pytest.mark.xdist_group("mpi")]
EPOCHS = 8
SETS = ["data=digits", "rates=1", "tuning_seeds=1", "seeds=1"]
RUN = ["run", "mlp", *[f"--set={one}" for one in (*SETS, f"epochs={EPOCHS}")]]
OFTEN = "import os; from experiments import advancing; advancing.CHECKPOINT_SECONDS = 0.05; "
MAIN = "from experiments.cli import main; raise SystemExit(main())"


def experiments(n, *arguments):
    return mpiexec(n, "-m", "experiments", *arguments)


def traces(path):
    return read_arrays(path / "mlp" / "traces.npz")


def assert_same_bits(got, expected):
    assert got.keys() == expected.keys()
    for name in got:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


@pytest.fixture(scope="module")
def of_one_rank(tmp_path_factory):
    """The traces of one rank that computes all shards."""
    out = tmp_path_factory.mktemp("one")
    ended = experiments(1, *RUN, "--mpi", "--shards=4", "--out", out)
    assert ended.returncode == 0, ended.stdout
    return traces(out)


@pytest.mark.parametrize("n", (2, 4))
def test_with_shards_any_number_of_ranks_gives_the_same_bits(of_one_rank, tmp_path, n):
    ended = experiments(n, *RUN, "--mpi", "--shards=4", "--out", tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.count("figure: ") == 1
    assert_same_bits(traces(tmp_path), of_one_rank)


def test_without_shards_it_differs_from_no_ranks_by_rounding(tmp_path):
    short = ["run", "logistic", "--quick", *[f"--set={one}" for one in SETS], "--set=epochs=1"]
    command = [sys.executable, "-m", "experiments", *short, "--out", tmp_path / "none"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    ended = experiments(2, *short, "--mpi", "--out", tmp_path / "two")
    assert ended.returncode == 0, ended.stdout
    none, two = (
        read_arrays(tmp_path / which / "logistic" / "traces.npz") for which in ("none", "two")
    )
    for name, expected in none.items():
        np.testing.assert_allclose(two[name], expected, rtol=1e-3, err_msg=name)


def test_dropout_and_convolutions_too_give_the_same_bits(tmp_path):
    sets = ("rates=1", "seeds=1", "train_images=70", "batch=32")
    short = ["run", "cifarnet", "--quick", *[f"--set={one}" for one in sets]]
    found = []
    for n in (1, 2):
        out = tmp_path / str(n)
        ended = experiments(n, *short, "--mpi", "--shards=2", "--out", out)
        assert ended.returncode == 0, ended.stdout
        found.append(read_arrays(out / "cifarnet" / "traces.npz"))
    assert_same_bits(*found)


def test_a_rank_that_is_killed_ends_the_run_which_others_resume(of_one_rank, tmp_path):
    script = f"{OFTEN} print('pid', os.getpid(), flush=True); {MAIN}"
    command = [MPIEXEC, "-n", "2", sys.executable, "-c", script, *RUN, "--mpi", "--shards=4"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    partial = tmp_path / "mlp.partial"
    with subprocess.Popen(
        [*command, "--out", tmp_path],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as running:
        pids = []
        while len(pids) < 2:
            word, _, pid = running.stdout.readline().partition(" ")
            pids += [int(pid)] if word == "pid" else []
        began = time.monotonic()
        while not any(partial.glob("*.checkpoint.npz")) and time.monotonic() - began < 60:
            time.sleep(0.01)
        os.kill(pids[1], signal.SIGKILL)
        running.communicate(timeout=30)
    assert running.returncode != 0
    assert any(partial.glob("*.checkpoint.npz")) and not (tmp_path / "mlp").exists()
    refused = experiments(2, "resume", partial, "--mpi", "--shards=2")
    assert refused.returncode == 2 and "--shards 2: this run has 4; leave" in refused.stdout
    ended = experiments(4, "resume", partial, "--mpi")
    assert ended.returncode == 0, ended.stdout
    assert_same_bits(traces(tmp_path), of_one_rank)


def test_an_error_on_one_rank_is_printed_and_ends_the_others(tmp_path):
    script = (
        "from mpi4py import MPI; from experiments.loops.training import RateSearch\n"
        "def advance(self): raise KeyError('a mistake')\n"
        "if MPI.COMM_WORLD.rank == 1: RateSearch.advance = advance\n"
    )
    ended = mpiexec(2, "-c", script + MAIN, *RUN, "--mpi", "--out", tmp_path)
    assert ended.returncode != 0
    assert "rank 1:" in ended.stdout and "KeyError: 'a mistake'" in ended.stdout
    assert (tmp_path / "mlp.partial").exists()


def test_a_training_that_diverges_does_so_on_all_ranks(tmp_path):
    script = (
        "from mpi4py import MPI; import numpy as np; import models\n"
        "own = models.MLP.loss\n"
        "def loss(self, x, y):\n"
        "    if MPI.COMM_WORLD.rank == 1: raise FloatingPointError('overflow')\n"
        "    return own(self, x, y)\n"
        "models.MLP.loss = loss\n"
    )
    ended = mpiexec(2, "-c", script + MAIN, *RUN, "--mpi", "--out", tmp_path)
    assert ended.returncode == 1 and "Traceback" not in ended.stdout, ended.stdout
    assert "failed: SGD: " in ended.stdout and "would fail again" in ended.stdout


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["run", "theorem-1", "--mpi"], "--mpi: theorem-1 has no batches to spread; run it"),
        ([*RUN, "--mpi", "--shards=3"], "--shards 3 is not a multiple of the 2 ranks; start"),
        ([*RUN, "--shards=4"], "--shards 4 is for ranks; give --mpi as well"),
        (["run", "mpl", "--mpi"], "did you mean 'mlp'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(tmp_path, arguments, said):
    ended = experiments(2, *arguments, "--out", tmp_path / "o")
    assert ended.returncode == 2 and said in ended.stdout, ended.stdout
    assert "Traceback" not in ended.stdout and not any(tmp_path.glob("o/*"))
