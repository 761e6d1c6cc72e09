"""CIFAR-10, 60,000 colour images of 32x32 in ten classes, from the files of its binary version.

A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. A file has 10,000
records of 3,073 bytes: a label, then the rows of the image in red, in green and in blue.
"""

import gzip
import hashlib
import os
import tarfile
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.problems.cache import cache, fetch
from experiments.problems.dataset import DataError, Dataset

NAME = "cifar10"
MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
ARCHIVE, FOLDER = "cifar-10-binary.tar.gz", "cifar-10-batches-bin"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"  # of the archive
FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
PICKLES = ("cifar-10-python.tar.gz", "cifar-10-batches-py", "data_batch_1", "test_batch")
RECORDS, SHAPE, CLASSES = 10_000, (3, 32, 32), 10  # of a file
CURE = f"pass the directory of the binary version, {ARCHIVE} or what is in it, or 'digits'"


def load_cifar10(directory: str | os.PathLike[str] | None = None) -> Dataset:
    """CIFAR-10, 50,000 and 10,000 images (n, 32, 32, 3), uint8, from a directory that has the six
    files or their archive, or else from the cache, to which the archive is downloaded.

    Raises DataError for a file that is missing, too short or too long, or has a label above 9, and
    for the Python version. Only an archive that was downloaded is known to be the official one.
    """
    if directory is None:
        source, contents = cache(NAME), fetch(NAME, ARCHIVE, MIRRORS, _official)
    else:
        source, contents = Path(directory), _read(Path(directory))
    x, y = zip(*(_decode(contents[name], name) for name in FILES), strict=True)
    train = np.concatenate(x[:-1]), np.concatenate(y[:-1])
    return Dataset(NAME, *train, x[-1], y[-1], str(source.resolve()))


def is_in(directory: str | os.PathLike[str]) -> bool:
    """Whether there is anything of CIFAR-10, of whichever version."""
    here = Path(directory)
    return any((here / name).exists() for name in (*FILES, ARCHIVE, FOLDER, *PICKLES))


def _read(directory: Path) -> dict[str, bytes]:
    """The six files of a directory, by name."""
    if not is_in(directory):
        raise DataError(f"{directory} has no {ARCHIVE} and no {FILES[0]}: {CURE}.")
    if (directory / FOLDER).exists():
        directory /= FOLDER
    if any((directory / name).exists() for name in FILES):
        return {name: _content(directory / name) for name in FILES}
    if (directory / ARCHIVE).exists():
        try:
            return _unpacked(directory / ARCHIVE)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{directory / ARCHIVE} cannot be used, since {error}: {CURE}."
            ) from error
    found = next(name for name in PICKLES if (directory / name).exists())
    raise DataError(
        f"{directory / found} is of the Python version of CIFAR-10, whose pickles would run "
        f"whatever is in them: {CURE}."
    )


def _content(path: Path) -> bytes:
    """A file of records."""
    try:
        with path.open("rb") as file:
            return file.read(_size() + 1)  # enough to see that there is too much
    except FileNotFoundError:
        problem = "is missing"
    except OSError as error:
        problem = f"cannot be used, since {error}"
    raise DataError(f"{path} {problem}: {CURE}.")


def _official(archive: Path) -> dict[str, bytes]:
    """The files of the official archive; raises ValueError for another."""
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        raise ValueError(f"its SHA-256 is {digest} where CIFAR-10's is {SHA256}")
    return _unpacked(archive)


def _unpacked(archive: Path) -> dict[str, bytes]:
    """The six files of an archive, of which nothing else is read and nothing written."""
    wanted, found = {f"{FOLDER}/{name}": name for name in FILES}, {}
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                if member.name in wanted and member.isfile():
                    file: Any = tar.extractfile(member)
                    found[wanted[member.name]] = file.read(_size() + 1)
            while stream.read(2**20):
                pass  # up to the checksum at the end
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"its archive is broken ({error})") from error
    for name in FILES:
        if name not in found:
            raise ValueError(f"it has no {FOLDER}/{name}")
    return found


def _decode(content: bytes, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (n, height, width, channels) and labels (n,) of a file; raises DataError unless it has
    all records and no more, and only labels that there are."""
    if len(content) != _size():
        raise DataError(
            f"{name} has {'more' if len(content) > _size() else len(content)} bytes where "
            f"{RECORDS:,} records of an image and its label have {_size():,}: {CURE}."
        )
    records = np.frombuffer(content, np.uint8).reshape(RECORDS, -1)
    labels = records[:, 0].astype(np.int64)
    if (labels >= CLASSES).any():
        bad = (labels >= CLASSES).argmax()
        raise DataError(f"{name} has the label {labels[bad]} in record {bad}, above 9: {CURE}.")
    images = records[:, 1:].reshape(RECORDS, *SHAPE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels


def _size() -> int:
    """The bytes of a file."""
    return RECORDS * (1 + prod(SHAPE))
