"""Rows of times with their ratios and bars, and the two files that hold them."""

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

PACKAGES = ("numpy", "torch", "jax", "jaxlib", "optax", "autograd")
HEADINGS = ("work", "contestant", "median", "min", "spread", "ours / it", "bar", "verdict")
ABSENT = "absent: pip install -e .[bench]"
IDLE_LOAD, STEADY = 0.5, 0.15  # above these, a load average and a spread mean a busy machine


@dataclass
class Row:
    """One contestant at one piece of work: the seconds of each round, and what is asked of it."""

    work: str
    contestant: str
    times: list[float] = field(default_factory=list)
    threads: str = ""
    median: float | None = None
    ratio: float | None = None  # our median over its median
    spread: float = 0.0  # the interquartile range over the median
    value: str = ""  # what was measured, where that is no time
    bar: str = ""
    verdict: str = ""

    def __post_init__(self) -> None:
        if self.times:
            self.median = median(self.times)
            low, _, high = quantiles(self.times, n=4)
            self.spread = (high - low) / self.median

    def judge(self, bar: str, passed: bool) -> None:
        """Hold the row to a bar."""
        self.bar, self.verdict = bar, "PASS" if passed else "MISS"

    def cells(self) -> list[str]:
        """The row as it is printed."""
        figures = [self.value, "", "", ""]
        if self.median is not None:
            times = [_duration(self.median), _duration(min(self.times)), f"{self.spread:.0%}"]
            figures = [*times, f"{self.ratio:.2f}"]
        return [self.work, self.contestant, *figures, self.bar, self.verdict]


def rows_of(work: str, times: dict[str, list[float]], bars: dict[str, float]) -> list[Row]:
    """A row per contestant, "ours" among them.

    A bar is the most that our median over theirs may be; its key is the start of the names that
    it holds for, of which the fastest counts.
    """
    rows = {name: Row(work, name, seconds) for name, seconds in times.items()}
    for row in rows.values():
        row.ratio = rows["ours"].median / row.median if row.times else None
    for start, bar in bars.items():
        rivals = [row for name, row in rows.items() if name.startswith(start)]
        fastest = max(rivals, key=lambda row: row.ratio or 0)
        fastest.judge(f"<= {bar}", (fastest.ratio or 0) <= bar)
    for row in rows.values():
        if not row.times:
            row.verdict = ABSENT
    return list(rows.values())


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
    wide = [row for row in rows if row.spread > STEADY]
    if wide:
        worst = max(wide, key=lambda row: row.spread)
        found.append(
            f"{len(wide)} of {len(rows)} rows spread by more than {STEADY:.0%}, "
            f"up to {worst.spread:.0%} ({worst.work}, {worst.contestant})"
        )
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
    """Write bench.json and bench.md; gives the text of the second."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {**facts, "rows": [asdict(row) for row in rows]}
    (folder / "bench.json").write_text(json.dumps(whole, indent=1) + "\n")
    text = "# Benchmark\n\n"
    text += "".join(f"- {name}: {_plain(value)}\n" for name, value in facts.items())
    text += "\n" + _table([list(HEADINGS), *(row.cells() for row in rows)])
    (folder / "bench.md").write_text(text)
    return text


def _table(cells: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [[c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in cells]
    lines.insert(1, ["-" * w for w in widths])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    if isinstance(value, list):
        return "; ".join(value) or "none"
    return str(value)


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
