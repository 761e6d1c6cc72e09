"""The figure of a run: `python -m benchmarks.figure runs/bench` draws it again."""

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.report import read
from benchmarks.rows import Row
from experiments.record.figure import own_style

# Okabe and Ito's colours, as in the experiments: one for each library, a marker for each form of it
STYLES = {
    "ours": ("#D55E00", "o"),
    "ours numba": ("#D55E00", "D"),
    "by hand": ("#000000", "|"),
    "by hand numba": ("#000000", "+"),
    "textbook": ("#000000", "x"),
    "products": ("#000000", "1"),
    "torch": ("#0072B2", "s"),
    "torch default": ("#0072B2", "s"),
    "torch foreach": ("#0072B2", "v"),
    "torch fused": ("#0072B2", "^"),
    "torch compiled": ("#0072B2", "D"),
    "torch loop": ("#0072B2", "p"),
    "torch 1x1": ("#0072B2", "*"),
    "jax": ("#009E73", "P"),
    "jax jit": ("#009E73", "X"),
    "jax scan": ("#009E73", "<"),
    "jax scan and compile": ("#009E73", ">"),
    "autograd": ("#E69F00", "h"),
    "mygrad": ("#CC79A7", "*"),
    "tinygrad": ("#56B4E9", "d"),
}
GREY = {"color": "0.5", "linewidth": 0.8}
PARAMETERS = "10,000,000 parameters"


@own_style()
def draw(rows: list[Row], facts: dict[str, Any], folder: Path) -> None:
    """Write bench.png and bench.svg."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 9.5), layout="constrained", dpi=120)
    title = f"{facts['date']}, {facts['cpu']}, threads: {facts['threads']}"
    if doubts := facts["worth nothing, because"]:
        title += "\n" + textwrap.fill(f"worth nothing, because {'; '.join(doubts)}", 150)
    figure.suptitle(title, fontsize=9)
    panels = figure.subplots(2, 3)

    groups = {row.group: [] for row in rows}
    for row in rows:
        if row.headline and row.median:
            groups[row.group].append(row)
    training, optimizers, graphs, reddi = (
        groups.get(name, []) for name in ("training", "optimizers", "graphs", "reddi")
    )
    _dots(panels[0, 0], training, "a training step", "time over ours", _over_ours)
    _dots(panels[0, 1], optimizers, f"a step over {PARAMETERS}", "time over ours", _over_ours)
    adam = [row for row in rows if row.group == "optimizers" and row.work.startswith("Adam,")]
    _rates(panels[0, 2], adam, facts["threads"])
    _dots(panels[1, 0], training, "memory of training", "MB beyond the imports", _megabytes)
    _dots(panels[1, 1], reddi, "Reddi's problem", "seconds", lambda row: row.median or 0)
    _dots(panels[1, 2], graphs, "autograd, an op", "us", lambda row: 1e6 * (row.median or 0))

    handles: dict[str, Any] = {}
    for axes in panels.flat:
        found, labels = axes.get_legend_handles_labels()
        handles = dict(zip(labels, found, strict=True)) | handles
    names = [name for name in STYLES if name in handles]
    options = {"loc": "outside lower center", "ncols": 9, "fontsize": 8, "frameon": False}
    figure.legend([handles[name] for name in names], names, **options)
    figure.savefig(folder / "bench.png", metadata={"Software": None})
    figure.savefig(folder / "bench.svg", metadata={"Date": None})


def _over_ours(row: Row) -> float:
    return 1 / row.ratios.get("ours", 1)


def _megabytes(row: Row) -> float:
    return (row.peak or 0) / 1e6


def _dots(
    axes: Any, rows: list[Row], title: str, label: str, value: Callable[[Row], float]
) -> None:
    """A line of dots for each work, one of each contestant."""
    axes.set_title(title, fontsize=10)
    if not rows:
        axes.set_axis_off()
        return
    works = list(dict.fromkeys(row.work for row in rows))
    for name in dict.fromkeys(row.contestant for row in rows):
        color, marker = STYLES[name]
        of_name = [row for row in rows if row.contestant == name]
        x, y = [value(row) for row in of_name], [works.index(row.work) for row in of_name]
        axes.plot(x, y, marker, color=color, label=name, markersize=6, alpha=0.8)
    if value is _over_ours:
        axes.axvline(1, **GREY)
    axes.set_xscale("log")
    _plain_ticks(axes.xaxis)
    axes.set_xlabel(label, fontsize=9)
    axes.set_yticks(range(len(works)), [_short(work) for work in works], fontsize=8)
    axes.set_ylim(len(works) - 0.5, -0.5)
    axes.grid(axis="x", color="0.9")


def _rates(axes: Any, rows: list[Row], threads: int) -> None:
    """GB/s over the number of parameters."""
    rows = [row for row in rows if row.rate and row.threads == threads]
    axes.set_title("Adam", fontsize=10)
    if not rows:
        axes.set_axis_off()
        return
    for name in dict.fromkeys(row.contestant for row in rows):
        color, marker = STYLES[name]
        points = [(row.size, (row.rate or 0) / 1e9) for row in rows if row.contestant == name]
        options = {"marker": marker, "color": color, "markersize": 5, "linewidth": 1}
        axes.plot(*zip(*points, strict=True), label=name, **options)
    bandwidth = rows[0].bandwidth / 1e9
    axes.axhline(bandwidth, linestyle=(0, (6, 3)), **GREY)
    options = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    axes.annotate("x += y", (0, bandwidth), xytext=(4, 2), fontsize=8, color="0.35", **options)
    axes.set_xscale("log")
    axes.set_yscale("log")
    _plain_ticks(axes.yaxis)
    axes.set_xlabel("parameters", fontsize=9)
    axes.set_ylabel("GB/s", fontsize=9)
    axes.grid(color="0.9")


def _plain_ticks(axis: Any) -> None:
    """1, 3, 10, 30, ..., written so."""
    from matplotlib.ticker import LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1, 3)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def _short(work: str) -> str:
    for part, shorter in (
        ("Reddi's problem, ", ""),
        (f", {PARAMETERS}", ""),
        (" parameters", ""),
        ("an op in a ", ""),
        (" graph of ", ", "),
        (", batch", "\nbatch"),
        (" steps of ", " steps\nof "),
        (" steps, replayed", " steps\nreplayed"),
    ):
        work = work.replace(part, shorter)
    return work


if __name__ == "__main__":
    draw(*read(Path(sys.argv[1])), Path(sys.argv[1]))
