"""Checkpoints come back bit for bit or not at all, and a failed save leaves the old one."""

import ast
import errno
import io
import json
import os
import pickle
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import CheckpointError, checkpoint, load, save, to_host, xp
from models import MLP

ROOT = Path(__file__).parents[2]
PARTS: dict[str, Any] = {
    "model": {
        "float32": np.array([[1.5, -0.0], [np.inf, np.nan]], "float32"),
        "float64": np.array([5e-324, 1 / 3]),
        "int64": np.arange(-3, 3),
        "uint8": np.arange(6, dtype="uint8").reshape(1, 2, 3),
        "bool": np.array([True, False]),
        "scalar": np.array(2.5, "float32"),
        "empty": np.zeros((0, 3), "float32"),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "strided": np.arange(6)[::-2],
    },
    "optimizer": {
        "rule": "AMSGrad",
        "t": 10**20,
        "state": {"m": np.ones(3), "nothing": {}, "deep": {"a": {"b": np.array(1)}}},
        "floats": {"pi": np.pi, "tiny": 5e-324, "inf": np.inf, "nan": np.nan, "zero": -0.0},
        "others": {"none": None, "true": True, "text": 'ä "quoted" / \n', "list": [1, 0.5, "x"]},
    },
    "path": np.ones(1),  # names that save, savez, zip files or the header might take for theirs
    "file": np.ones(2),
    "allow_pickle": np.zeros(1),
    "names": {
        "header.json": np.ones(1),
        "a/b": np.array([1]),
        "a": {"b": np.array([2])},
        "../up": np.array([3]),
        "": np.array([4]),
        "nul \0, cut here": np.array([5]),
        "\ud800 \\ é": np.array([6]),
    },
    "": "nameless",
}


def assert_same(got: Any, expected: Any) -> None:
    assert type(got) is type(expected)
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        for key, value in expected.items():
            assert_same(got[key], value)
    elif isinstance(expected, np.ndarray):
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        assert got.tobytes() == expected.tobytes()
    else:
        assert repr(got) == repr(expected)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.npz"


def test_nested_dictionaries_come_back_bit_for_bit(path: Path) -> None:
    save(path, **PARTS)
    assert_same(load(path), PARTS)
    assert os.listdir(path.parent) == ["run.npz"]


def test_a_path_may_be_text_of_any_ending_and_its_file_is_replaced(path: Path) -> None:
    name = str(path.with_suffix(".checkpoint"))
    save(name, part={"x": 1})
    save(name, part={"x": 2})
    assert load(name) == {"part": {"x": 2}}
    assert os.listdir(path.parent) == ["run.checkpoint"]


def test_what_has_a_state_dict_is_saved_as_that(path: Path) -> None:
    model, other = MLP([4, 3, 2], rng=0), MLP([4, 3, 2], rng=1)
    save(path, model=model, on_device={"x": xp.asarray(np.arange(3.0))})
    saved = load(path)
    assert_same(saved["on_device"], {"x": np.arange(3.0)})
    other.load_state_dict(saved["model"])
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(to_host(one.data), to_host(two.data), strict=True)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"x": {1: 2}}, "part/x has the key 1; the keys of a checkpoint are strings"),
        ({"x": np.array([{}])}, "part/x is an array of objects"),
        ({"x": [np.ones(1)]}, "a checkpoint holds arrays"),
        ({"x": [{1: 2}]}, r"part/x is \[{1: 2}\]; a checkpoint holds arrays"),
        ({"x": (1, 2)}, r"part/x is \(1, 2\); a checkpoint holds arrays"),
        ({"x": {1, 2}}, "a checkpoint holds arrays"),
        ({"x": MLP([2, 2]).output.bias}, r"use \.numpy\(\)"),
    ],
)
def test_what_would_not_come_back_is_not_saved(path: Path, part: Any, message: str) -> None:
    save(path, part={"x": "old"})
    with pytest.raises(TypeError, match=message):
        save(path, part=part)
    assert load(path) == {"part": {"x": "old"}}
    assert os.listdir(path.parent) == ["run.npz"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, function: str, error: BaseException
) -> None:
    save(path, part={"x": np.arange(3)})
    before = path.read_bytes()

    def fail(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patch, pytest.raises(type(error)):
        patch.setattr(os, function, fail)
        save(path, part={"x": np.zeros(3)})
    assert path.read_bytes() == before and os.listdir(path.parent) == ["run.npz"]


def test_the_file_is_on_the_disk_before_it_takes_its_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def noted(*a: Any, name: str = name, real: Any = real) -> None:
            [written] = path.parent.iterdir()
            calls.append((name, written.stat().st_size))
            real(*a)

        monkeypatch.setattr(os, name, noted)
    with checkpoint.atomic_write(path) as file:
        file.write(b"whole")
    assert calls == [("fsync", 5), ("replace", 5)] and list(path.parent.iterdir()) == [path]


def test_a_link_is_followed_and_stays(path: Path) -> None:
    real, link = path.with_name("epoch-1.npz"), path.with_name("latest.npz")
    link.symlink_to(real.name)
    save(link, part={"x": 1})  # to a file that there was not yet
    assert link.is_symlink() and load(real) == {"part": {"x": 1}}
    again = path.with_name("again.npz")
    again.symlink_to(link)
    save(again, part={"x": 2})
    assert again.is_symlink() and link.is_symlink() and load(real) == {"part": {"x": 2}}
    assert sorted(os.listdir(path.parent)) == ["again.npz", "epoch-1.npz", "latest.npz"]


def test_a_link_into_another_folder_is_replaced_there(path: Path) -> None:
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    path.symlink_to(elsewhere / "run.npz")
    save(path, part={"x": 1})
    assert os.listdir(elsewhere) == ["run.npz"] and os.listdir(path.parent) != []
    loop = path.parent / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match="loop"):
        save(loop, part={"x": 1})
    assert loop.is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o660])
def test_a_file_keeps_its_mode_and_a_new_one_gets_the_usual(path: Path, mode: int) -> None:
    usual = path.with_name("usual")
    usual.write_bytes(b"")
    save(path, part={"x": 1})
    assert path.stat().st_mode == usual.stat().st_mode
    path.chmod(mode)
    save(path, part={"x": 2})
    assert path.stat().st_mode & 0o777 == mode and load(path) == {"part": {"x": 2}}


def test_a_file_that_may_not_be_written_to_is_not_replaced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(path, part={"x": 1})
    path.chmod(0o400)
    access = os.access
    monkeypatch.setattr(  # of root, no mode asks anything
        os, "access", lambda p, how: access(p, how) and not (how == os.W_OK and Path(p) == path)
    )
    with pytest.raises(PermissionError, match=r"change its mode, or name another: .*run\.npz"):
        save(path, part={"x": 2})
    assert load(path) == {"part": {"x": 1}} and os.listdir(path.parent) == ["run.npz"]


def test_what_is_no_file_is_not_replaced(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"run\.npz is a directory or a device; give the name"):
        save(path, part={"x": 1})
    assert path.is_fifo()
    for name in (path.parent, "/dev/null", "/", ""):
        with pytest.raises(ValueError, match="is a directory or a device"):
            save(name, part={"x": 1})
    assert not Path("/dev/null").is_file()


def test_a_folder_that_is_missing_is_named(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such directory; make it first: '.*/nowhere'"):
        save(path.parent / "nowhere" / "run.npz", part={"x": 1})


@pytest.mark.parametrize("name", ["x" * 251 + ".npz", "\u00e9" * 125 + ".npz"])
def test_a_name_may_be_as_long_as_names_may_be(path: Path, name: str) -> None:
    save(path.with_name(name), part={"x": 1})
    assert os.listdir(path.parent) == [name]


def test_an_error_about_damage_is_one_line(path: Path) -> None:
    path.write_bytes(zipped(**{"x.npy": npy(np.ones(3)).replace(b" " * 20, b"\n" * 20)}))
    long = b"\x93NUMPY\x02\x00" + (200_000).to_bytes(4, "little") + b"{" + b" " * 199_999
    for content in (path.read_bytes(), zipped(**{"header.json.npy": long}), b"", b"PK\3\4"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError) as raised:
            load(path)
        assert len(str(raised.value).splitlines()) == 1 and str(raised.value).endswith("anew.")


def test_saves_to_one_path_do_not_meet(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, half_way, other = os.replace, threading.Event(), threading.Event()

    def meanwhile(*names: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            half_way.set()
            other.wait()
        replace(*names)

    monkeypatch.setattr(os, "replace", meanwhile)
    thread = threading.Thread(
        target=lambda: (half_way.wait(), save(path, part={"x": "theirs"}), other.set())
    )
    thread.start()
    save(path, part={"x": "mine"})
    thread.join()
    assert load(path) == {"part": {"x": "mine"}} and os.listdir(path.parent) == ["run.npz"]


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(value: Any) -> bytes:
    return npy(np.frombuffer(json.dumps(value).encode(), np.uint8))


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("executed"),)


TRAP = np.array([Trap()], dtype=object)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        b"not a checkpoint",
        b"\x93NUMPY",
        npy(np.ones(3)),
        npy(TRAP),
        pickle.dumps({"part": 1}),
        pickle.dumps(Trap()),
        zipped(),
        zipped(**{"x.npy": npy(np.ones(3))}),
        zipped(**{"header.json": b"{}"}),
        zipped(**{"header.json.npy": header({"part": ["array", "x"]})}),
        zipped(**{"header.json.npy": header({"part": ["array", "x"]}), "x.npy": npy(TRAP)}),
        zipped(**{"header.json.npy": npy(TRAP)}),
        zipped(**{"header.json.npy": header([1, 2])}),
        zipped(**{"header.json.npy": header({"part": 1})}),
        zipped(**{"header.json.npy": npy(np.arange(9))}),
    ],
)
def test_what_is_no_checkpoint_is_refused_by_name_and_never_executed(
    content: bytes, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"run\.npz is not .*; use another"):
        load(path)
    assert os.listdir() == ["run.npz"]


def test_the_trap_works(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    pickle.loads(pickle.dumps(Trap()))
    assert os.listdir() == ["executed"]


SMALL = {"part": {"x": np.arange(5.0), "y": np.float32([[1]]), "rule": "Adam"}}


def test_a_truncated_file_is_refused_at_every_length(path: Path) -> None:
    save(path, **SMALL)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"run\.npz is not whole"):
            load(path)


@pytest.mark.filterwarnings("ignore")  # what numpy and zipfile remark about damage
@pytest.mark.parametrize("flip", [0x01, 0xFF])
def test_flipped_bytes_are_noticed_or_do_not_matter(path: Path, flip: int) -> None:
    save(path, **SMALL)
    whole = path.read_bytes()
    refused = 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
        try:
            assert_same(load(path), SMALL)
        except CheckpointError:
            refused += 1
    assert refused > len(whole) / 2


def test_a_missing_file_is_a_missing_file(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(path)


def test_no_module_imports_pickle() -> None:
    assert checkpoint.__file__ == str(ROOT / "minigrad" / "checkpoint.py")
    names = set()
    for package in ("minigrad", "optim", "models", "experiments"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    names |= {name.name.split(".")[0] for name in node.names}
                elif isinstance(node, ast.ImportFrom):
                    names.add((node.module or "").split(".")[0])
    assert "numpy" in names
    assert not names & {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
