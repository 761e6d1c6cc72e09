"""MNIST and Fashion-MNIST, each 60,000 and 10,000 images of 28x28 in ten classes: four IDX files,
whose names are the same in both, so that what is in them says which they are.

H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017, for the second.
"""

import gzip
import hashlib
import math
import os
import struct
import zlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.problems.cache import cache, fetch
from experiments.problems.dataset import DataError, Dataset

NAME, FASHION = "mnist", "fashion-mnist"
TITLES = {NAME: "MNIST", FASHION: "Fashion-MNIST"}
MIRRORS = {
    NAME: (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    FASHION: (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
}
# These are of the uncompressed files: a gzip header holds a time, so recompressed copies differ.
OF_MNIST = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
OF_FASHION = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
SHA256 = {NAME: OF_MNIST, FASHION: OF_FASHION}
FILES = tuple(OF_MNIST)


def load_mnist(source: str | os.PathLike[str] | None = None) -> Dataset:
    """MNIST or Fashion-MNIST, whichever a directory has; None is MNIST from the cache or else a
    mirror, and FASHION, where there is no such directory, Fashion-MNIST likewise.

    Raises DataError for a file that is missing or is not, to the byte, the one of either, and for
    files of both.
    """
    fetched = source is None or is_name(source)
    name, place = (FASHION if source else NAME), Path(source or "")
    names, arrays = ((name,) if fetched else tuple(SHA256)), []
    for file in FILES:
        name, array = _fetch(file, name) if fetched else _read(place, file, names)
        names = (name,)  # of the first file, of which the others are to be too
        arrays.append(array)
    place = cache(name) if fetched else place
    return Dataset(name, *arrays, str(place.resolve()))


def is_in(source: str | os.PathLike[str]) -> bool:
    """Whether a directory has anything of either, or is the name of one."""
    found = (Path(source) / name for file in FILES for name in _names(file))
    return is_name(source) or any(path.exists() for path in found)


def is_name(source: str | os.PathLike[str]) -> bool:
    """Whether it names data that are fetched, and no directory."""
    return source == FASHION and not Path(source).is_dir()


def _read(directory: Path, file: str, names: Iterable[str]) -> tuple[str, NDArray[Any]]:
    """One IDX file of a directory, and of which of these data it is."""
    path = directory
    try:
        for name in _names(file):
            path = directory / name
            if path.is_file():
                return _decode(path.read_bytes(), file, names)
        problem = f"{directory} has no file {' or '.join(_names(file))}"
    except (OSError, ValueError) as error:
        problem = f"{path} cannot be used, since {error}"
    raise DataError(
        f"{problem}: pass the directory of the four files of MNIST or Fashion-MNIST, or 'digits'."
    )


def _names(file: str) -> list[str]:
    """What a file may be called: some archives unpack it with a dot in its name."""
    return [f"{stem}{end}" for stem in (file, file.replace("-idx", ".idx")) for end in ("", ".gz")]


def _fetch(file: str, name: str) -> tuple[str, NDArray[Any]]:
    """One IDX file from the cache, or else from the first mirror that serves it whole."""
    read = partial(_decode, file=file, names=[name])
    return fetch(name, f"{file}.gz", MIRRORS[name], lambda path: read(path.read_bytes()))


def _decode(content: bytes, file: str, names: Iterable[str]) -> tuple[str, NDArray[Any]]:
    """Images (n, d) or labels (n,) from an IDX file, and of which of these data they are; raises
    ValueError unless they are of one."""
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"its gzip stream is broken ({error})") from error
    ndim = 3 if "images" in file else 1
    start = 4 * (1 + ndim)
    # The header is padded, so that a file cut inside it is reported like any other
    magic, *shape = struct.unpack(f">{1 + ndim}I", content[:start].ljust(start, b"\0"))
    if magic != 0x800 + ndim:
        raise ValueError(f"its magic number is {magic:#010x} where IDX has {0x800 + ndim:#010x}")
    length = start + math.prod(shape)
    if len(content) != length:
        raise ValueError(f"it has {len(content)} bytes where its dimensions {shape} need {length}")
    digest, known = hashlib.sha256(content).hexdigest(), {n: SHA256[n][file] for n in names}
    found = next((name for name, one in known.items() if one == digest), None)
    if found is None:
        of_each = " and ".join(f"{TITLES[name]}'s is {one}" for name, one in known.items())
        raise ValueError(f"its SHA-256 is {digest} where {of_each}")
    array = np.frombuffer(content, np.uint8, offset=start)
    if ndim == 1:
        return found, array.astype(np.int64)
    return found, np.divide(array.reshape(shape[0], -1), 255, dtype=np.float32)
