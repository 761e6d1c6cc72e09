"""Printing to whoever listens: a reader may leave, as `head` does, a terminal may be gone."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any

GONE = (errno.EPIPE, errno.EIO)  # what writing to a pipe nobody reads, or a closed terminal, gives


class _Output:
    """A text stream to which printing never fails because of who reads it.

    What it cannot encode is escaped. Once its reader has gone, and where there was none (None, or a
    stream that is closed), what is written is dropped.
    """

    def __init__(self, stream: Any):
        self._stream: Any = None if getattr(stream, "closed", False) else stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def write(self, text: str) -> int:
        if self._stream is not None:
            with self._unless_gone():
                try:
                    self._stream.write(text)
                except UnicodeEncodeError as error:
                    escaped = text.encode(error.encoding, "backslashreplace")
                    self._stream.write(escaped.decode(error.encoding))
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            with self._unless_gone():
                self._stream.flush()

    @contextmanager
    def _unless_gone(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # What is buffered would fail again when Python ends, so its descriptor goes nowhere
            with suppress(OSError, AttributeError), open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())
            if error.errno not in GONE:
                sys.exit(f"cannot print: {error}")


@contextmanager
def lasting_output() -> Iterator[None]:
    """Inside, and in a function that it decorates, printing ends nothing: see `_Output`.

    Raises SystemExit where output is lost that somebody waits for, as on a full disk.
    """
    out, err = _Output(sys.stdout), _Output(sys.stderr)
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield
        finally:
            out.flush()
            err.flush()
