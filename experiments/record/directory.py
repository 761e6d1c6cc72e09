"""A run on disk: one directory with the manifest, the traces, the numbers plotted, the figure.

It is called NAME.partial until it is whole; one that was interrupted or failed keeps that name, and
its manifest says why.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from experiments.record.wording import listed
from minigrad.checkpoint import atomic_write, load, read_arrays

MANIFEST = "manifest.json"
KEYS = {"experiment", "status", "settings"}  # of every manifest
DIGEST = "manifest_sha256"  # in it, of all else in it
TRACES = "traces.npz"
PARTIAL = ".partial"
COMPLETE = "complete"  # the status of a whole run
TEXTS = {"files": "texts of rules"}  # what settings are called in words

T = TypeVar("T")

Traces = Mapping[str, Mapping[str, np.ndarray]]  # of each trial by label: arrays by name


class RunDirectoryError(ValueError):
    """A directory that is not what was expected."""


class RunDirectory:
    """The directory of one experiment's run, at `path` while it is being made."""

    def __init__(self, path: Path):
        self.path = path
        self._lock_fd: int | None = None  # an open file while the directory is locked

    @classmethod
    def check_free(cls, out: Path, name: str, **facts: Any) -> None:
        """Raise RunDirectoryError where out holds a run of that name, whole or not, and say which
        of these facts it has otherwise."""
        whole, partial = cls(out / name), cls(out / (name + PARTIAL))
        if whole.path.exists():
            raise RunDirectoryError(
                f"{whole.path} exists{whole._others(facts)}; give another --out, or --force to "
                "replace it."
            )
        # One that was killed before it had a manifest holds nothing, and cannot be resumed
        if partial.path.exists() and any(one.suffix != ".tmp" for one in partial.path.iterdir()):
            raise RunDirectoryError(
                f"{partial.path} is an unfinished run{partial._others(facts)}; `resume "
                f"{partial.path}` continues it, --force starts anew."
            )

    def _others(self, facts: Mapping[str, Any]) -> str:
        """Which of the facts, and of the settings, the manifest has otherwise, in words."""
        try:
            known, asked = self.manifest, json.loads(json.dumps(facts))
        except RunDirectoryError:
            return ""
        both = [known.pop("settings"), asked.pop("settings", {})]
        both = [{**settings, **rest} for settings, rest in zip(both, (known, asked), strict=True)]
        names = [TEXTS.get(k, k) for k, value in both[1].items() if both[0].get(k, value) != value]
        return f" with other {listed(names)}" if names else ""

    @classmethod
    def create(cls, out: Path, name: str, settings: Any) -> "RunDirectory":
        """Make out/NAME.partial with only a manifest; raises RunDirectoryError where it cannot."""
        directory = cls(out / (name + PARTIAL))
        try:
            directory.path.mkdir(parents=True, exist_ok=True)
            directory.lock()
            for path in directory.path.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            directory.write_manifest(
                experiment=name,
                status="running",
                settings=asdict(settings),
                files_sha256={
                    file: hashlib.sha256(text.encode()).hexdigest()
                    for file, text in settings.files.items()
                },
                started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            )
        except (OSError, KeyboardInterrupt) as error:
            if directory._lock_fd is not None:  # else it may be another process's
                directory.discard()
            if isinstance(error, KeyboardInterrupt):
                raise
            raise RunDirectoryError(
                f"--out {out} cannot be used ({error.strerror}); name a directory with room that "
                "you may write to."
            ) from error
        return directory

    def lock(self) -> None:
        """Keep others from this directory, at most until this process ends.

        Raises RunDirectoryError where another has done so.
        """
        self.unlock()
        self._lock_fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunDirectoryError(
                f"{self.path} is being run by another process; wait for it, or stop it."
            ) from None

    def unlock(self) -> None:
        """Let others have this directory."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def discard(self) -> None:
        """Remove the directory, which must be locked, as far as that is possible."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.unlock()

    @property
    def manifest(self) -> dict[str, Any]:
        """What is known of the run; raises RunDirectoryError where the directory holds none."""
        try:
            manifest = json.loads((self.path / MANIFEST).read_text("utf-8"))
            if not isinstance(manifest, dict) or not KEYS <= manifest.keys():
                raise ValueError(f"it lacks some of {', '.join(sorted(KEYS))}")
            if manifest.pop(DIGEST, None) != _digest(manifest):
                raise ValueError(f"its {DIGEST} is another: it is damaged, or was edited")
        except (OSError, ValueError, RecursionError) as error:
            raise RunDirectoryError(
                f"{self.path} is not a run, since its {MANIFEST} cannot be read ({error}); name a "
                "directory that `run` made."
            ) from error
        return manifest

    def read(self, name: str, parse: Callable[[bytes], T]) -> T:
        """What a file that is made of the traces holds, and not they themselves; raises
        RunDirectoryError where it cannot be read."""
        path = self.path / name
        try:
            return parse(path.read_bytes())
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise RunDirectoryError(
                f"{path} cannot be read ({why}); `plot {self.path}` writes it anew."
            ) from error

    def has(self, **facts: Any) -> bool:
        """Whether a run is here, of which the manifest has these facts."""
        if not (self.path / MANIFEST).exists():
            return False
        asked = json.loads(json.dumps(facts))  # tuples are lists there
        return asked.items() <= self.manifest.items()

    def write_manifest(self, **facts: Any) -> None:
        """Add facts to the manifest, whole or not at all."""
        known = self.manifest if (self.path / MANIFEST).exists() else {}
        known |= facts
        with atomic_write(self.path / MANIFEST) as file:
            file.write(json.dumps({**known, DIGEST: _digest(known)}, indent=2).encode() + b"\n")

    def checkpoint_path(self, label: str) -> Path:
        """Where a trial that is not done keeps what continuing needs."""
        return self.path / f"{label}.checkpoint.npz"

    def traces_path(self, label: str) -> Path:
        """Where a trial that is done leaves its traces until all trials are."""
        return self.path / f"{label}.npz"

    def kept(self, label: str) -> dict[str, Any] | None:
        """What a checkpoint holds of a trial; None if it has none, nothing if the trial is done."""
        if self.traces_path(label).exists():
            return {}
        path = self.checkpoint_path(label)
        return load(path) if path.exists() else None

    def gather(self, labels: list[str]) -> Traces:
        """Join the traces of all trials into traces.npz, and return them."""
        traces = {label: load(self.traces_path(label))["traces"] for label in labels}
        joined = {f"{label}/{name}": a for label, t in traces.items() for name, a in t.items()}
        with atomic_write(self.path / TRACES) as file:
            np.savez_compressed(file, **joined)
        self.write_checksums()
        return traces

    def traces(self) -> Traces:
        """The traces of a whole run, by label and name."""
        traces: dict[str, dict[str, np.ndarray]] = {}
        known = self.manifest.get("sha256", {}).get(TRACES)
        try:
            if _sha256(self.path / TRACES) != known:
                raise ValueError("its SHA-256 is not the one in the manifest")
            for key, array in read_arrays(self.path / TRACES).items():
                label, name = key.split("/")
                traces.setdefault(label, {})[name] = array
        except (OSError, ValueError) as error:
            raise RunDirectoryError(
                f"{self.path} has no whole {TRACES} ({error}); `resume` it if it is unfinished, or "
                "run it anew."
            ) from error
        return traces

    def missing(self) -> list[str]:
        """The files of a whole run that are there no more."""
        return [name for name in self.manifest["sha256"] if not (self.path / name).exists()]

    def write_checksums(self) -> None:
        """Write the SHA-256 of every other file into the manifest."""
        files = sorted(filter(Path.is_file, self.path.iterdir()))
        self.write_manifest(
            sha256={path.name: _sha256(path) for path in files if path.name != MANIFEST}
        )

    def finish(self) -> None:
        """Drop what only resuming needs, write checksums, and take the name of a whole run."""
        for path in (*self.path.glob("*.npz"), *self.path.glob("*.tmp")):
            if path.name != TRACES:
                path.unlink()
        self.write_checksums()
        self.write_manifest(status=COMPLETE)
        whole = self.path.with_name(self.path.name.removesuffix(PARTIAL))
        if whole.exists():
            shutil.rmtree(whole)
        self.path = self.path.rename(whole)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(manifest: Mapping[str, Any]) -> str:
    """The SHA-256 of a manifest, however it is laid out."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
