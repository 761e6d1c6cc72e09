"""The data the experiments train on: MNIST, or the small digits that come with the project."""

import contextlib
import gzip
import hashlib
import math
import os
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

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


class DataError(ValueError):
    """Data that are missing, damaged or unfit to train on."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images (n, d), float32 in [0, 1], and labels (n,), int64; raises DataError for unfit ones.

    `load(source)` gives the same again; `note` is empty, or one sentence that says why these are
    not the data that were asked for.
    """

    name: str
    train_x: NDArray[np.float32]
    train_y: NDArray[np.int64]
    test_x: NDArray[np.float32]
    test_y: NDArray[np.int64]
    source: str = ""
    note: str = ""

    @property
    def n_classes(self) -> int:
        """One more than the largest label of the training set."""
        return int(self.train_y.max()) + 1

    def __post_init__(self) -> None:
        splits = ("train", self.train_x, self.train_y), ("test", self.test_x, self.test_y)
        for split, x, y in splits:
            width = self.train_x.shape[1:]
            if x.ndim != 2 or x.size == 0 or x.dtype != np.float32 or x.shape[1:] != width:
                raise DataError(
                    f"{split}_x is {x.dtype} of shape {x.shape}: "
                    "pass float32 images of shape (n, d), n > 0, with one d for train and test."
                )
            if y.shape != x.shape[:1] or y.dtype != np.int64:
                raise DataError(
                    f"{split}_y is {y.dtype} of shape {y.shape} for {len(x)} images: "
                    "pass one int64 label for each image."
                )
            bad = ~np.isfinite(x).all(axis=1)
            if bad.any():
                raise DataError(f"{split}_x[{bad.argmax()}] is not finite: remove such images.")
            bad = (y < 0) | (y >= self.n_classes)
            if bad.any():
                raise DataError(
                    f"{split}_y[{bad.argmax()}] is {y[bad.argmax()]}: "
                    f"pass labels from 0 to the largest in train_y, {self.n_classes - 1}."
                )


def load(source: str | None) -> Dataset:
    """What --data means: DIGITS, a directory with MNIST, or None for the best that can be had.

    None is MINIGRAD_DATA where that is set, else MNIST from the cache or a mirror, else the digits
    with a note. Raises DataError for a source that was named and is not whole.
    """
    source = source or os.environ.get("MINIGRAD_DATA")
    if source == DIGITS:
        return load_digits()
    if source:
        return load_mnist(source)
    try:
        return load_mnist()
    except DataError as error:
        return replace(load_digits(), note=f"The 8x8 digits stand in for MNIST: {error}")


def places() -> Iterator[Row]:
    """For the doctor, where `load` looks and what is there."""
    if named := os.environ.get("MINIGRAD_DATA"):
        yield _row("MINIGRAD_DATA", named, partial(load, named), "Unset it, or name another.")
    cache = _cache()
    cure = "`python -m experiments run mlp` downloads MNIST where there is a network."
    yield _row("cache", str(cache), partial(load_mnist, cache), cure)
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
    source = Path(directory or _cache()).resolve()
    return Dataset("mnist", train_x, train_y, test_x, test_y, str(source))


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
    import pooch  # here, since it is slow and seldom needed

    file, cache = f"{name}.gz", _cache()
    with contextlib.suppress(OSError):  # not cached yet, or a cache that cannot be used
        try:
            return _decode((cache / file).read_bytes(), name)
        except ValueError:
            (cache / file).unlink()

    download = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=(5, 30))
    failures = []
    for mirror in MIRRORS:
        pooch.get_logger().info("Downloading %s", mirror + file)
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                downloaded = Path(scratch, file)
                download(mirror + file, downloaded, None)
                array = _decode(downloaded.read_bytes(), name)
                downloaded.replace(cache / file)  # only now: whatever is in the cache is whole
            return array
        except (OSError, ValueError) as error:
            failures.append(f"{urlsplit(mirror).netloc}: {_reason(error)}")
    raise DataError(
        f"no mirror gave {file} ({'; '.join(failures)}), "
        "so pass a directory that has the files as --data or in MINIGRAD_DATA."
    )


def _cache() -> Path:
    import pooch

    return Path(pooch.os_cache("minigrad")) / "mnist"


def _reason(error: OSError | ValueError) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP status {response.status_code}"
    if isinstance(error, OSError) and error.errno is None:
        return type(error).__name__  # the text of a network error runs to several lines
    return str(error)


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
