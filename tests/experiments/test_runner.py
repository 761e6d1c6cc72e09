"""The runner where it is not the main process at a terminal."""

import json
import multiprocessing
import os
import pty
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from experiments import runner, workers
from experiments.cli import main
from experiments.problems import mnist
from experiments.record.directory import RunDirectory
from experiments.registry import EXPERIMENTS
from minigrad.checkpoint import load, save
from tests.driving import host_only

pytestmark = host_only  # its processes do not know the backends that tests register
ROOT = Path(__file__).parents[2]
WHOLE = {
    *("figure.csv", "figure.png", "figure.svg"),
    *("findings.json", "manifest.json", "traces.npz"),
}
SHORT = ["run", "theorem-1", "--steps", "30", "--out", "o"]
LONG = ["run", "theorem-1", "--steps", "60000000", "--out", "o"]
MAIN = f"from experiments.cli import main\nraise SystemExit(main({SHORT!r}))\n"


def python(where, *arguments, env=None, **options):
    """Python in a directory, with this project on its path."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=where,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def shell(where, command):
    """A line of bash, with this Python; `set -o pipefail` makes its status that of all parts."""
    line = f"set -o pipefail; {command}".replace("python ", f"{shlex.quote(sys.executable)} ")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", line], cwd=where, env=env, capture_output=True, text=True, timeout=120
    )


def assert_whole(where):
    assert {path.name for path in (where / "o/theorem-1").iterdir()} == WHOLE


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
def test_a_stream_may_be_closed(tmp_path, closed):
    done = shell(tmp_path, f"python -W error -m experiments {' '.join(SHORT)} {closed}")
    assert done.returncode == 0 and not done.stderr
    assert_whole(tmp_path)


def test_a_script_may_come_from_a_pipe(tmp_path):
    done = python(tmp_path, "-", input=MAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_whole(tmp_path)


def test_a_script_needs_no_guard_and_runs_once(tmp_path):
    (tmp_path / "script.py").write_text("print('once')\n" + MAIN)
    done = python(tmp_path, "script.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("once") == 1
    assert_whole(tmp_path)


def test_main_may_be_called_in_a_thread(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status = []
    thread = threading.Thread(target=lambda: status.append(main(SHORT)))
    thread.start()
    thread.join()
    assert status == [0]
    assert_whole(tmp_path)


def test_a_daemon_is_told_that_it_may_start_no_processes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    assert main(SHORT) == 2
    assert "multiprocessing.Pool" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_what_a_stream_cannot_show_is_escaped(tmp_path):
    arguments = [*SHORT[:-1], "\u00f6"]
    env = {"PYTHONIOENCODING": "ascii"}
    done = python(tmp_path, "-m", "experiments", *arguments, env=env)
    assert done.returncode == 0 and "\\xf6/theorem-1/figure.png" in done.stdout
    assert (tmp_path / "\u00f6/theorem-1/figure.png").exists()


@pytest.mark.parametrize(
    "command",
    [
        "python -m experiments list",
        "python -m experiments --help",
        "python -m experiments doctor",
        "python -m minigrad doctor",
        "python -m optim",
        "python -m optim show adam",
        f"python -m experiments {' '.join(SHORT)}",
    ],
)
@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_reader_may_leave(tmp_path, command, reader):
    done = shell(tmp_path, f"{command} | {reader}")
    assert done.returncode == 0 and not done.stderr
    if "run" in command:
        assert_whole(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("command", ["experiments list", "minigrad doctor", "optim"])
def test_what_cannot_be_printed_for_want_of_room_is_an_error(tmp_path, command):
    done = shell(tmp_path, f"python -m {command} > /dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("cannot print: ") and len(done.stderr.splitlines()) == 1


def started(where, *before):
    """A run of minutes once its workers are at it."""
    running = subprocess.Popen(
        [*before, sys.executable, "-m", "experiments", *LONG],
        cwd=where,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hears,
    )
    wait_for(where / "o/theorem-1.partial/manifest.json")
    time.sleep(2.5)
    return running


def wait_for(path):
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"no {path}"
        time.sleep(0.01)


def assert_interrupted(where):
    partial = where / "o/theorem-1.partial"
    assert RunDirectory(partial).manifest["status"] == "interrupted"
    kept = list(partial.glob("*.checkpoint.npz"))
    assert kept and all(load(path)["seconds"] > 0 for path in kept)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_that_comes_twice_at_once_means_once(tmp_path, number):
    running = started(tmp_path)
    running.send_signal(number)
    time.sleep(0.05)
    running.send_signal(number)
    printed, complaint = running.communicate(timeout=60)
    assert running.returncode == 130 and "Traceback" not in complaint
    assert "resume o/theorem-1.partial" in printed
    assert_interrupted(tmp_path)


@pytest.mark.parametrize("imported", ["numpy", "experiments.runner", "experiments.cli"])
def test_ctrl_c_while_modules_are_imported_leaves_no_traceback(tmp_path, imported):
    (tmp_path / "sitecustomize.py").write_text(
        "import signal, sys\n"
        "class Finder:\n"
        "    def find_spec(name, path, target=None):\n"
        f"        if name == {imported!r}:\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder)\n"
    )
    env = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = python(tmp_path, "-m", "experiments", *SHORT, env=env, preexec_fn=hears)
    assert done.returncode == 130 and not done.stdout + done.stderr


def hears():
    """In a process that is started: it hears Ctrl-C, which is ignored after `&`, and that its
    terminal closes, which is after nohup."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def test_a_second_ctrl_c_ends_a_run_while_it_is_drawn(tmp_path):
    script = (
        "import signal, sys, time\n"
        "from experiments import cli, workers\n"
        "from experiments.result import Result\n"
        "workers.TWICE_SECONDS = 0\n"
        "def save(*_):\n"
        "    for _ in range(2):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        time.sleep(0.1)\n"
        "Result.save = save\n"
        f"sys.exit(cli.main({SHORT!r}))\n"
    )
    done = python(tmp_path, "-c", script, preexec_fn=hears)
    assert done.returncode == 130 and "Traceback" not in done.stderr
    assert "continue with: python -m experiments resume o/theorem-1.partial" in done.stdout
    assert RunDirectory(tmp_path / "o/theorem-1.partial").manifest["status"] == "interrupted"
    assert main(["resume", str(tmp_path / "o/theorem-1.partial"), "--workers", "1"]) == 0


def broken_off(settings, path, stop):
    """What a worker does of a trial that never returns from a piece."""
    workers.PIECE_SECONDS = 0.5
    workers._start_worker(stop, [0.0])
    try:
        workers.advance_to_end("synthetic-online", settings, "Stuck", path, "numpy")
    except workers.Interrupted:
        os._exit(3)


def test_a_piece_that_never_ends_is_broken_off(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("stuck.py").write_text(
        "import optim\nfrom pathlib import Path\n\n\nclass Stuck(optim.SGD):\n"
        "    def update(self):\n        if self.t < 9:\n            return self.apply('kernel')\n"
        "        Path('there').touch()\n        while True:\n"
        "            try:\n                pass\n            except Exception:\n"
        "                pass\n"
    )
    online = EXPERIMENTS["synthetic-online"]
    settings = online.configured({"steps": 60, "rules": "stuck.py:Stuck"})
    directory = RunDirectory.create(tmp_path, online.name, settings)
    context = multiprocessing.get_context("spawn")
    stop = context.RawValue("b")
    running = context.Process(target=broken_off, args=(settings, directory.path, stop))
    running.start()
    wait_for(tmp_path / "there")
    stop.value = workers.STOP
    running.join(60)
    assert running.exitcode == 3


def test_under_nohup_a_hangup_is_ignored(tmp_path):
    running = started(tmp_path, "nohup")
    os.killpg(running.pid, signal.SIGHUP)
    time.sleep(1)
    assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert_interrupted(tmp_path)


def test_a_terminal_that_closes_keeps_what_was_recorded(tmp_path):
    pid, terminal = pty.fork()
    if pid == 0:
        hears()
        os.chdir(tmp_path)
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "experiments", *LONG])
    wait_for(tmp_path / "o/theorem-1.partial/manifest.json")
    time.sleep(2.5)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert_interrupted(tmp_path)


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
def test_a_worker_that_is_killed_while_it_waits_holds_up_nothing(tmp_path):
    theorem_1 = EXPERIMENTS["theorem-1"]
    settings = theorem_1.configured({"steps": 60_000_000})
    directory = RunDirectory.create(tmp_path, "theorem-1", settings)
    save(directory.traces_path("AMSGrad"), traces={})  # so that one of the two has nothing to do
    directory.unlock()
    running = subprocess.Popen(
        [sys.executable, "-m", "experiments", "resume", directory.path, "--workers", "2"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(4)
    idle, _ = sorted(workers_of(running.pid), key=cpu_time)
    os.kill(idle, signal.SIGKILL)
    try:
        printed, _ = running.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        raise
    assert running.returncode == 1
    assert "a worker was killed" in printed and "continue with" in printed
    assert load(directory.checkpoint_path("PaperAdam"))["seconds"] > 0


def workers_of(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    command = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return [child for child, line in command.items() if b"spawn_main" in line]


def cpu_time(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_an_error_leaves_nothing_locked_for_the_next_call(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    theorem_1 = EXPERIMENTS["theorem-1"]
    directory = RunDirectory.create(Path("o"), "theorem-1", theorem_1.configured({"steps": 30}))
    directory.write_manifest(settings={"steps": -1})
    directory.unlock()
    assert main(["resume", "o/theorem-1.partial"]) == 2
    assert "steps=-1" in capsys.readouterr().err
    directory.write_manifest(settings={"steps": 30})
    assert main(["resume", "o/theorem-1.partial", "--backend", "nunpy"]) == 2

    def broken(*_):
        raise KeyError("a mistake")

    with monkeypatch.context() as patch, pytest.raises(KeyError):
        patch.setattr(runner, "environment", broken)
        main(["resume", "o/theorem-1.partial"])
    assert main(["resume", "o/theorem-1.partial"]) == 0
    assert_whole(tmp_path)


def test_a_run_that_cannot_begin_leaves_no_directory(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    gamma = EXPERIMENTS["gamma"]
    busy = RunDirectory.create(Path("o"), "gamma", gamma.settings)
    both = ["run", "theorem-1", "gamma", "--steps", "30", "--out", "o"]
    assert main([*both, "--force"]) == 2
    assert "gamma.partial is being run by another process" in capsys.readouterr().err
    assert [path.name for path in Path("o").iterdir()] == ["gamma.partial"]
    busy.unlock()
    assert main([*both, "--force"]) == 0


def test_a_directory_that_died_before_its_manifest_is_free(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    partial = tmp_path / "o/theorem-1.partial"
    partial.mkdir(parents=True)
    (partial / "manifest.json.0a.tmp").write_text("{")
    assert main(SHORT) == 0
    partial.mkdir()
    (partial / "mine.txt").write_text("not a run, and not to be lost")
    (tmp_path / "o/theorem-1").rename(tmp_path / "elsewhere")
    assert main(SHORT) == 2


def test_all_that_is_wrong_is_said_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o/gamma").mkdir(parents=True)
    (tmp_path / "o/theorem-1.partial").mkdir()
    (tmp_path / "o/theorem-1.partial/manifest.json").write_text("{}")
    bad = ["--set", "betas=(0.9, 1.0)", "--set", "c=(1.0,)", "--set", "lr=-1.0", "--out", "o"]
    assert main(["run", "gamma", "theorem-1", *bad]) == 2
    said = capsys.readouterr().err
    assert "o/gamma exists; give another --out" in said
    assert "o/theorem-1.partial is an unfinished run" in said
    assert said.count("lr=-1.0 is outside (0, inf)") == 1
    assert all(line.startswith("experiments: ") for line in said.splitlines())
    assert main(["run", "gamma", "--set", "betas=(0.9, 1.0)", "--out", "o"]) == 2
    said = capsys.readouterr().err
    assert "o/gamma exists" in said and "betas" in said
    assert main(["run", "gamma", "--set", "rhoo=1", "--backend", "gpu", "--out", "o"]) == 2
    said = capsys.readouterr().err
    assert "o/gamma exists" in said and "'rho'" in said and "'cupy'" in said


def test_nothing_is_downloaded_for_a_run_that_cannot_be(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIGRAD_DATA", raising=False)
    (tmp_path / "o/mlp").mkdir(parents=True)

    def download(*_):
        raise AssertionError("downloads")

    monkeypatch.setattr(mnist, "_fetch", download)
    for data in ([], ["--data", "fashion-mnist"]):
        assert main(["run", "mlp", *data, "--set", "seeds=0", "--out", "o"]) == 2
        said = capsys.readouterr().err
        assert "o/mlp exists" in said and "seeds=0" in said
    assert main(["tournament", "--data", "fashion-mnist", "--set", "x=0", "--out", "o"]) == 2
    assert main(["run", "mlp", "--out", "o"]) == 2


def test_a_backend_that_cannot_be_is_found_before_anything_is_written(tmp_path):
    code = f"""
import sys
sys.modules["cupy"] = None
from experiments.cli import main
from experiments.problems import mnist
mnist._fetch = lambda *_: sys.exit("downloads")
sys.exit(main({["run", "mlp", "theorem-1", "--out", "o"]!r}))
"""
    env = {"MINIGRAD_BACKEND": "cupy", "MINIGRAD_DATA": ""}
    done = python(tmp_path, "-c", code, env=env)
    assert done.returncode == 2 and "CuPy cannot be imported" in done.stderr
    assert not any(tmp_path.iterdir())


def test_the_backend_of_the_workers_need_not_be_that_of_the_caller(tmp_path):
    code = f"""
import minigrad, sys
t = minigrad.Tensor([1.0]) * 2
from experiments.cli import main
assert main({[*SHORT, "--backend", "numba"]!r}) == 0
assert minigrad.backend.current().name == "numpy" and (t + t).sum().item() == 4
"""
    pytest.importorskip("numba")
    done = python(tmp_path, "-c", code, env={"MINIGRAD_BACKEND": ""})
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "o/theorem-1/manifest.json").read_text())
    assert manifest["backend"] == "numba"


@pytest.mark.parametrize("hiding", ["models/__init__.py", "optim.py"])
def test_a_folder_that_hides_a_package_is_named(tmp_path, hiding):
    path = tmp_path / hiding
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    done = python(tmp_path, "-m", "experiments", "list")
    assert done.returncode == 1 and not done.stdout
    named = tmp_path / hiding.removesuffix("/__init__.py")
    assert done.stderr.startswith(f"experiments: {named} hides the package `")
    assert len(done.stderr.splitlines()) == 1
    done = python(tmp_path, "-c", "import experiments")
    assert f"ImportError: {named} hides the package `" in done.stderr
