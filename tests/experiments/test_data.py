import dataclasses
import gzip
import hashlib
import os
import re
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import experiments
from experiments.paper import classification
from experiments.problems import mnist
from experiments.problems.images import DataError, Dataset, load, load_digits
from experiments.problems.mnist import load_mnist
from experiments.registry import EXPERIMENTS

ROOT = Path(__file__).parents[2]
TRAIN_X, TRAIN_Y, TEST_X, TEST_Y = mnist.FILES
Files = dict[str, bytes]
Damage = Callable[[bytes], bytes]

SMALL = {
    TRAIN_X: np.arange(20 * 12, dtype=np.uint8).reshape(20, 4, 3)[::-1] + np.uint8(16),
    TRAIN_Y: (np.arange(20) % 10).astype(np.uint8),
    TEST_X: np.arange(10 * 12, dtype=np.uint8).reshape(10, 4, 3),
    TEST_Y: np.arange(10, dtype=np.uint8)[::-1],
}


def idx(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def flip(content: bytes, at: int) -> bytes:
    damaged = bytearray(content)
    damaged[at] ^= 1
    return bytes(damaged)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Files:
    """The IDX files of SMALL, which the loader then takes for MNIST's."""
    contents = {name: idx(array) for name, array in SMALL.items()}
    for name, content in contents.items():
        monkeypatch.setitem(mnist.OF_MNIST, name, hashlib.sha256(content).hexdigest())
    monkeypatch.delenv("MINIGRAD_DATA", raising=False)
    return contents


def write(directory: Path, files: Files) -> None:
    for name, content in files.items():
        (directory / name).write_bytes(content)


def assert_small(got: Dataset) -> None:
    assert (got.name, got.note) == ("mnist", "")
    for x, name in ((got.train_x, TRAIN_X), (got.test_x, TEST_X)):
        assert x.dtype == np.float32 and x.flags.c_contiguous
        np.testing.assert_array_equal(x, SMALL[name].reshape(-1, 12) / np.float32(255))
    for y, name in ((got.train_y, TRAIN_Y), (got.test_y, TEST_Y)):
        assert y.dtype == np.int64
        np.testing.assert_array_equal(y, SMALL[name])


X, Y = np.zeros((6, 4), np.float32), np.array([0, 1, 2] * 2)


def dataset(**changed: Any) -> Dataset:
    return Dataset("digits", **{"train_x": X, "train_y": Y, "test_x": X, "test_y": Y} | changed)


def put(array: NDArray[Any], at: int, value: float) -> NDArray[Any]:
    array = array.copy()
    array[at] = value
    return array


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_x": X[:0], "train_y": Y[:0]}, r"train_x is float32 of shape \(0, 4\): .*n > 0"),
        ({"test_x": X[:0], "test_y": Y[:0]}, r"test_x is float32 of shape \(0, 4\): .*n > 0"),
        (
            {"train_x": X.reshape(6, 2, 2)},
            r"train_x is .*\(6, 2, 2\): .*\(n, d\) or \(n, height, w",
        ),
        ({"test_x": X[:, :3]}, r"test_x is .*\(6, 3\): .*one shape for train and test"),
        ({"train_x": X.astype(float)}, "train_x is float64 .*pass float32 or uint8"),
        ({"train_y": Y[:5]}, r"train_y is int64 of shape \(5,\) for 6 images: .*one int64 label"),
        ({"test_x": X[:2]}, r"test_y is int64 of shape \(6,\) for 2 images: .*one int64 label"),
        ({"train_y": Y.astype(float)}, "train_y is float64 .*pass one int64 label"),
        ({"test_y": np.eye(6, dtype=int)}, r"test_y is int64 of shape \(6, 6\)"),
        ({"train_x": put(X, 3, np.nan)}, r"train_x\[3\] is not finite: remove"),
        ({"test_x": put(X, 5, -np.inf)}, r"test_x\[5\] is not finite: remove"),
        ({"train_y": put(Y, 2, -1)}, r"train_y\[2\] is -1: pass labels from 0 to .* 2\."),
        ({"test_y": put(Y, 4, 3)}, r"test_y\[4\] is 3: pass labels from 0 to .* 2\."),
    ],
)
def test_unfit_data_are_refused(changed: dict[str, NDArray[Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        dataset(**changed)


def test_a_dataset_knows_its_classes_and_is_frozen_and_hashable() -> None:
    assert dataset().n_classes == 3
    assert len({dataset(), dataset()}) == 2  # compared by identity, as arrays have no truth value
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset().note = "other"


def test_digits_shapes_types_and_range() -> None:
    digits = load_digits()
    assert (digits.name, digits.note, digits.n_classes) == ("digits", "", 10)
    assert digits.train_x.shape == (1497, 64) and digits.test_x.shape == (300, 64)
    assert digits.train_y.shape == (1497,) and digits.test_y.shape == (300,)
    for x, y in ((digits.train_x, digits.train_y), (digits.test_x, digits.test_y)):
        assert x.dtype == np.float32 and x.flags.c_contiguous and y.dtype == np.int64
        assert x.min() == 0 and x.max() == 1


def test_the_split_of_the_digits_is_disjoint_and_fixed() -> None:
    digits = load_digits()
    train, test = ({row.tobytes() for row in x} for x in (digits.train_x, digits.test_x))
    assert len(train) == 1497 and len(test) == 300 and not train & test
    assert np.bincount(digits.train_y).tolist() == [
        145,
        149,
        135,
        161,
        144,
        156,
        150,
        156,
        152,
        149,
    ]
    assert np.bincount(digits.test_y).tolist() == [33, 33, 42, 22, 37, 26, 31, 23, 22, 31]
    pixels = np.concatenate([digits.train_x, digits.test_x]) * 16
    digest = hashlib.sha256(pixels.astype(np.uint8).tobytes()).hexdigest()
    assert digest == "41f1cde3d1230a38e792f9a5b7538d701dc4c6b5f65fa9e2628873d25280409c"


def test_the_digits_are_those_of_scikit_learn() -> None:
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    digits = load_digits()
    x = np.concatenate([digits.train_x, digits.test_x]) * 16
    y = np.concatenate([digits.train_y, digits.test_y])

    def in_order(x: NDArray[Any], y: NDArray[Any]) -> list[list[float]]:
        return sorted(np.column_stack([x, y]).tolist())

    assert in_order(x, y) == in_order(theirs.data, theirs.target)


def test_the_real_mnist() -> None:
    directory = Path(os.environ.get("MINIGRAD_DATA") or ROOT.parent / "shared" / "data" / "mnist")
    if not directory.is_dir():
        pytest.skip("no MNIST here: set MINIGRAD_DATA to the directory that holds it")
    mnist = load_mnist(directory)
    assert mnist.train_x.shape == (60000, 784) and mnist.test_x.shape == (10000, 784)
    assert mnist.train_y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test_y[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(mnist.train_y)[[0, 1, 5]].tolist() == [5923, 6742, 5421]
    assert mnist.n_classes == 10 and mnist.train_x.max() == 1
    assert mnist.train_x.mean(dtype=float) == pytest.approx(0.1306604, abs=1e-6)


def test_the_real_fashion_mnist() -> None:
    """Debian's package dataset-fashion-mnist has it; mean and deviation are those of PyTorch's
    transforms."""
    directory = Path(os.environ.get("FASHION_MNIST") or "/usr/share/datasets/fashion-mnist")
    if not directory.is_dir():
        pytest.skip("no Fashion-MNIST here: set FASHION_MNIST to the directory that holds it")
    fashion = load(str(directory))
    assert (fashion.name, fashion.note) == ("fashion-mnist", "")
    assert fashion.train_x.shape == (60000, 784) and fashion.test_x.shape == (10000, 784)
    assert fashion.train_y[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    assert fashion.test_y[:5].tolist() == [9, 2, 1, 1, 6]
    for y in (fashion.train_y, fashion.test_y):
        assert (np.bincount(y) == len(y) / 10).all()
    assert fashion.train_x.mean(dtype=float) == pytest.approx(0.2860, abs=5e-5)
    assert fashion.train_x.std(dtype=float) == pytest.approx(0.3530, abs=5e-5)


@pytest.fixture
def fashion(files: Files, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Others of the same names, which the loader then takes for Fashion-MNIST's."""
    x = np.random.default_rng(0).integers(0, 256, (400, 4, 3), np.uint8)
    y = (np.arange(400) % 10).astype(np.uint8)
    contents = dict(zip(SMALL, map(idx, (x, y, x[:50], y[:50])), strict=True))
    for name, content in contents.items():
        monkeypatch.setitem(mnist.OF_FASHION, name, hashlib.sha256(content).hexdigest())
    return contents


def test_fashion_mnist_is_known_by_what_is_in_its_files(
    files: Files, fashion: Files, tmp_path: Path
) -> None:
    write(tmp_path, {f"{name}.gz": gzip.compress(content) for name, content in fashion.items()})
    got = load(str(tmp_path))
    assert (got.name, got.note, got.source) == ("fashion-mnist", "", str(tmp_path))
    assert got.train_x.shape == (400, 12) and got.test_y.tolist() == [*range(10)] * 5
    settings = classification.prepare(classification.Classification(data=str(tmp_path)))
    assert (settings.images, settings.epochs) == ("Fashion-MNIST", 10)
    assert settings.data == str(tmp_path)
    assert load(str(tmp_path), "cifar10").note.startswith("The 8x8 digits stand in for CIFAR-10")


def test_a_run_whose_data_are_others_since_it_began_stops(
    files: Files, fashion: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, files)
    mlp = EXPERIMENTS["mlp"]
    began = mlp.prepare(mlp.configured({"data": str(tmp_path)}, quick=True))
    assert began.data_sha256 == hashlib.sha256(hashed(tmp_path)).hexdigest()
    write(tmp_path, fashion)
    monkeypatch.setattr(classification, "_loaded", {})  # as in another process
    with pytest.raises(DataError, match="has other images or labels now than when the run began"):
        mlp.trials(began)["SGD"]()
    assert mlp.prepare(mlp.configured({"data": str(tmp_path)})).data_sha256 != began.data_sha256


def hashed(directory: Path) -> bytes:
    """What the SHA-256 of the data in a directory is said to be of."""
    data, all_of_it = load(str(directory)), b""
    for one in (data.train_x, data.train_y, data.test_x, data.test_y):
        all_of_it += f"{one.dtype} {one.shape}\n".encode() + one.tobytes()
    return all_of_it


def test_files_of_both_are_an_error(files: Files, fashion: Files, tmp_path: Path) -> None:
    write(tmp_path, files | {TEST_Y: fashion[TEST_Y]})
    with pytest.raises(DataError, match=f"{TEST_Y} .* where MNIST's is .{{64}}: pass"):
        load(str(tmp_path))
    write(tmp_path, fashion | {TEST_X: files[TEST_X]})
    with pytest.raises(DataError, match=f"{TEST_X} .* where Fashion-MNIST's is .{{64}}: pass"):
        load(str(tmp_path))


def test_what_is_said_of_fashion_mnist_names_it(fashion: Files, tmp_path: Path) -> None:
    write(tmp_path, fashion)
    result = experiments.run("tournament", quick=True, problems="softmax", data=str(tmp_path))
    said = [result.verdict, result.caption, *(one.text for one in result.findings)]
    assert "The images are those of Fashion-MNIST." in result.caption
    assert not any(re.search("(?<!Fashion-)MNIST|digits", text) for text in said)


@pytest.mark.parametrize("gzipped", [False, True])
def test_a_directory_is_read(gzipped: bool, files: Files, tmp_path: Path) -> None:
    if gzipped:
        files = {f"{name}.gz": gzip.compress(content) for name, content in files.items()}
    write(tmp_path, files)
    assert_small(load_mnist(tmp_path))
    assert_small(load(str(tmp_path)))


@pytest.mark.parametrize("source", [".", "nowhere"])
def test_a_missing_file_or_directory_is_an_error(
    source: str, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    del files[TEST_Y]
    write(tmp_path, files)
    name = TEST_Y if source == "." else TRAIN_X
    with pytest.raises(DataError) as raised:
        load(source)
    said = str(raised.value)
    assert said.startswith(f"{source} has no file {name} or {name}.gz or ")
    assert said.endswith(
        ": pass the directory of the four files of MNIST or Fashion-MNIST, or 'digits'."
    )


BROKEN = r"its gzip stream is broken \(.+\)"


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (TRAIN_X, lambda c: gzip.compress(c)[:-20], BROKEN),
        (TRAIN_X, lambda c: gzip.compress(c)[:5], BROKEN),
        (TRAIN_X, lambda c: flip(gzip.compress(c), -8), BROKEN),  # the checksum
        (TRAIN_X, lambda c: flip(gzip.compress(c), 10), BROKEN),  # the deflated data
        (TRAIN_X, lambda c: c[:-1], r"it has 255 bytes where .* \[20, 4, 3\] need 256"),
        (TRAIN_X, lambda c: c + b"\0", r"it has 257 bytes where .* \[20, 4, 3\] need 256"),
        (TRAIN_X, lambda c: c[:10], r"it has 10 bytes where .* \[20, 0, 0\] need 16"),
        (TRAIN_X, lambda c: b"", "its magic number is 0x00000000 where IDX has 0x00000803"),
        (TEST_Y, lambda c: b"<html>", "its magic number is 0x3c68746d where IDX has 0x00000801"),
        (TEST_X, lambda c: flip(c, 2), "its magic number is 0x00000903 where IDX has 0x00000803"),
        (TRAIN_Y, lambda c: flip(c, -1), "its SHA-256 is [0-9a-f]{64} where MNIST's is .{64}"),
        (TRAIN_X, lambda c: flip(c, -1), "its SHA-256 is .{64} where MNIST's is .{64} and Fash"),
        (TEST_X, lambda c: gzip.compress(flip(c, 16)), "its SHA-256 is"),
    ],
)
def test_a_damaged_file_is_an_error(
    name: str, damage: Damage, message: str, files: Files, tmp_path: Path
) -> None:
    write(tmp_path, files | {name: damage(files[name])})
    with pytest.raises(DataError, match=f"{name} cannot be used, since {message}.*: pass the dir"):
        load(str(tmp_path))


def test_a_file_that_cannot_be_read_is_an_error(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, files)
    read = Path.read_bytes

    def fails(path: Path) -> bytes:
        if path.name == TEST_X:
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", fails)
    with pytest.raises(DataError, match=f"{TEST_X} cannot be used, since .*: pass the dir"):
        load(str(tmp_path))


@pytest.mark.parametrize("gzipped", [False, True])
def test_names_with_dots_are_found_beside_folders_of_the_usual_names(
    gzipped: bool, files: Files, tmp_path: Path
) -> None:
    for name, content in files.items():
        dotted = name.replace("-idx", ".idx")
        write(tmp_path, {f"{dotted}.gz": gzip.compress(content)} if gzipped else {dotted: content})
        (tmp_path / name).mkdir()
    assert_small(load(str(tmp_path)))
    del files[TEST_Y]
    (tmp_path / f"{TEST_Y.replace('-idx', '.idx')}{'.gz' * gzipped}").unlink()
    with pytest.raises(
        DataError, match=f"has no file {TEST_Y} or .* or t10k-labels.idx1-ubyte.gz: "
    ):
        load(str(tmp_path))


def test_labels_for_fewer_images_are_an_error(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files[TRAIN_Y] = idx(SMALL[TRAIN_Y][:-1])
    monkeypatch.setitem(mnist.OF_MNIST, TRAIN_Y, hashlib.sha256(files[TRAIN_Y]).hexdigest())
    write(tmp_path, files)
    with pytest.raises(DataError, match=r"train_y is int64 of shape \(19,\) for 20 images"):
        load(str(tmp_path))


def test_the_environment_means_what_the_option_means(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, files)
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    assert_small(load(None))
    assert load("digits").name == "digits"
    (tmp_path / TRAIN_X).unlink()
    with pytest.raises(DataError, match="has no file"):
        load(None)
    monkeypatch.setenv("MINIGRAD_DATA", "digits")
    assert (load(None).name, load(None).note) == ("digits", "")


def test_what_was_loaded_can_be_loaded_again(
    files: Files, mirrors: "Mirrors", cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(None).source == str(cache)
    assert load("digits").source == "digits"
    write(tmp_path, files)
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setenv("MINIGRAD_DATA", tmp_path.name)
    monkeypatch.setattr(classification, "load", load)
    settings = classification.prepare(classification.Classification())
    assert settings.data == load(None).source == str(tmp_path)
    assert settings.images == "MNIST"


def test_importing_does_not_import_pooch() -> None:
    code = "import sys, experiments.data; sys.exit('pooch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


class Mirrors:
    """Mirrors "a" and "b" on this machine, which send what `served` holds for "a/NAME.gz"."""

    def __init__(self, files: Files) -> None:
        self.served: Files = {}
        for name, content in files.items():
            self.served[f"a/{name}.gz"] = self.served[f"b/{name}.gz"] = gzip.compress(content)
        self.asked: list[str] = []
        self.break_off = False
        mirrors = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path[1:]
                mirrors.asked.append(path)
                if path not in mirrors.served:
                    return self.send_error(404)
                content = mirrors.served[path]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content) + mirrors.break_off))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / project)
    return tmp_path / "minigrad" / "mnist"


@pytest.fixture
def mirrors(files: Files, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrors]:
    mirrors = Mirrors(files)
    for name, places in {"mnist": "ab", "fashion-mnist": "f"}.items():
        served = [f"http://{mirrors.host}/{place}/" for place in places]
        monkeypatch.setitem(mnist.MIRRORS, name, served)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield mirrors
    mirrors.close()


ALL = {f"{name}.gz" for name in SMALL}


def names(cache: Path) -> set[str]:
    return {str(path.relative_to(cache)) for path in cache.rglob("*")}


def test_mnist_comes_from_the_first_mirror_and_then_from_the_cache(
    mirrors: Mirrors, cache: Path
) -> None:
    assert_small(load(None))
    assert mirrors.asked == [f"a/{name}.gz" for name in SMALL]
    assert names(cache) == ALL
    mirrors.close()
    assert_small(load(None))


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: gzip.compress(c)[:-20],
        lambda c: gzip.compress(c[:-1]),
        lambda c: gzip.compress(flip(c, -1)),
        lambda c: b"<html>Please log in</html>",
    ],
)
def test_the_second_mirror_is_asked_for_what_the_first_sends_damaged(
    damage: Damage, files: Files, mirrors: Mirrors, cache: Path
) -> None:
    mirrors.served[f"a/{TEST_X}.gz"] = damage(files[TEST_X])
    assert_small(load(None))
    assert [path for path in mirrors.asked if path.startswith("b")] == [f"b/{TEST_X}.gz"]
    assert names(cache) == ALL
    mirrors.close()
    assert_small(load(None))


def test_the_second_mirror_is_asked_for_what_the_first_lacks(mirrors: Mirrors) -> None:
    del mirrors.served[f"a/{TRAIN_Y}.gz"]
    assert_small(load(None))


def test_without_a_whole_copy_the_digits_come_with_a_note(
    files: Files, mirrors: Mirrors, cache: Path
) -> None:
    mirrors.served[f"a/{TEST_X}.gz"] = gzip.compress(flip(files[TEST_X], -1))
    del mirrors.served[f"b/{TEST_X}.gz"]
    got = load(None)
    assert got.name == "digits" and got.train_x.shape == (1497, 64)
    start = f"The 8x8 digits stand in for MNIST: no mirror gave {TEST_X}.gz"
    assert got.note.startswith(f"{start} ({mirrors.host}: its SHA-256 is ")
    assert f"; {mirrors.host}: HTTP status 404), so pass a directory" in got.note
    assert names(cache) == {f"{TRAIN_X}.gz", f"{TRAIN_Y}.gz"}
    with pytest.raises(DataError, match=f"no mirror gave {TEST_X}"):
        load_mnist()


def test_fashion_mnist_is_fetched_by_its_name(
    fashion: Files, mirrors: Mirrors, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mirrors.served |= {f"f/{name}.gz": gzip.compress(c) for name, c in fashion.items()}
    got = load("fashion-mnist")
    assert (got.name, len(got.train_x)) == ("fashion-mnist", 400)
    assert mirrors.asked == [f"f/{name}.gz" for name in SMALL]
    assert got.source == str(cache.with_name("fashion-mnist"))
    assert load(got.source).name == "fashion-mnist" and names(cache) == set()
    mirrors.close()
    assert load("fashion-mnist").name == "fashion-mnist"  # from the cache
    (cache.with_name("fashion-mnist") / f"{TEST_Y}.gz").unlink()
    with pytest.raises(DataError, match=f"no mirror gave {TEST_Y}"):
        load("fashion-mnist")  # what was named has no stand-in
    Path("fashion-mnist").mkdir()
    write(Path("fashion-mnist"), fashion)
    assert load("fashion-mnist").source == str(tmp_path / "fashion-mnist")


def test_a_transfer_that_breaks_off_leaves_nothing_behind(mirrors: Mirrors, cache: Path) -> None:
    mirrors.break_off = True
    got = load(None)
    assert got.name == "digits" and got.note.count("ChunkedEncodingError") == 2
    assert names(cache) == set()


def test_without_a_network_the_digits_come_with_a_note(mirrors: Mirrors, cache: Path) -> None:
    mirrors.close()
    got = load(None)
    assert got.name == "digits" and got.note.count("ConnectionError") == 2
    assert names(cache) == set()


def test_a_cache_that_cannot_be_used_is_named_in_the_note(mirrors: Mirrors, cache: Path) -> None:
    cache.parent.write_bytes(b"a file where the cache should be")
    got = load(None)
    assert got.name == "digits" and str(cache) in got.note


@pytest.mark.parametrize("damage", [lambda c: c[:-20], lambda c: flip(c, -8), lambda c: b""])
def test_a_damaged_file_in_the_cache_is_replaced_or_removed(
    damage: Damage, mirrors: Mirrors, cache: Path
) -> None:
    load_mnist()
    path = cache / f"{TRAIN_Y}.gz"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    mirrors.asked.clear()
    assert_small(load(None))
    assert mirrors.asked == [f"a/{TRAIN_Y}.gz"] and path.read_bytes() == whole
    path.write_bytes(damage(whole))
    mirrors.close()
    assert load(None).name == "digits"
    assert names(cache) == ALL - {path.name}


def test_a_server_that_decompresses_on_the_way_is_understood(
    files: Files, mirrors: Mirrors
) -> None:
    mirrors.served |= {f"a/{name}.gz": content for name, content in files.items()}
    assert_small(load(None))
    assert not any(path.startswith("b") for path in mirrors.asked)
