"""Rows of times with their ratios, and the bars that they are held to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

HEADINGS = (
    "work",
    "threads",
    "contestant",
    "median",
    "min",
    "spread",
    "ours / it",
    "GB/s",
    "memory",
    "bar",
    "verdict",
)


@dataclass(frozen=True)
class Bar:
    """Our median is at most so many times that of the fastest of those whose names start so, or,
    if more, at most so many seconds over it."""

    names: str | tuple[str, ...]
    ratio: float
    slack: float = 0.0

    def allows(self, ours: float, theirs: float) -> bool:
        return ours <= self.ratio * theirs or 0 < self.slack >= ours - theirs

    def __str__(self) -> str:
        return f"<= {self.ratio:g}" + (f" or +{duration(self.slack)}" if self.slack else "")


@dataclass
class Row:
    """One contestant at one piece of work: the seconds of each round, and what is asked of it."""

    work: str
    contestant: str
    times: list[float] = field(default_factory=list)
    group: str = ""
    headline: bool = False  # the README shows it
    threads: int = 0  # that it was held to
    pools: str = ""  # the threads that its libraries report
    median: float | None = None
    ratio: float | None = None  # our median over its median
    spread: float = 0.0  # the interquartile range over the median
    value: str = ""  # what was measured, where that is no time
    size: int = 0  # parameters, where there are only these
    moved: int = 0  # the bytes that must be read and written
    bandwidth: float = 0.0  # bytes per second of this machine
    peak: int | None = None  # the most bytes of memory, beyond those after the imports
    note: str = ""
    bar: str = ""
    verdict: str = ""

    def __post_init__(self) -> None:
        if self.times:
            self.median = median(self.times)
            low, _, high = quantiles(self.times, n=4)
            self.spread = (high - low) / self.median

    @property
    def rate(self) -> float | None:
        """Bytes per second."""
        return self.moved / self.median if self.moved and self.median else None

    def judge(self, bar: str, passed: bool) -> None:
        """Hold the row to a bar."""
        self.bar, self.verdict = bar, "PASS" if passed else "MISS"

    def cells(self) -> list[str]:
        """The row as it is printed."""
        figures = [self.value, "", "", "", ""]
        if self.median is not None:
            times = [duration(self.median), duration(min(self.times)), f"{self.spread:.0%}"]
            rate = f"{self.rate / 1e9:.3g}" if self.rate else ""
            if self.rate and self.bandwidth:
                rate += f" ({self.rate / self.bandwidth:.0%})"
            figures = [*times, f"{self.ratio:.2f}" if self.ratio else "", rate]
        memory = "" if self.peak is None else f"{self.peak / 1e6:.0f} MB"
        ruling = ", ".join(filter(None, (self.verdict, self.note)))
        threads = str(self.threads or "")
        return [self.work, threads, self.contestant, *figures, memory, self.bar, ruling]


def rows_of(work: str, times: dict[str, list[float]], bars: Sequence[Bar] = ()) -> list[Row]:
    """A row per contestant, "ours" among them; where there are no times, it was absent."""
    rows = {name: Row(work, name, seconds) for name, seconds in times.items()}
    ours = rows["ours"].median
    if ours is None:
        return list(rows.values())
    for row in rows.values():
        row.ratio = ours / row.median if row.median else None
    for bar in bars:
        rivals = [row for name, row in rows.items() if row.median and name.startswith(bar.names)]
        if rivals:
            fastest = min(rivals, key=lambda row: row.median or 0)
            fastest.judge(str(bar), bar.allows(ours, fastest.median or 0))
    return list(rows.values())


def duration(seconds: float) -> str:
    """In the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
