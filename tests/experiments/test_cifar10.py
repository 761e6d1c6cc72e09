"""CIFAR-10's binary files, small ones here, and the batches that are made of them."""

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.problems import cifar10, images, mnist
from experiments.problems.batches import Batches, Crops
from experiments.problems.cifar10 import ARCHIVE, FILES, FOLDER, load_cifar10
from experiments.problems.dataset import DataError
from minigrad import to_host, xp

RECORDS = 4
Files = dict[str, bytes]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "RECORDS", RECORDS)
    monkeypatch.delenv("MINIGRAD_DATA", raising=False)


@pytest.fixture
def files() -> Files:
    """Records of random images, whose labels are 0, 1, 2, ... over all files."""
    rng = np.random.default_rng(0)
    found = {}
    for i, name in enumerate(FILES):
        records = rng.integers(256, size=(RECORDS, 3073), dtype=np.uint8)
        records[:, 0] = (np.arange(RECORDS) + RECORDS * i) % 10
        found[name] = records.tobytes()
    return found


def write(directory: Path, files: Files) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return directory


def packed(files: Files, link: str = "") -> bytes:
    """The archive, with another file first, as in the official one; one of its files may be a link
    to the next."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in {"readme.html": b"<html>", **files}.items():
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(content)
            if name == link:
                member.type, member.size, member.linkname = tarfile.SYMTYPE, 0, FILES[1]
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def assert_read(directory: Path | None, files: Files) -> None:
    got = load_cifar10(directory)
    assert got.name == "cifar10" and got.n_classes == 10 and got.note == ""
    assert got.train_x.shape == (5 * RECORDS, 32, 32, 3) and got.test_x.shape == (
        RECORDS,
        32,
        32,
        3,
    )
    assert got.train_y.tolist() == [i % 10 for i in range(5 * RECORDS)]
    records = np.frombuffer(b"".join(files[name] for name in FILES), np.uint8).reshape(-1, 3073)
    pixels = np.concatenate([got.train_x, got.test_x])
    assert pixels.dtype == np.uint8 and got.train_x.flags.c_contiguous
    for image, row, column, channel in ((0, 0, 0, 0), (7, 3, 31, 1), (23, 31, 0, 2)):
        at = 1 + 1024 * channel + 32 * row + column
        assert pixels[image, row, column, channel] == records[image, at]
    planes = pixels.transpose(0, 3, 1, 2).reshape(len(records), -1)
    np.testing.assert_array_equal(planes, records[:, 1:])


def test_files_are_read_loose_in_their_folder_or_in_the_archive(
    files: Files, tmp_path: Path
) -> None:
    assert_read(write(tmp_path / "loose", files), files)
    write(tmp_path / "folder" / FOLDER, files)
    assert_read(tmp_path / "folder", files)
    assert_read(write(tmp_path / "packed", {ARCHIVE: packed(files)}), files)
    assert os.listdir(tmp_path / "packed") == [ARCHIVE]  # nothing was unpacked
    got = images.load(str(tmp_path / "packed"), images.CIFAR10)
    assert got.source == str(tmp_path / "packed")


def put(content: bytes, at: int, byte: int) -> bytes:
    damaged = bytearray(content)
    damaged[at] = byte
    return bytes(damaged)


def cut(files: Files, name: str, content: bytes) -> Files:
    return files | {name: content}


SIZE = f"where 4 records of an image and its label have {4 * 3073:,}: pass the directory of the"


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (FILES[0], lambda c: c[:-1], f"has {4 * 3073 - 1} bytes {SIZE}"),
        (FILES[5], lambda c: b"", f"has 0 bytes {SIZE}"),
        (FILES[2], lambda c: c + b"\0", f"has more bytes {SIZE}"),
        (FILES[2], lambda c: c * 3, f"has more bytes {SIZE}"),
        (FILES[1], lambda c: put(c, 3073, 11), "has the label 11 in record 1, above 9: pass the"),
        (FILES[1], lambda c: put(c, 3 * 3073, 10), "has the label 10 in record 3, above 9: pass"),
        (FILES[5], lambda c: put(c, 0, 255), "has the label 255 in record 0, above 9: pass the"),
    ],
)
@pytest.mark.parametrize("archived", [False, True])
def test_damaged_files_are_refused(
    name: str, damage: Any, message: str, archived: bool, files: Files, tmp_path: Path
) -> None:
    files = files | {name: damage(files[name])}
    write(tmp_path, {ARCHIVE: packed(files)} if archived else files)
    with pytest.raises(DataError, match=f"^{name} {message}"):
        load_cifar10(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c[: len(c) // 2], "its archive is broken"),
        (lambda c: put(c, len(c) - 8, c[-8] ^ 1), "CRC check failed"),
        (lambda c: put(c, len(c) // 2, c[len(c) // 2] ^ 64), "broken|CRC|checksum"),
        (lambda c: gzip.compress(b"no archive"), "its archive is broken"),
        (lambda c: b"<html>", "Not a gzipped file"),
        (lambda c: b"", "its archive is broken"),
    ],
)
def test_a_damaged_archive_is_refused(
    damage: Any, message: str, files: Files, tmp_path: Path
) -> None:
    write(tmp_path, {ARCHIVE: damage(packed(files))})
    with pytest.raises(DataError, match=f"{ARCHIVE} cannot be used, since .*({message}).*: pass"):
        load_cifar10(tmp_path)


def test_what_is_missing_is_named(files: Files, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{tmp_path} has no {ARCHIVE} and no {FILES[0]}: pass the"):
        load_cifar10(tmp_path)
    del files[FILES[3]]
    write(tmp_path / "loose", files)
    with pytest.raises(DataError, match=f"{FILES[3]} is missing: pass the directory of the binary"):
        load_cifar10(tmp_path / "loose")
    write(tmp_path / "packed", {ARCHIVE: packed(files)})
    with pytest.raises(DataError, match=f"since it has no {FOLDER}/{FILES[3]}: pass"):
        load_cifar10(tmp_path / "packed")
    (tmp_path / "loose" / FILES[3]).mkdir()
    with pytest.raises(DataError, match=f"{FILES[3]} cannot be used, since .*: pass"):
        load_cifar10(tmp_path / "loose")


def test_a_member_that_is_a_link_is_not_followed(files: Files, tmp_path: Path) -> None:
    write(tmp_path, {ARCHIVE: packed(files, link=FILES[0])})
    with pytest.raises(DataError, match=f"it has no {FOLDER}/{FILES[0]}"):
        load_cifar10(tmp_path)


@pytest.mark.parametrize("name", cifar10.PICKLES)
def test_pickles_are_refused_by_name_and_never_opened(name: str, tmp_path: Path) -> None:
    write(tmp_path, {name: b"cos\nsystem\n(S'exit'\ntR."})
    message = f"{name} is of the Python version of CIFAR-10, whose pickles .*: pass .* binary"
    with pytest.raises(DataError, match=message):
        load_cifar10(tmp_path)


def test_a_binary_version_beside_pickles_is_read(files: Files, tmp_path: Path) -> None:
    write(tmp_path, {ARCHIVE: packed(files), "cifar-10-python.tar.gz": b"pickles"})
    assert_read(tmp_path, files)


@pytest.fixture
def cached(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive in the cache, as the official one; mirrors have nothing."""
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / project)
    monkeypatch.setattr(cifar10, "MIRRORS", ())
    content = packed(files)
    monkeypatch.setattr(cifar10, "SHA256", hashlib.sha256(content).hexdigest())
    return write(tmp_path / "minigrad" / "cifar10", {ARCHIVE: content})


def test_the_archive_comes_from_the_cache(cached: Path, files: Files) -> None:
    assert_read(None, files)
    assert images.load(None, images.CIFAR10).source == str(cached)


def test_an_archive_in_the_cache_that_is_not_the_official_one_is_thrown_away(
    cached: Path, files: Files
) -> None:
    write(cached, {ARCHIVE: packed(files | {"more": b"1"})})
    got = images.load(None, images.CIFAR10)
    assert got.name == "digits" and not (cached / ARCHIVE).exists()
    assert got.note.startswith(f"The 8x8 digits stand in for CIFAR-10: no mirror gave {ARCHIVE}")


def test_a_directory_with_other_data_gives_the_digits_and_says_so(
    files: Files, tmp_path: Path
) -> None:
    write(tmp_path, files)
    got = images.load(str(tmp_path), images.MNIST)
    assert (got.name, got.source) == ("digits", "digits")
    assert got.note == f"The 8x8 digits stand in for MNIST: {tmp_path} has none of its files."
    other = write(tmp_path / "mnist", {f"{name}.gz": b"" for name in mnist.FILES})
    assert "stand in for CIFAR-10" in images.load(str(other), images.CIFAR10).note
    with pytest.raises(DataError):
        images.load(str(other), images.MNIST)  # it has files of that name, which are broken
    with pytest.raises(DataError, match="has no cifar-10"):
        images.load(str(tmp_path / "nowhere"), images.CIFAR10)


def test_the_real_cifar10(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = os.environ.get("CIFAR10")
    if not directory:
        pytest.skip("no CIFAR-10 here: set CIFAR10 to the directory that holds it")
    monkeypatch.setattr(cifar10, "RECORDS", 10_000)
    data = load_cifar10(directory)
    assert len(data.train_x) == 50_000 and len(data.test_x) == 10_000
    assert np.bincount(data.train_y).tolist() == [5000] * 10
    assert np.bincount(data.test_y).tolist() == [1000] * 10
    assert data.train_x.mean() == pytest.approx(120.7, abs=0.5)
    red, green, blue = data.train_x.mean(axis=(0, 1, 2))
    assert red > green > blue


# Batches


def pictures(n: int = 6, height: int = 9, width: int = 8) -> Any:
    return np.random.default_rng(1).integers(256, size=(n, height, width, 3), dtype=np.uint8)


def batch_of(x: Any, size: int, seed: int, index: Any) -> Any:
    rng = np.random.default_rng(seed)
    return to_host(Crops(size).training(xp.asarray(x), rng)(xp.asarray(index)))


def test_images_as_they_are() -> None:
    x = xp.asarray(pictures())
    batch = Batches().training(x, np.random.default_rng(0))(xp.asarray([4, 2]))
    np.testing.assert_array_equal(to_host(batch), pictures()[[4, 2]])
    assert Batches().evaluation(x) is x


def test_crops_are_windows_of_their_images_mirrored_or_not() -> None:
    x, size = pictures(), 5
    seen = set()
    for seed in range(60):
        index = np.random.default_rng(seed).permutation(len(x))[:4]
        batch = batch_of(x, size, seed, index)
        assert batch.shape == (4, size, size, 3) and batch.dtype == "float32"
        assert np.abs(batch).max() <= 1
        for i, crop in zip(index, batch, strict=True):
            matches = [
                (top, left, flip)
                for top in range(5)
                for left in range(4)
                for flip in (1, -1)
                if np.allclose(
                    crop, x[i, top:, left:][:size, :size][:, ::flip] / 127.5 - 1, 0, 1e-6
                )
            ]
            assert len(matches) == 1
            seen.update(matches)
    assert len(seen) == 5 * 4 * 2


def test_crops_depend_on_the_generator_and_the_image_not_on_the_batch() -> None:
    x = pictures()
    whole = batch_of(x, 5, 0, np.arange(6))
    np.testing.assert_array_equal(batch_of(x, 5, 0, np.array([4, 1])), whole[[4, 1]])
    assert (batch_of(x, 5, 1, np.arange(6)) != whole).any()


def test_a_crop_of_the_whole_image_is_only_mirrored() -> None:
    x = pictures(height=8)
    for crop, image in zip(batch_of(x, 8, 3, np.arange(6)), x / 127.5 - 1, strict=True):
        assert any(np.allclose(crop, image[:, ::flip], 0, 1e-6) for flip in (1, -1))


def test_an_evaluation_sees_the_middle() -> None:
    x = pictures()
    got = to_host(Crops(4).evaluation(xp.asarray(x)))
    np.testing.assert_allclose(got, x[:, 2:6, 2:6] / 127.5 - 1, 0, 1e-6)
    assert got.dtype == "float32"
