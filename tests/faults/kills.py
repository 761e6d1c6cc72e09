"""Processes that are killed at random moments, and what they leave."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import minigrad
from experiments.record.directory import PARTIAL, RunDirectory
from minigrad.checkpoint import read_arrays
from tests.faults.part import Report
from tests.faults.training import STEPS, Training, digest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

# Two loops, of the classifiers and of the online problems; some seconds each
RUNS = {
    "logistic": ["data=digits", "epochs=6", "rates=3", "tuning_seeds=1", "seeds=2"],
    "synthetic-stochastic": ["steps=40000", "seeds=20"],
}
SECONDS, HANGS = 120, "not ended in time:"
VICTIMS = ("all of it", "its first process", "a worker")


def of_saves(count: int, rng: np.random.Generator) -> Report:
    """Kill a process that saves most of the time; what it saved must be a step of a whole run."""
    faults = []
    half_way = ended = steps = 0
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "run.npz")
        expected = _every_step(path)
        for number in range(count):
            running = _start("-m", "tests.faults.training", str(path))
            assert running.stdout is not None
            running.stdout.readline()  # ready
            time.sleep(rng.uniform(0, 0.5))
            running.kill()
            running.communicate()
            left = list(path.parent.glob("*.tmp"))
            half_way += bool(left)
            for file in left:
                file.unlink()
            if not path.exists():
                continue
            try:
                saved = minigrad.load(path)
            except ValueError as error:
                faults.append(f"kill {number}: {error}")
                path.unlink()
                continue
            if digest(saved) != expected[saved["step"] - 1]:
                faults.append(f"kill {number}: step {saved['step']} is not that of a whole run")
            steps = max(steps, saved["step"])
            if saved["step"] == STEPS:
                ended += 1
                path.unlink()
    said = f"{count} kills, {half_way} of them in a save; {ended} trainings of {STEPS} steps ended"
    return said, faults


def _every_step(path: Path) -> list[str]:
    """What a training that nobody disturbs saves after each step."""
    training, digests = Training(), []
    with threadpool_limits(1):
        while training.step < STEPS:
            training.advance()
            training.save(path)
            digests.append(digest(minigrad.load(path)))
    path.unlink()
    return digests


def of_runs(count: int, rng: np.random.Generator) -> Report:
    """Kill runs and resume them, until they are whole: with the bits of those nobody disturbed."""
    faults: list[str] = []
    kinds = dict.fromkeys(VICTIMS, 0)
    made = whole = resumed = 0
    with tempfile.TemporaryDirectory() as place:
        names = list(RUNS)
        for name in names:
            _finish(_start(*_command(name, Path(place, "expected"))))
        while made < count:
            name = names[whole % len(names)]
            out = Path(place, "out")
            partial, complete = out / (name + PARTIAL), out / name
            again = partial.exists() and any(partial.glob("manifest.json"))
            what = ["resume", str(partial)] if again else None
            resumed += again
            running = _start(*(["-m", "experiments", *what] if what else _command(name, out)))
            if victim := _kill(running, VICTIMS[rng.integers(len(VICTIMS))], rng):
                made += 1
                kinds[victim] += 1
            printed = _finish(running)
            if complete.exists():
                whole += 1
                faults += _differences(Path(place, "expected", name), complete)
                shutil.rmtree(out)
            elif any(word in printed for word in ("Traceback", HANGS)) or (
                running.returncode >= 0 and "continue with" not in printed
            ):
                faults.append(f"kill {made}, of {victim or 'nothing'}: {printed}")
            elif partial.exists():
                faults += _damaged(partial)
    killed = ", ".join(f"{number} of {victim}" for victim, number in kinds.items())
    said = f"{made} kills ({killed}), {resumed} resumed; {whole} runs became whole"
    return said, faults


def _command(name: str, out: Path) -> list[str]:
    sets = [f"--set={pair}" for pair in RUNS[name]]
    return ["-m", "experiments", "run", name, *sets, "--out", str(out)]


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _finish(running: subprocess.Popen[str]) -> str:
    """What was printed, once nobody holds the pipe any more, which the workers do, too."""
    try:
        return running.communicate(timeout=SECONDS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        return f"{HANGS} {running.communicate()[0]}"


def _kill(running: subprocess.Popen[str], victim: str, rng: np.random.Generator) -> str:
    """At a random moment, often while it saves since it was asked to stop; what was killed."""
    with suppress(subprocess.TimeoutExpired):
        running.wait(rng.uniform(0.2, 5))
        return ""
    if rng.random() < 0.5:
        running.send_signal(signal.SIGTERM)
        time.sleep(rng.uniform(0, 0.2))
    workers = _workers(running.pid)
    try:
        if victim == "all of it":
            os.killpg(running.pid, signal.SIGKILL)
        elif victim == "a worker" and workers:
            os.kill(workers[rng.integers(len(workers))], signal.SIGKILL)
        else:
            victim = "its first process"
            running.kill()
    except ProcessLookupError:
        return ""
    return victim


def _workers(pid: int) -> list[int]:
    """The processes that a run has started to compute, where /proc tells."""
    found = []
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return found


def _damaged(partial: Path) -> list[str]:
    """What is not whole in the directory of a run that was killed."""
    faults = []
    for path in partial.glob("*.npz"):
        try:
            (read_arrays if path.name == "traces.npz" else minigrad.load)(path)
        except ValueError as error:
            faults.append(str(error))
    if any(partial.glob("manifest.json")):
        try:
            _ = RunDirectory(partial).manifest
        except ValueError as error:
            faults.append(str(error))
    return faults


def _differences(expected: Path, found: Path) -> list[str]:
    """Which files differ in their content."""
    one, two = (read_arrays(path / "traces.npz") for path in (expected, found))
    faults = [] if digest(one) == digest(two) else [f"{found.name}: other traces"]
    for file in ("figure.png", "figure.svg", "figure.csv"):
        if (expected / file).read_bytes() != (found / file).read_bytes():
            faults.append(f"{found.name}: another {file}")
    return faults
