"""Runs beside each other: a table of many, and what differs between two."""

import csv
import difflib
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.record.directory import MANIFEST, RunDirectory, RunDirectoryError
from experiments.registry import EXPERIMENTS
from experiments.result import FINDINGS

COLUMNS = "run", "experiment", "status", "backend", "seconds", "settings", "verdict"
GAP, SHORTEST = "  ", 12  # between columns, and what is left of one that is cut, in letters
TEXTS = "files"  # a setting that is files, of which the SHA-256 is enough
SURROUNDINGS = "backend", "python", "machine", "processor", "blas", "ranks", "shards", "code"
DIGITS = 12  # of a SHA-256 that are told

Row = dict[str, Any]


def rows(paths: Iterable[Path], by: str = "run") -> list[Row]:
    """What is known of each run, whole or not, sorted by that column; says which paths are none.

    The settings are those that are not the default. Raises RunDirectoryError where no path is one.
    """
    found = []
    for path in paths:
        if not (path / MANIFEST).exists():
            print(f"{path} is left out: it has no {MANIFEST}, so it is no run.", file=sys.stderr)
            continue
        try:
            found.append(_row(path))
        except RunDirectoryError as error:
            print(f"{path} is left out: {error}", file=sys.stderr)
    if not found:
        raise RunDirectoryError("none of these is a run; name directories that `run` made.")
    return sorted(found, key=lambda row: row[by])


def _row(path: Path) -> Row:
    manifest = RunDirectory(path).manifest
    name, seconds = manifest["experiment"], manifest.get("seconds", {})
    usual = _plain(asdict(EXPERIMENTS[name].settings)) if name in EXPERIMENTS else {}
    given = manifest["settings"]
    changed = {key: v for key, v in given.items() if v != usual.get(key) and key != TEXTS}
    return {
        "run": str(path),
        "experiment": name,
        "status": manifest["status"],
        "backend": manifest.get("backend", ""),
        "seconds": round(sum(seconds.values()), 1),
        "settings": " ".join(f"{key}={_word(value)}" for key, value in changed.items()),
        "verdict": _findings(path).get("verdict", ""),
    }


def as_text(table: list[Row], width: int | None = None) -> str:
    """The rows in aligned columns, under their names; the longest are cut where they are wider in
    all than that many letters."""
    lines = [COLUMNS, *(tuple(str(row[column]) for column in COLUMNS) for row in table)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    longest = max(widths)
    while width and sum(widths) + len(GAP) * (len(widths) - 1) > width and longest > SHORTEST:
        longest -= 1
        widths = [min(one, longest) for one in widths]
    cut = ([_cut(*cell) for cell in zip(COLUMNS, line, widths, strict=True)] for line in lines)
    return "\n".join(GAP.join(map(str.ljust, line, widths)).rstrip() for line in cut)


def _cut(column: str, text: str, width: int) -> str:
    if len(text) <= width:
        return text
    return f"…{text[1 - width :]}" if column == "run" else f"{text[: width - 1]}…"


def as_csv(table: list[Row]) -> str:
    """The rows as CSV, under their names."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue().rstrip("\n")


def differences(a: Path, b: Path) -> Iterator[str]:
    """What two runs differ in, a line each: settings, what they ran on, verdict and findings."""
    first, second = (RunDirectory(path).manifest for path in (a, b))
    if (one := first["experiment"]) != (other := second["experiment"]):
        yield f"experiment: {one} | {other}"
    yield from _differing(*({**m["settings"], TEXTS: None} for m in (first, second)))
    yield from _differing(*map(_surroundings, (first, second)))
    told = [_sentences(path) for path in (a, b)]
    yield from (line for line in difflib.ndiff(*told) if line[0] in "-+")


def _surroundings(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a run may depend on beside its settings; of texts the beginning of their SHA-256."""
    texts = manifest.get("files_sha256", {})
    found = {f"text of {file}": digest[:DIGITS] for file, digest in texts.items()}
    found |= {name: manifest.get(name) for name in SURROUNDINGS} | manifest.get("versions", {})
    return found | {"code": (manifest.get("code") or "")[:DIGITS]}


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys([*first, *second]):
        if first.get(key) != second.get(key):
            yield f"{key}: {_word(first.get(key))} | {_word(second.get(key))}"


def _sentences(path: Path) -> list[str]:
    """The verdict and the findings of a run; none of one that is not whole."""
    found = _findings(path)
    return [found["verdict"], *(one["text"] for one in found["findings"])] if found else []


def _findings(path: Path) -> dict[str, Any]:
    there = (path / FINDINGS).exists()
    return RunDirectory(path).read(FINDINGS, lambda text: dict(json.loads(text))) if there else {}


def _plain(value: Any) -> Any:
    """As it comes back from JSON, which has lists in place of tuples."""
    return json.loads(json.dumps(value))


def _word(value: Any) -> str:
    """As --set takes it."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
