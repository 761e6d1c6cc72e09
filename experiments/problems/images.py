"""The data the experiments train on: MNIST, CIFAR-10, or the small digits that come with the
project."""

import gzip
import hashlib
import math
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.problems import cifar10
from experiments.problems.cache import cache, fetch
from experiments.problems.dataset import DataError, Dataset
from minigrad.doctor import Row

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

# These are of the uncompressed files: a gzip header holds a time, so recompressed copies differ.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

DIGITS = "digits"  # the source that means the embedded images
MNIST, CIFAR10 = "mnist", cifar10.NAME


def load(source: str | None, wanted: str = MNIST) -> Dataset:
    """What --data means: DIGITS, a directory with MNIST or CIFAR-10, whichever is wanted, or None
    for the best that can be had.

    None is MINIGRAD_DATA where that is set, else what the cache has or a mirror, else the digits
    with a note; they also stand in where a directory has only the data that are not wanted. Raises
    DataError for a source that was named and is not whole.
    """
    source = source or os.environ.get("MINIGRAD_DATA")
    if source == DIGITS:
        return load_digits()
    read, title, is_in = KNOWN[wanted]
    if source and not is_in(source) and any(of.is_in(source) for of in KNOWN.values()):
        return _digits_for(title, f"{source} has none of its files.")
    if source:
        return read(source)
    try:
        return read()
    except DataError as error:
        return _digits_for(title, str(error))


def _digits_for(title: str, why: str) -> Dataset:
    return replace(load_digits(), note=f"The 8x8 digits stand in for {title}: {why}")


def places() -> Iterator[Row]:
    """For the doctor, where `load` looks and what is there."""
    if named := os.environ.get("MINIGRAD_DATA"):
        for wanted in KNOWN:
            yield _row(
                "MINIGRAD_DATA", named, partial(load, named, wanted), "Unset it, or name another."
            )
    cached = cache(MNIST)
    cure = "`python -m experiments run mlp` downloads MNIST where there is a network."
    yield _row("cache", str(cached), partial(load_mnist, cached), cure)
    cached = cache(CIFAR10)
    cure = "`python -m experiments run cifarnet` downloads CIFAR-10 where there is a network."
    yield _row("cache", str(cached), partial(cifar10.load_cifar10, cached), cure)
    yield _row("digits", "the project", load_digits, "Install the project anew.")


def _row(what: str, where: str, look: Callable[[], Dataset], cure: str) -> Row:
    try:
        data = look()
    except Exception as error:  # the digits can be damaged in any way
        return Row(what, str(error), cure)
    return Row(what, f"{len(data.train_x)} + {len(data.test_x)} images of {data.name} in {where}")


def load_digits() -> Dataset:
    """The embedded 8x8 handwritten digits: 1,497 to train on, 300 to test on.

    From "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak, UCI Machine
    Learning Repository, 1998, CC BY 4.0, through scikit-learn's load_digits.
    """
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as file:
        x = np.divide(file["images"].reshape(-1, 64), 16, dtype=np.float32)
        y = file["labels"].astype(np.int64)
    return Dataset(DIGITS, x[:1497], y[:1497], x[1497:], y[1497:], DIGITS)


def load_mnist(directory: str | os.PathLike[str] | None = None) -> Dataset:
    """MNIST, 60,000 and 10,000 images of 28x28, from a directory or else the cache or a mirror.

    Raises DataError for a file that is missing or is not, to the byte, the one of MNIST.
    """
    read = partial(_read, Path(directory)) if directory else _fetch
    train_x, train_y, test_x, test_y = map(read, SHA256)
    source = Path(directory or cache(MNIST)).resolve()
    return Dataset(MNIST, train_x, train_y, test_x, test_y, str(source))


def _read(directory: Path, name: str) -> NDArray[Any]:
    """One IDX file of a directory."""
    path = directory
    try:
        for file in _names(name):
            path = directory / file
            if path.is_file():
                return _decode(path.read_bytes(), name)
        problem = f"{directory} has no file {' or '.join(_names(name))}"
    except (OSError, ValueError) as error:
        problem = f"{path} cannot be used, since {error}"
    raise DataError(f"{problem}: pass the directory of the four MNIST files, or 'digits'.")


def _names(name: str) -> list[str]:
    """What a file may be called: some archives unpack it with a dot in its name."""
    return [f"{stem}{end}" for stem in (name, name.replace("-idx", ".idx")) for end in ("", ".gz")]


def _fetch(name: str) -> NDArray[Any]:
    """One IDX file from the cache, or else from the first mirror that serves it whole."""
    return fetch(MNIST, f"{name}.gz", MIRRORS, lambda path: _decode(path.read_bytes(), name))


def _decode(content: bytes, name: str) -> NDArray[Any]:
    """Images (n, d) or labels (n,) from an IDX file; raises ValueError unless it is MNIST's."""
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"its gzip stream is broken ({error})") from error
    ndim = 3 if "images" in name else 1
    start = 4 * (1 + ndim)
    # The header is padded, so that a file cut inside it is reported like any other
    magic, *shape = struct.unpack(f">{1 + ndim}I", content[:start].ljust(start, b"\0"))
    if magic != 0x800 + ndim:
        raise ValueError(f"its magic number is {magic:#010x} where IDX has {0x800 + ndim:#010x}")
    length = start + math.prod(shape)
    if len(content) != length:
        raise ValueError(f"it has {len(content)} bytes where its dimensions {shape} need {length}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256[name]:
        raise ValueError(f"its SHA-256 is {digest} where MNIST's is {SHA256[name]}")
    array = np.frombuffer(content, np.uint8, offset=start)
    if ndim == 1:
        return array.astype(np.int64)
    return np.divide(array.reshape(shape[0], -1), 255, dtype=np.float32)


def _is_in(directory: str | os.PathLike[str]) -> bool:
    """Whether there is anything of MNIST."""
    here = Path(directory)
    return any((here / file).exists() for name in SHA256 for file in _names(name))


class Known(NamedTuple):
    """A set of data that a directory may hold."""

    load: Callable[..., Dataset]
    title: str
    is_in: Callable[[str], bool]


KNOWN = {
    MNIST: Known(load_mnist, "MNIST", _is_in),
    CIFAR10: Known(cifar10.load_cifar10, "CIFAR-10", cifar10.is_in),
}
