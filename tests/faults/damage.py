"""Files with damage: loading one gives an error of one sentence, or what it held before."""

import gzip
import hashlib
import signal
import struct
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import minigrad
from experiments.problems import mnist
from experiments.record.directory import MANIFEST, RunDirectory
from experiments.record.environment import environment
from experiments.registry import EXPERIMENTS
from minigrad.checkpoint import save
from tests.faults.part import Report
from tests.faults.training import Training, digest

SECONDS = 20  # that a load may take, of files that take milliseconds


class Sample(NamedTuple):
    """A file, and how it is loaded."""

    name: str
    path: Path
    load: Callable[[], Any]


def of_files(count: int, rng: np.random.Generator) -> Report:
    """Damage files of each kind in turn, once or several times over."""
    faults: list[str] = []
    refused, same = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as place, _small_mnist(Path(place)):
        samples = list(_samples(Path(place), rng))
        for number in range(count):
            sample = samples[number % len(samples)]
            whole = sample.path.read_bytes()
            expected = digest(sample.load())
            damaged, said = whole, []
            for _ in range(rng.choice([1, 1, 1, 2, 5])):
                how = DAMAGES[rng.integers(len(DAMAGES))]
                damaged = how(damaged, rng)
                said.append(how.__name__)
            sample.path.write_bytes(damaged)
            fault = ""
            try:
                with warnings.catch_warnings(), _limit(SECONDS):
                    warnings.simplefilter("ignore")  # what zipfile remarks about damage
                    got = digest(sample.load())
            except ValueError as error:
                refused[sample.name] += 1
                text = str(error)
                if type(error).__module__.partition(".")[0] not in ("minigrad", "experiments"):
                    fault = f"{type(error).__name__}: {text}"
                elif not text.endswith(".") or len(text.splitlines()) != 1:
                    fault = f"no sentence: {text}"
            except Exception as error:
                fault = f"{type(error).__name__}: {error}"
            else:
                same[sample.name] += 1
                if got != expected:
                    fault = "another content, without a word"
            if fault:
                faults.append(f"{number}, {sample.name}, {' '.join(said)}: {fault}")
            sample.path.write_bytes(whole)
    counts = (
        f"{name} {refused[name]} refused, {same[name]} whole"
        for name in dict.fromkeys(s.name for s in samples)
    )
    return f"{count} damaged files: {'; '.join(counts)}", faults


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    """Raises TimeoutError inside once that time has passed."""

    def late(*_: object) -> None:
        raise TimeoutError(f"not loaded after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _small_mnist(place: Path) -> Iterator[None]:
    """Inside, small files are MNIST's; two of the four are gzipped."""
    real, rng = dict(mnist.OF_MNIST), np.random.default_rng(0)
    for name in mnist.OF_MNIST:
        shape = (60, 5, 5) if "images" in name else (60,)
        values = rng.integers(0, 10, shape, np.uint8)
        content = struct.pack(f">{1 + len(shape)}I", 0x800 + len(shape), *shape) + values.tobytes()
        mnist.OF_MNIST[name] = hashlib.sha256(content).hexdigest()
        packed = name.startswith("train")
        (place / f"{name}{'.gz' * packed}").write_bytes(
            gzip.compress(content) if packed else content
        )
    try:
        yield
    finally:
        mnist.OF_MNIST.update(real)


def _samples(place: Path, rng: np.random.Generator) -> Iterator[Sample]:
    training = Training()
    training.advance()
    checkpoint = place / "checkpoint.npz"
    small = {"m": rng.normal(size=(5, 7)), "t": 3, "rule": "Adam", "inner": {"v": np.ones(3)}}
    save(checkpoint, opt=small, empty={}, step=1)
    yield Sample("checkpoint", checkpoint, lambda: minigrad.load(checkpoint))
    large = place / "large.npz"
    training.save(large)
    yield Sample("checkpoint", large, lambda: minigrad.load(large))

    def small() -> Any:
        return dict(vars(mnist.load_mnist(place)))

    for name in mnist.OF_MNIST:
        packed = place / f"{name}.gz"
        yield Sample("images", packed if packed.exists() else place / name, small)

    experiment = EXPERIMENTS["synthetic-online"]
    directory = RunDirectory.create(place, experiment.name, experiment.configured({"steps": 300}))
    directory.write_manifest(**environment("numpy"))

    def manifest() -> Any:
        found = RunDirectory(directory.path).manifest
        return {**found, "settings": vars(experiment.configured(found["settings"]))}

    yield Sample("manifest", directory.path / MANIFEST, manifest)
    yield Sample("manifest", directory.path / MANIFEST, manifest)
    save(directory.traces_path("Adam"), traces={"t": np.arange(50), "x": rng.normal(size=(50, 2))})
    directory.gather(["Adam"])
    traces = directory.path / "traces.npz"
    yield Sample("traces", traces, lambda: RunDirectory(directory.path).traces())


Bytes = bytes
Rng = np.random.Generator


def bit(content: Bytes, rng: Rng) -> Bytes:
    if not content:
        return content
    at = _place(content, rng)
    return content[:at] + bytes([content[at] ^ 1 << rng.integers(8)]) + content[at + 1 :]


def byte(content: Bytes, rng: Rng) -> Bytes:
    at = _place(content, rng)
    return content[:at] + rng.bytes(1) + content[at + 1 :]


def number(content: Bytes, rng: Rng) -> Bytes:
    """Four or eight bytes that may be a size become an extreme one."""
    at, width = _place(content, rng), int(rng.choice([4, 8]))
    value = [b"\0", b"\xff", b"\x7f"][rng.integers(3)] * width
    return content[:at] + value + content[at + width :]


def digit(content: Bytes, rng: Rng) -> Bytes:
    """A digit in a text becomes another."""
    places = [i for i, c in enumerate(content[:100_000]) if 48 <= c <= 57]
    if not places:
        return content
    at = places[rng.integers(len(places))]
    return content[:at] + b"%d" % rng.integers(10) + content[at + 1 :]


def truncate(content: Bytes, rng: Rng) -> Bytes:
    return content[: _place(content, rng)]


def extend(content: Bytes, rng: Rng) -> Bytes:
    return content + rng.bytes(int(rng.integers(1, 100)))


def insert(content: Bytes, rng: Rng) -> Bytes:
    at = _place(content, rng)
    return content[:at] + rng.bytes(int(rng.integers(1, 30))) + content[at:]


def remove(content: Bytes, rng: Rng) -> Bytes:
    first, second = sorted((_place(content, rng), _place(content, rng)))
    return content[:first] + content[second:]


def zero(content: Bytes, rng: Rng) -> Bytes:
    """A block that never reached the disk."""
    first, second = sorted((_place(content, rng), _place(content, rng)))
    return content[:first] + bytes(second - first) + content[second:]


def exchange(content: Bytes, rng: Rng) -> Bytes:
    """Two blocks in each other's place."""
    a, b, c = sorted(_place(content, rng) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def repeat(content: Bytes, rng: Rng) -> Bytes:
    first, second = sorted((_place(content, rng), _place(content, rng)))
    return content[:second] + content[first:]


DAMAGES = (bit, byte, number, digit, truncate, extend, insert, remove, zero, exchange, repeat)


def _place(content: Bytes, rng: Rng) -> int:
    """Any place in a file, as often among its first or last bytes, which say what it is."""
    size = len(content)
    if not size:
        return 0
    near = int(rng.integers(min(size, 300)))
    return [int(rng.integers(size)), near, size - 1 - near][rng.integers(3)]
