"""Files that are downloaded once."""

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from experiments.problems.dataset import DataError

T = TypeVar("T")


def cache(name: str) -> Path:
    """The directory where files of that set of data are kept."""
    import pooch  # here, since it is slow and seldom needed

    return Path(pooch.os_cache("minigrad")) / name


def fetch(name: str, file: str, mirrors: Iterable[str], read: Callable[[Path], T]) -> T:
    """What `read` makes of the file in the cache, or else of the first copy from a mirror.

    `read` raises ValueError for what is not the file. Raises DataError where no mirror has it.
    """
    import pooch

    place = cache(name)
    with contextlib.suppress(OSError):  # not cached yet, or a cache that cannot be used
        try:
            return read(place / file)
        except ValueError:
            (place / file).unlink()

    download = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=(5, 30))
    failures = []
    for mirror in mirrors:
        pooch.get_logger().info("Downloading %s", mirror + file)
        try:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place) as scratch:
                downloaded = Path(scratch, file)
                download(mirror + file, downloaded, None)
                found = read(downloaded)
                downloaded.replace(place / file)  # only now: whatever is in the cache is whole
            return found
        except (OSError, ValueError) as error:
            failures.append(f"{urlsplit(mirror).netloc}: {_reason(error)}")
    raise DataError(
        f"no mirror gave {file} ({'; '.join(failures)}), "
        "so pass a directory that has the files as --data or in MINIGRAD_DATA."
    )


def _reason(error: OSError | ValueError) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP status {response.status_code}"
    if isinstance(error, OSError) and error.errno is None:
        return type(error).__name__  # the text of a network error runs to several lines
    return str(error)
