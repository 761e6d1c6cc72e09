"""Checkpoints: nested dictionaries of arrays and plain values in one npz file, without pickle."""

import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minigrad.backend import to_host
from minigrad.errors import one_line

HEADER = "header.json"


class CheckpointError(ValueError):
    """A file that is not a whole checkpoint."""


def save(path: str | os.PathLike[str], /, **items: Any) -> None:
    """Write each item, a nested dictionary or something with `state_dict()`, to `path`.

    Leaves are arrays or what JSON can hold. The file appears whole or not at all: a crash or a
    full disk leaves the one that was there. It is written as `atomic_write` does.
    """
    arrays: dict[str, Any] = {}
    header = {
        name: _split(item.state_dict() if hasattr(item, "state_dict") else item, name, arrays)
        for name, item in items.items()
    }
    arrays[HEADER] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with atomic_write(path) as file:
        np.savez(file, **arrays)


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to, which replaces the one at `path` once whole; an error removes it.

    As with `open`, a symbolic link is followed, a file that is replaced keeps its mode, and one
    that may not be written to raises PermissionError. Raises ValueError for what is no file, such
    as a directory or a device. A process that is killed meanwhile leaves NAME.*.tmp.
    """
    target = Path(os.path.realpath(path))
    mode = _mode(target)
    # A name has at most 255 bytes, and a character at most four
    partial = target.with_name(f"{target.name[:50]}.{secrets.token_hex(8)}.tmp")
    try:
        with open(partial, "xb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _mode(path: Path) -> int | None:
    """The permissions of a file that is to be replaced, or None where none is."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.parent.is_dir():
            return None
        raise FileNotFoundError(
            errno.ENOENT, "there is no such directory; make it first", str(path.parent)
        ) from None
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is a directory or a device; give the name of a file to write.")
    if not os.access(path, os.W_OK):
        raise PermissionError(
            errno.EACCES, "it may not be written to; change its mode, or name another", str(path)
        )
    return stat.S_IMODE(mode)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The items of a checkpoint as nested dictionaries; pass each to its `load_state_dict`.

    Raises CheckpointError for a file that is truncated, is no checkpoint, or holds a pickle,
    which is never executed.
    """
    arrays = read_arrays(path)
    try:
        header = json.loads(arrays.pop(HEADER).tobytes())
        return {name: _join(value, arrays) for name, value in header.items()}
    except Exception as error:  # a header that save() did not write can fail in any way
        raise CheckpointError(
            f"{path} is not a checkpoint ({one_line(error)}); use another one, or delete it and "
            "start anew."
        ) from error


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arrays of an npz file by name; raises CheckpointError as `load` does."""
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                return dict(archive)
        except Exception as error:  # damage makes zipfile and numpy raise almost anything
            raise CheckpointError(
                f"{path} is not whole ({one_line(error)}); use another one, or delete it and start "
                "anew."
            ) from error


def _split(value: Any, path: str, arrays: dict[str, Any]) -> Any:
    """`value` with each leaf as ["array", its name in `arrays`] or ["value", itself]."""
    if isinstance(value, dict):
        if odd := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"{path} has the key {odd[0]!r}; the keys of a checkpoint are strings.")
        return {key: _split(child, f"{path}/{key}", arrays) for key, child in value.items()}
    if hasattr(value, "dtype"):
        if value.dtype.hasobject:
            raise TypeError(f"{path} is an array of objects; a checkpoint holds only numbers.")
        # The number keeps the key "a/b" apart from "b" in "a". Zip files cut names at NUL and
        # refuse surrogates, so that both are escaped
        name = f"{len(arrays)}/{path}".encode("unicode_escape").decode()
        arrays[name] = to_host(value)
        return ["array", name]
    try:
        kept = repr(json.loads(json.dumps(value))) == repr(value)
    except (TypeError, ValueError):
        kept = False
    if not kept:
        raise TypeError(
            f"{path} is {value!r:.60}; a checkpoint holds arrays, numbers, texts and lists of "
            "numbers and texts, in dictionaries."
        )
    return ["value", value]


def _join(value: Any, arrays: dict[str, Any]) -> Any:
    """The value that `_split` took apart."""
    if isinstance(value, dict):
        return {key: _join(child, arrays) for key, child in value.items()}
    kind, leaf = value
    return arrays[leaf] if kind == "array" else leaf
