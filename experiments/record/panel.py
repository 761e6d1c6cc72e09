"""One set of axes, which writes down what it shows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.record.curves import spread, thinned

GREY = (0, 0, 0, 0.6)  # black, so that it turns light on a dark page
SMALL = 8.5  # points, of the letters beside and inside the axes
BETAS = 0, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999  # ticks
MANY = 200  # markers; more are an image inside the SVG


class Panel:
    """The axes; what is drawn on them goes into `rows`, those of the CSV file."""

    def __init__(self, axes: Any, rows: list[list[Any]], title: str, x: str, y: str):
        self.axes, self.rows, self.name = axes, rows, title
        self.curves: list[tuple[str, Any]] = []  # those to label at their ends
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.spines[["top", "right"]].set_visible(False)

    def line(
        self,
        label: str,
        x: Any,
        y: Any,
        low: Any = None,
        high: Any = None,
        *,
        end: str | None = None,
        **options: Any,
    ) -> None:
        """A curve with its outlined band, if any; `end`, by default the label, is set beside it."""
        x, y = np.asarray(x), np.asarray(y)
        band = low is not None
        low, high = (low, high) if band else (y, y)
        kept = thinned(low, high)
        x, y, low, high = x[kept], y[kept], low[kept], high[kept]
        # matplotlib places no markers along a curve that has no points
        seen = (np.isfinite(x) & np.isfinite(y)).any()
        every = {"markevery": 0.12} if seen else {}
        options = {"linewidth": 1.4, "markersize": 4} | every | options
        (curve,) = self.axes.plot(x, y, **options)
        color = curve.get_color()
        if band:
            self.axes.fill_between(x, low, high, color=color, alpha=0.12, linewidth=0)
            self.axes.plot(x, low, x, high, color=color, linewidth=0.6)
        self.curves.append((label if end is None else end, curve))
        self.rows += [[self.name, label, *one] for one in zip(x, y, low, high, strict=True)]

    def points(self, label: str, x: Any, y: Any, *, end: str = "", **options: Any) -> None:
        """Markers without a line; `end` is set beside the axes."""
        options = {"linestyle": "none", "rasterized": len(x) > MANY} | options
        (markers,) = self.axes.plot(x, y, **options)
        self.curves.append((end, markers))
        self.rows += [[self.name, label, *one, "", ""] for one in zip(x, y, strict=True)]

    def ranges(
        self,
        values: Mapping[str, np.ndarray],
        looks: Mapping[str, Any],
        notes: Mapping[str, str] | None = None,
        at: str = "mean",
    ) -> None:
        """A row for each label, from the top: its values' mean or last as a marker, their range,
        and a note."""
        for place, (label, value) in enumerate(values.items()):
            low, high = value.min(), value.max()
            mean = value.mean() if at == "mean" else value[-1]
            color, marker = looks[label]["color"], looks[label]["marker"]
            face = looks[label].get("markerfacecolor", color)
            self.axes.plot([low, high], [place, place], color=color, linewidth=1.4)
            style = {"color": color, "marker": marker, "markerfacecolor": face, "markersize": 6}
            self.axes.plot([mean], [place], **style)
            beside = {"xycoords": self.axes.get_yaxis_transform(), "annotation_clip": False}
            look = {"fontsize": SMALL, "va": "center", "color": color}
            self.axes.annotate((notes or {}).get(label, ""), (1.02, place), **look, **beside)
            self.rows.append([self.name, label, mean, place, low, high])
        self.axes.set_yticks(range(len(values)), list(values))
        self.axes.set_ylim(len(values) - 0.5, -0.5)
        # Numbers of many digits would run together
        self.axes.locator_params("x", nbins=6, steps=[1, 2, 5, 10])

    def keys(self, markers: Mapping[str, str]) -> None:
        """A legend of what the markers mean."""
        for text, marker in markers.items():
            style = {"linestyle": "none", "color": "black", "markerfacecolor": "none"}
            self.axes.plot([], [], marker=marker, label=text, **style)
        self.axes.legend(fontsize=SMALL, frameon=False, loc="best")

    def signs(self, x: Any, y: Any, values: np.ndarray, colors: Sequence[str]) -> None:
        """Light areas in two colours, where the values, (y, x), are at most 0, and above."""
        from matplotlib.colors import ListedColormap

        options = {"shading": "nearest", "rasterized": True, "alpha": 0.25}
        self.axes.pcolormesh(x, y, values > 0, cmap=ListedColormap([*colors]), **options)

    def limit(self, y: float, text: str, side: str = "left") -> None:
        """A horizontal line that is known beforehand, named at one side."""
        self.axes.axhline(y, color=GREY, linewidth=0.8, linestyle=(0, (6, 3)))
        left, below = side == "left", y < 0
        self.axes.annotate(
            text,
            (0 if left else 1, y),
            (4 if left else -4, -2 if below else 2),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha=side,
            va="top" if below else "bottom",
            fontsize=SMALL,
            color=GREY,
        )
        self.rows.append([self.name, text, "", y, "", ""])

    def tag(
        self, text: str, x: float, y: float, offset: tuple[float, float] = (4, 2), **options: Any
    ) -> None:
        """A name beside a point, by default just above and right of it."""
        options = {"fontsize": SMALL, "textcoords": "offset points", "va": "bottom"} | options
        self.axes.annotate(text, (x, y), offset, **options)

    def note(self, text: str, x: float, y: float, **options: Any) -> None:
        """A remark at a place in fractions of the axes."""
        options = {"fontsize": SMALL, "xycoords": "axes fraction", "va": "center"} | options
        self.axes.annotate(text, (x, y), **options)

    def beta_axis(self, name: str, least: float) -> None:
        """Make the axis x or y one of a beta, by -log10(1 - beta), from 0 to 1 - least."""
        set_scale, set_limits, set_ticks = (
            getattr(self.axes, f"set_{name}{part}") for part in ("scale", "lim", "ticks")
        )
        set_scale("function", functions=(_depth, _undone))
        set_limits(0, 1 - least)
        ticks = [tick for tick in BETAS if tick <= 1 - least]
        set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        self.axes.minorticks_off()

    def thin_ticks(self) -> None:
        """Label a logarithmic axis that is short at a few numbers, written out, and let one without
        a number, for which matplotlib has no ticks, go from 1 to 10."""
        from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

        for axis in (self.axes.xaxis, self.axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            if axis.get_scale() == "log":
                if low <= 0 or not np.isfinite(high):
                    low, high = getattr(self.axes, f"set_{axis.axis_name}lim")(1, 10)
                axis.set_minor_formatter(NullFormatter())
                if high < 50 * low:
                    few = MaxNLocator(5) if high < 4 * low else LogLocator(subs=(1, 2, 5))
                    axis.set_major_locator(few)
                    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))

    def label_curves(self) -> None:
        """Name the curves at the right of the axes, each at the height of its last point or near,
        none over another; of those that end at one height the first is the highest."""
        ends = [(text, curve, self._last_point(curve)) for text, curve in self.curves[::-1] if text]
        ends = [end for end in ends if end[2] is not None]
        if not ends:
            return
        from matplotlib.lines import Line2D

        height = self.axes.bbox.height / self.axes.figure.dpi * 72
        apart = 1.25 * SMALL * max(text.count("\n") + 1 for text, *_ in ends)
        places = spread(np.array([y for _, _, (_, y) in ends]) * height, apart, height)
        for (text, curve, (x, y)), place in zip(ends, places / height, strict=True):
            look = {"color": curve.get_color(), "clip_on": False}
            look["transform"] = self.axes.transAxes
            # Level up to the edge of the axes, so that no two of them cross
            lead = Line2D([x, max(x, 1), 1.035], [y, y, place], linewidth=0.5, alpha=0.6, **look)
            self.axes.add_artist(lead)
            self.axes.text(1.04, place, text, va="center", fontsize=SMALL, **look)

    def _last_point(self, curve: Any) -> Any:
        """The last point of a curve inside the axes, in fractions of them; None if all are out."""
        with np.errstate(all="ignore"):  # of a logarithm
            points = self.axes.transData.transform(np.column_stack(curve.get_data()))
        points = self.axes.transAxes.inverted().transform(points)
        points = points[(np.abs(points - 0.5) < 0.51).all(axis=1)]
        return points[-1] if len(points) else None


def _depth(beta: Any) -> Any:
    """Where a beta stands on its axis: 0 at 0, 1 at 0.9, 2 at 0.99, and so on."""
    with np.errstate(all="ignore"):
        return -np.log10(1 - np.asarray(beta, dtype=float))


def _undone(depth: Any) -> Any:
    return 1 - 10.0 ** -np.asarray(depth, dtype=float)
