"""A run on disk: one directory with the manifest, the traces, the numbers plotted, the figure.

It is called NAME.partial until it is whole, and keeps that name, and says why, where it was
interrupted or failed.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from experiments.experiment import Experiment, Traces
from minigrad.checkpoint import atomic_write, read_arrays
from minigrad.doctor import driver, wheels

MANIFEST = "manifest.json"
KEYS = {"experiment", "status", "settings"}  # that every manifest has
TRACES = "traces.npz"
PARTIAL = ".partial"


class StoreError(ValueError):
    """A directory that is not what was expected."""


class Store:
    """The directory of one experiment's run, at `path` while it is being made."""

    def __init__(self, path: Path):
        self.path = path
        self._held: int | None = None  # open while it is locked

    @classmethod
    def check_free(cls, out: Path, name: str) -> None:
        """Raise StoreError where out holds a run of that name, whole or not."""
        whole, partial = out / name, out / (name + PARTIAL)
        if whole.exists():
            raise StoreError(f"{whole} exists; give another --out, or --force to replace it.")
        if partial.exists():
            raise StoreError(
                f"{partial} is an unfinished run; `resume {partial}` continues it, "
                "--force starts anew."
            )

    @classmethod
    def create(cls, out: Path, experiment: Experiment, settings: Any) -> "Store":
        """Make out/NAME.partial, empty but for the manifest; raises StoreError where it cannot."""
        store = cls(out / (experiment.name + PARTIAL))
        try:
            store.path.mkdir(parents=True, exist_ok=True)
            store.lock()
            for path in store.path.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            store.write_manifest(
                experiment=experiment.name,
                status="running",
                settings=asdict(settings),
                started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            )
        except OSError as error:
            if store._held is not None:  # else it may be another's
                shutil.rmtree(store.path, ignore_errors=True)
            raise StoreError(
                f"--out {out} cannot be used ({error.strerror}); name a directory with room that "
                "you may write to."
            ) from error
        return store

    def lock(self) -> None:
        """Keep others from this directory, at most until this process ends.

        Raises StoreError where another has done so.
        """
        self.unlock()
        self._held = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"{self.path} is being run by another process; wait for it, or stop it."
            ) from None

    def unlock(self) -> None:
        """Let others have this directory."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    @property
    def manifest(self) -> dict[str, Any]:
        """What is known of the run; raises StoreError where the directory holds none."""
        try:
            manifest: dict[str, Any] = json.loads((self.path / MANIFEST).read_text("utf-8"))
            if not isinstance(manifest, dict) or not KEYS <= manifest.keys():
                raise ValueError(f"it lacks some of {', '.join(sorted(KEYS))}")
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{self.path} is not a run, since its {MANIFEST} cannot be read ({error}); name a "
                "directory that `run` made."
            ) from error
        return manifest

    def write_manifest(self, **facts: Any) -> None:
        """Add facts to the manifest, whole or not at all."""
        known = self.manifest if (self.path / MANIFEST).exists() else {}
        with atomic_write(self.path / MANIFEST) as file:
            file.write(json.dumps(known | facts, indent=2).encode() + b"\n")

    def checkpoint(self, label: str) -> Path:
        """Where a run that is not done keeps what continuing needs."""
        return self.path / f"{label}.checkpoint.npz"

    def part(self, label: str) -> Path:
        """Where a run that is done leaves its traces until all are."""
        return self.path / f"{label}.npz"

    def gather(self, labels: list[str]) -> Traces:
        """Join the traces of all runs into traces.npz."""
        traces = {label: read_arrays(self.part(label)) for label in labels}
        joined = {f"{label}/{name}": a for label, t in traces.items() for name, a in t.items()}
        with atomic_write(self.path / TRACES) as file:
            np.savez_compressed(file, **joined)
        return traces

    def traces(self) -> Traces:
        """The traces of a whole run, by label and name."""
        traces: dict[str, dict[str, np.ndarray]] = {}
        try:
            for key, array in read_arrays(self.path / TRACES).items():
                label, name = key.split("/")
                traces.setdefault(label, {})[name] = array
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{self.path} has no whole {TRACES} ({error}); `resume` it if it is unfinished, or "
                "run it anew."
            ) from error
        return traces

    def draw(self, experiment: Experiment, settings: Any, traces: Traces) -> list[Path]:
        """Draw the figure from the traces."""
        return experiment.draw(traces, settings).save(self.path)

    def seal(self) -> None:
        """Write the SHA-256 of every file into the manifest."""
        files = filter(Path.is_file, self.path.iterdir())
        held = sorted(path for path in files if path.name != MANIFEST)
        sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in held}
        self.write_manifest(sha256=sums)

    def finish(self) -> None:
        """Drop what only resuming needs, seal, and take the name of a whole run."""
        for path in (*self.path.glob("*.npz"), *self.path.glob("*.tmp")):
            if path.name != TRACES:
                path.unlink()
        self.seal()
        self.write_manifest(status="complete")
        whole = self.path.with_name(self.path.name.removesuffix(PARTIAL))
        if whole.exists():
            shutil.rmtree(whole)
        self.path = self.path.rename(whole)


def environment(backend: str) -> dict[str, Any]:
    """What the numbers may depend on, for the manifest."""
    device = backend == "cupy"
    return {
        "backend": backend,
        "device": [row.found for row in driver()] if device else [],
        "python": platform.python_version(),
        "versions": {
            name: version(name) for name in ("numpy", "matplotlib", *(wheels() if device else ()))
        },
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "blas": [f"{lib['internal_api']} {lib['version']}" for lib in threadpool_info()],
        "blas_threads": 1,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "")
