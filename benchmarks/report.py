"""What was measured where, whether it is worth anything, and the files that hold it."""

import json
import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.rows import HEADINGS, Row, duration

PACKAGES = ("numpy", "numba", "torch", "jax", "jaxlib", "optax", "autograd", "mygrad", "tinygrad")
IDLE_LOAD = 0.5  # a load average above it means a busy machine,
STEADY, UNSTEADY_SHARE = 0.15, 0.1  # and so do spreads above it in more than so many of the rows


def load() -> float:
    """How many processes wanted a core in the last minute, on average; 0 where nobody counts."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def doubts(load_before: float, rows: list[Row], quick: bool) -> list[str]:
    """Reasons why the figures are worth nothing."""
    found = []
    if quick:
        found.append("--quick takes too few and too short measurements")
    if load_before > IDLE_LOAD:
        found.append(f"the machine was busy before the start, with a load of {load_before:.2f}")
    if chosen := os.environ.get("OPENBLAS_CORETYPE"):
        found.append(f"OPENBLAS_CORETYPE={chosen} keeps NumPy from this processor's own products")
    timed = [row for row in rows if row.times]
    wide = [row for row in timed if row.spread > STEADY]
    if len(wide) > UNSTEADY_SHARE * len(timed):
        worst = max(wide, key=lambda row: row.spread)
        found.append(
            f"{len(wide)} of {len(timed)} rows spread by more than {STEADY:.0%}, "
            f"up to {worst.spread:.0%} ({worst.work}, {worst.contestant})"
        )
    failed = [row for row in rows if row.note.startswith(("WRONG", "stopped"))]
    found += [f"{row.work}, {row.contestant}: {row.note}" for row in failed]
    return found


def machine() -> dict[str, Any]:
    """The processor, the system and the versions of everything."""
    cpu = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        cpu = names[0] if names else cpu
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {"cpu": cpu, "system": platform.platform(), "versions": versions}


def write(folder: Path, rows: list[Row], facts: dict[str, Any]) -> str:
    """Write bench.json, bench.md and readme.md; gives the text of the second."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {**facts, "rows": [asdict(row) for row in rows]}
    (folder / "bench.json").write_text(json.dumps(whole, indent=1) + "\n")
    (folder / "readme.md").write_text(readme(rows, facts))
    text = "# Benchmark\n\n"
    text += "".join(f"- {name}: {_plain(value)}\n" for name, value in facts.items())
    text += "\n" + _table([list(HEADINGS), *(row.cells() for row in rows)])
    (folder / "bench.md").write_text(text)
    return text


def read(folder: Path) -> tuple[list[Row], dict[str, Any]]:
    """The rows and the facts of an earlier run."""
    facts = json.loads((folder / "bench.json").read_text())
    return [Row(**saved) for saved in facts.pop("rows")], facts


def readme(rows: list[Row], facts: dict[str, Any]) -> str:
    """What README.md shows: a table for each group, of the medians of its headline works."""
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    text = f"Medians on {facts['cpu']}, {facts['threads']} threads, {facts['date']} ({versions})"
    text += f"{_worthless(facts)}.\n"
    shown = [row for row in rows if row.headline]
    for group in dict.fromkeys(row.group for row in shown):
        of_group = [row for row in shown if row.group == group]
        names = list(dict.fromkeys(row.contestant for row in of_group if row.median))
        names.sort(key=lambda name: not name.startswith("ours"))
        cells = [[group, *names]]
        for work in dict.fromkeys(row.work for row in of_group):
            medians = {r.contestant: r.median for r in of_group if r.work == work and r.median}
            best = min(medians.values(), default=None)
            cells.append([work, *(_cell(medians.get(name), best) for name in names)])
        text += "\n" + _table(cells)
    return text


def _cell(seconds: float | None, best: float | None) -> str:
    if seconds is None:
        return ""
    return f"**{duration(seconds)}**" if seconds == best else duration(seconds)


def _worthless(facts: dict[str, Any]) -> str:
    reasons = facts["worth nothing, because"]
    return f"; worth nothing, because {'; '.join(reasons)}" if reasons else ""


def _table(cells: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [[c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in cells]
    lines.insert(1, ["-" * w for w in widths])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    if isinstance(value, list):
        return "; ".join(map(str, value)) or "none"
    return str(value)
