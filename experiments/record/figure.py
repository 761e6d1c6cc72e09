"""Figures and, beside them, the numbers that they show.

A figure says under its title, which is what it shows, the formula of the problem and the settings;
its curves are labelled at their ends. What is drawn through a Panel is also a row of the CSV file,
so that the two cannot differ. Texts and axes are black, which in the SVG is the colour of the page
around it.
"""

import csv
import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments.record.panel import GREY, Panel
from experiments.record.svg import adapted
from minigrad.checkpoint import atomic_write

DPI = 150
MARGIN = 0.1  # inches
LETTERS, SMALL_LETTERS = 7.7, 13  # of a title and of other lines, an inch


@contextmanager
def own_style() -> Iterator[None]:
    """Inside, matplotlib draws as it comes, whatever the user's matplotlibrc says."""
    import matplotlib.style  # not at import: only the drawing process needs it

    with matplotlib.style.context(["default", {"svg.hashsalt": "minigrad"}]):
        yield


class Sheet:
    """A figure of rows and columns of panels, each of the given size in inches, under its head."""

    def __init__(
        self,
        title: str,
        formula: str,
        settings: str,
        *,
        rows: int,
        columns: int,
        size: tuple[float, float] = (5.4, 3.5),
        ratios: Sequence[float] | None = None,
    ):
        from matplotlib.figure import Figure

        self.title, self.width, self.height = title, size[0] * columns, size[1] * rows
        self.figure = Figure(layout="constrained", dpi=DPI)
        self.grid = self.figure.add_gridspec(rows, columns, width_ratios=ratios)
        self.panels: list[Panel] = []
        self.head: list[tuple[str, float, dict[str, Any]]] = []  # lines, and their size in points
        self.rows: list[list[Any]] = []
        self.tables: dict[str, list[Any]] = {}  # what else there is to save: lines, headings first
        for line in textwrap.wrap(title, int(self.width * LETTERS)):
            self.head.append((line, 12.5, {"fontweight": "bold"}))
        if formula:
            self.head.append((formula, 11, {}))
        self.remark(settings)

    def remark(self, text: str) -> None:
        """Add small lines to the head: mathtext as it is, and other text wrapped."""
        lines = [text] if "$" in text else textwrap.wrap(text, int(self.width * SMALL_LETTERS))
        self.head += [(line, 9, {"color": GREY}) for line in lines if line]

    def panel(self, row: Any, column: Any, title: str, x: str, y: str, **options: Any) -> Panel:
        """The axes at that place, or over a slice of places."""
        axes = self.figure.add_subplot(self.grid[row, column], **options)
        self.panels.append(Panel(axes, self.rows, title, x, y))
        return self.panels[-1]

    def finish(self) -> Any:
        """The figure with its head and labels set, which is the last that may be done to it."""
        above = MARGIN + sum(1.7 * points / 72 for _, points, _ in self.head)
        height = self.height + above
        self.figure.set_size_inches(self.width, height)
        self.figure.get_layout_engine().set(rect=(0, 0, 1, 1 - above / height), wspace=0.04)
        top = height - MARGIN
        for text, points, look in self.head:
            place = MARGIN / self.width, top / height
            self.figure.text(*place, text, fontsize=points, va="top", **look)
            top -= 1.7 * points / 72
        for panel in self.panels:
            panel.thin_ticks()
        self.figure.draw_without_rendering()  # the axes get the size that they will have, about
        for panel in self.panels:
            panel.label_curves()
        return self.figure

    def save(self, directory: Path) -> list[Path]:
        """Write figure.png, figure.svg, figure.csv and the other tables, each whole."""
        figure = self.finish()
        png, svg = (directory / f"figure.{end}" for end in ("png", "svg"))
        with atomic_write(png) as file:
            figure.savefig(file, format="png", metadata={"Software": None})
        figure.set_layout_engine("none")  # it has done its work, and is slow
        text = io.StringIO(newline="")
        metadata = {"Date": None, "Title": self.title}
        figure.savefig(text, format="svg", transparent=True, metadata=metadata)
        with atomic_write(svg) as file:
            file.write(adapted(text.getvalue()).encode())
        of_figure = [["panel", "series", "x", "y", "low", "high"], *self.rows]
        tables = {"figure": of_figure, **self.tables}
        return [png, svg, *(_write(directory / f"{n}.csv", rows) for n, rows in tables.items())]


def _write(path: Path, rows: list[Any]) -> Path:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())
    return path
