"""Figures and, beside them, the numbers that they show.

What is drawn through a Panel is also a row of the CSV file, so that the two cannot differ.
"""

import csv
import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.checkpoint import atomic_write

# Okabe and Ito's colours, which colour-blind readers can tell apart; one style for each label
STYLES = {
    "SGD": ("#000000", ":"),
    "AdaGrad": ("#E69F00", "-."),
    "Adam": ("#D55E00", "-"),
    "PaperAdam": ("#CC79A7", "--"),
    "AMSGrad": ("#0072B2", "-"),
    "AdamNC": ("#009E73", "--"),
    "AMSGradTorch": ("#56B4E9", "--"),
    "AMSGradKeras": ("#009E73", ":"),
    "AMSGradOptax": ("#E69F00", "-."),
    "LeakyAMSGrad": ("#000000", "-."),
}


@contextmanager
def own_style() -> Iterator[None]:
    """Inside, matplotlib draws as it comes, whatever the user's matplotlibrc says."""
    import matplotlib.style  # not at import: only the drawing process needs it

    with matplotlib.style.context(["default", {"svg.hashsalt": "minigrad"}]):
        yield


class Panel:
    """One set of axes."""

    def __init__(self, axes: Any, rows: list[list[Any]], title: str, x: str, y: str):
        self.axes, self.rows, self.name = axes, rows, title.replace("\n", ", ")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(x)
        axes.set_ylabel(y)

    def line(
        self,
        label: str,
        x: Sequence[float] | np.ndarray,
        y: np.ndarray,
        low: np.ndarray | None = None,
        high: np.ndarray | None = None,
        style: str | None = None,
        **options: Any,
    ) -> None:
        """A curve with its band, if any; `style` names a label of STYLES to look like."""
        color, dashes = STYLES[style or label.split()[0]]
        options = {"color": color, "linestyle": dashes, "linewidth": 1.4, **options}
        self.axes.plot(x, y, label=label, **options)
        if low is not None and high is not None:
            self.axes.fill_between(x, low, high, color=options["color"], alpha=0.15, linewidth=0)
        ends = [low if low is not None else y, high if high is not None else y]
        for values in zip(x, y, *ends, strict=True):
            self.rows.append([self.name, label, *values])

    def limit(self, y: float, text: str) -> None:
        """A horizontal line that is known beforehand."""
        self.axes.axhline(y, color="0.5", linewidth=0.8, linestyle=(0, (6, 3)))
        self.axes.annotate(
            text,
            (0, y),
            xycoords=("axes fraction", "data"),
            xytext=(4, 2 if y >= 0 else -2),
            textcoords="offset points",
            va="bottom" if y >= 0 else "top",
            fontsize=8,
            color="0.35",
        )
        self.rows.append([self.name, text, "", y, "", ""])


class Sheet:
    """A figure of rows and columns of panels, each of the given size in inches."""

    def __init__(
        self,
        title: str,
        rows: int,
        columns: int,
        note: str = "",
        size: tuple[float, float] = (4.6, 3.4),
    ):
        from matplotlib.figure import Figure

        width, height = size[0] * columns, size[1] * rows + 0.6
        self.figure = Figure(figsize=(width, height), layout="constrained", dpi=150)
        self.heading: list[str] = []
        self.remark(title)
        self.remark(note)
        self.grid = self.figure.add_gridspec(rows, columns)
        self.rows: list[list[Any]] = []

    def remark(self, text: str) -> None:
        """Add a paragraph to the heading."""
        self.heading += textwrap.wrap(text, int(12 * self.figure.get_figwidth()))
        self.figure.suptitle("\n".join(self.heading), fontsize=11)

    def panel(self, row: int, column: int, title: str, x: str, y: str) -> Panel:
        """The axes at that place."""
        return Panel(self.figure.add_subplot(self.grid[row, column]), self.rows, title, x, y)

    def legend(self, panel: Panel) -> None:
        """One legend for the whole figure, of the curves in `panel`."""
        handles, labels = panel.axes.get_legend_handles_labels()
        self.figure.legend(
            handles, labels, loc="outside lower center", ncols=6, fontsize=8, frameon=False
        )

    def save(self, directory: Path) -> list[Path]:
        """Write figure.png, .svg and .csv, each whole; in `own_style` the same bytes each time."""
        png, svg, table = (directory / f"figure.{end}" for end in ("png", "svg", "csv"))
        with atomic_write(png) as file:
            self.figure.savefig(file, format="png", metadata={"Software": None})
        self.figure.set_layout_engine("none")  # it has done its work, and is slow
        with atomic_write(svg) as file:
            self.figure.savefig(file, format="svg", metadata={"Date": None})
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["panel", "series", "x", "y", "low", "high"])
        writer.writerows(self.rows)
        with atomic_write(table) as file:
            file.write(text.getvalue().encode())
        return [png, svg, table]
