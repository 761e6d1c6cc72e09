"""What figures look like, whatever they show: their size, labels, colours; and thinned curves."""

import csv
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from matplotlib.lines import Line2D
from matplotlib.text import Text

import experiments
from experiments.record.curves import MOST, STYLES, looks, spread, thinned
from experiments.record.figure import Sheet
from experiments.record.svg import STYLE, adapted
from experiments.registry import EXPERIMENTS
from tests.driving import host_only

pytestmark = host_only
BUDGET = 250_000  # bytes of an SVG


@pytest.fixture(scope="module", params=EXPERIMENTS)
def drawn(request, tmp_path_factory):
    """The quick form of an experiment, drawn."""
    out = tmp_path_factory.mktemp(request.param)
    settings = EXPERIMENTS[request.param].settings
    data = {"data": "digits"} if hasattr(settings, "data") else {}
    result = experiments.run(request.param, quick=True, **data)
    result.save(out)
    return result, out


def test_an_svg_is_small_and_has_the_colours_of_the_page_around_it(drawn):
    result, out = drawn
    svg = (out / "figure.svg").read_text("utf-8")
    assert len(svg) < BUDGET
    assert f"<title>{result.verdict}</title>" in svg.replace("&gt;", ">")
    assert svg.count("currentColor") > 20
    # black, white and greys would vanish on some page; what is grey is transparent instead
    assert not re.findall(r"#([0-9a-fA-F]{2})\1\1\b", svg.replace(STYLE, ""))


def test_curves_have_few_points_and_all_are_in_the_table(drawn):
    result, out = drawn
    with open(out / "figure.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    for panel in result.sheet.panels:
        rows = [row for row in table if row["panel"] == panel.name]
        curves = [curve for _, curve in panel.curves]
        for curve in curves:
            assert len(curve.get_xydata()) <= MOST or curve.get_rasterized()
        assert sum(len(curve.get_xydata()) for curve in curves) <= len(rows)


def test_the_head_says_verdict_formula_and_settings(drawn):
    result, _ = drawn
    title, *rest = (text for text, _, _ in result.sheet.head)
    assert result.verdict.startswith(title)
    assert len(result.verdict) < 240
    settings = " ".join(rest)
    if "online" in result.experiment.name:
        for said in (r"\alpha_t = 0.5/\sqrt{t}", "x_1 = 0", "T = 5000"):
            assert said in settings


def test_no_label_lies_over_another(drawn):
    result, _ = drawn
    figure = result.figure
    figure.draw_without_rendering()
    for axes in figure.axes:
        beside = [t for t in axes.texts if t.get_text() and t.get_unitless_position()[0] > 1]
        boxes = [Text.get_window_extent(text) for text in beside]  # without their arrows
        for i, one in enumerate(boxes):
            for other in boxes[:i]:
                if min(one.x1, other.x1) > max(one.x0, other.x0):
                    overlap = min(one.y1, other.y1) - max(one.y0, other.y0)
                    assert overlap < 0.3 * min(one.height, other.height), axes.get_title("left")


def test_no_text_is_cut_off_at_the_edge(drawn):
    figure = drawn[0].figure
    figure.draw_without_rendering()
    inside = [one for axes in figure.axes for one in axes.get_children()]  # titles too
    for text in (*figure.texts, *inside):
        if isinstance(text, Text) and text.get_text():
            box = text.get_window_extent()
            assert -1 <= box.x0 and box.x1 <= figure.bbox.width + 1, text.get_text()


def test_no_lead_to_a_label_crosses_another(drawn):
    result, _ = drawn
    for axes in result.figure.axes:
        leads = [a for a in axes.artists if isinstance(a, Line2D)]
        ends = sorted(tuple(lead.get_ydata()[1:]) for lead in leads)  # at the edge, and beside it
        assert [after for _, after in ends] == sorted(after for _, after in ends)


def test_every_rule_differs_in_grey_from_the_others():
    """By its line and marker, without its colour."""
    assert len({style[1:] for style in STYLES.values()}) == len(STYLES)
    assert len({style[2] for style in STYLES.values()}) == len(STYLES)
    mixed = looks(["Adam", "Yogi", "AMSGrad", "NosAdam", "AdaX"])
    assert len({style["marker"] for style in mixed.values()}) == len(mixed)


@given(some.integers(0, 5000), some.integers(0, 999))
def test_a_thinned_curve_keeps_its_ends_and_peaks(size, seed):
    y = np.random.default_rng(seed).standard_normal(size)
    kept = thinned(y, y)
    assert len(kept) <= MOST and (np.diff(kept) > 0).all()
    if size <= MOST:
        assert len(kept) == size
    else:
        assert y[kept].max() == y.max() and y[kept].min() == y.min()


def test_a_thinned_curve_keeps_its_gaps():
    y = np.arange(5000.0)
    y[[7, 2500]] = np.nan
    kept = thinned(y, y)
    assert len(kept) <= MOST and {7, 2500} <= set(kept) and {0, 4999} <= set(kept)


def test_a_thinned_band_keeps_its_widest_place():
    low, high = np.zeros(5000), np.zeros(5000)
    low[1234], high[4321] = -1, 1
    kept = thinned(low, high)
    assert {1234, 4321} <= set(kept)


@given(some.lists(some.floats(0, 100), min_size=1, max_size=8))
def test_labels_are_spread_as_little_as_needed(wanted):
    wanted = np.array(wanted)
    places = spread(wanted, 10.0, 100.0)
    assert (np.diff(np.sort(places)) >= 10 - 1e-9).all()
    assert places.min() >= -1e-9 and places.max() <= 100 + 1e-9
    assert (np.argsort(places, kind="stable") == np.argsort(wanted, kind="stable")).all()
    if len(wanted) == 1 or np.diff(np.sort(wanted)).min() >= 10:
        np.testing.assert_allclose(places, wanted, atol=1e-9)


def test_two_labels_that_meet_move_apart_by_the_same():
    np.testing.assert_allclose(spread(np.array([50.0, 50.0]), 10.0, 100.0), [45.0, 55.0])


def test_svg_black_is_the_colour_of_the_page():
    svg = '<svg width="1"><path style="stroke: #000000"/><path style="stroke: #0000ff"/></svg>'
    changed = adapted(svg)
    assert re.match(r'<svg fill="currentColor" width="1"><style>svg:root', changed)
    assert "stroke: currentColor" in changed and "#0000ff" in changed


def test_a_line_and_its_band_are_outlined():
    sheet = Sheet("title", "$x$", "settings", rows=1, columns=1)
    panel = sheet.panel(0, 0, "panel", "x", "y")
    x = np.arange(3)
    panel.line("a", x, x, x - 1, x + 1, color="#123456")
    edges = [tuple(line.get_ydata()) for line in panel.axes.lines]
    assert (-1, 0, 1) in edges and (1, 2, 3) in edges
    rows = [["a", 0, 0, -1, 1], ["a", 1, 1, 0, 2], ["a", 2, 2, 1, 3]]
    assert [row[1:] for row in panel.rows] == rows


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("size", [0, 5, 3 * MOST])
def test_a_panel_without_a_point_is_drawn(scale, value, size):
    x, y = np.arange(1.0, size + 1), np.full(size, value)
    look = {"color": "black", "marker": "o"}
    for what in ("line", "band", "points", "ranges"):
        sheet = Sheet("title", "", "settings", rows=1, columns=1)
        panel = sheet.panel(0, 0, "panel", "x", "y")
        if what == "ranges" and size:
            panel.ranges({"a": y}, {"a": look})
        elif what == "points":
            panel.points("a", x, y, end="a", **look)
        else:
            panel.line("a", x, y, *([y, y] if what == "band" else []), **look)
        panel.axes.set(xscale=scale, yscale="linear" if what == "ranges" else scale)
        sheet.finish().draw_without_rendering()
        assert panel.rows or not size
