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
    "numba / it",
    "GB/s",
    "memory",
    "bars",
    "note",
)
OURS = ("ours", "ours numba")  # whose medians are put over those of all


@dataclass(frozen=True)
class Bar:
    """A median of ours is at most so many times that of the fastest of those names, or, if more,
    at most so many seconds over it."""

    names: str | tuple[str, ...]
    ratio: float
    slack: float = 0.0
    whose: str = "ours"

    def meets(self, name: str) -> bool:
        return name in ((self.names,) if isinstance(self.names, str) else self.names)

    def allows(self, ours: float, theirs: float) -> bool:
        return ours <= self.ratio * theirs or 0 < self.slack >= ours - theirs

    def __str__(self) -> str:
        slack = f" or +{duration(self.slack)}" if self.slack else ""
        return f"{self.whose} <= {self.ratio:g}{slack}"


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
    ratios: dict[str, float] = field(default_factory=dict)  # of our medians over its median
    spread: float = 0.0  # the interquartile range over the median
    value: str = ""  # what was measured, where that is no time
    size: int = 0  # parameters, where there are only these
    moved: int = 0  # the bytes that must be read and written
    bandwidth: float = 0.0  # bytes per second of this machine
    peak: int | None = None  # the most bytes of memory, beyond those after the imports
    note: str = ""
    bars: list[str] = field(default_factory=list)  # with their verdicts

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
        """Hold the row to a bar, beside others."""
        self.bars.append(f"{bar}: {'PASS' if passed else 'MISS'}")

    def cells(self) -> list[str]:
        """The row as it is printed."""
        figures = [self.value, "", "", "", "", ""]
        if self.median is not None:
            times = [duration(self.median), duration(min(self.times)), f"{self.spread:.0%}"]
            rate = f"{self.rate / 1e9:.3g}" if self.rate else ""
            if self.rate and self.bandwidth:
                rate += f" ({self.rate / self.bandwidth:.0%})"
            ratios = [f"{self.ratios[name]:.2f}" if name in self.ratios else "" for name in OURS]
            figures = [*times, *ratios, rate]
        memory = "" if self.peak is None else f"{self.peak / 1e6:.0f} MB"
        threads = str(self.threads or "")
        bars = "; ".join(self.bars)
        return [self.work, threads, self.contestant, *figures, memory, bars, self.note]


def rows_of(work: str, times: dict[str, list[float]], bars: Sequence[Bar] = ()) -> list[Row]:
    """A row per contestant, "ours" among them; where there are no times, it was absent."""
    rows = {name: Row(work, name, seconds) for name, seconds in times.items()}
    medians = {name: row.median for name, row in rows.items() if row.median}
    for name, theirs in medians.items():
        rows[name].ratios = {ours: medians[ours] / theirs for ours in OURS if ours in medians}
    for bar in bars:
        rivals = [name for name in medians if bar.meets(name)]
        if rivals and bar.whose in medians:
            fastest = min(rivals, key=medians.__getitem__)
            rows[fastest].judge(str(bar), bar.allows(medians[bar.whose], medians[fastest]))
    return list(rows.values())


def duration(seconds: float) -> str:
    """In the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
