"""Panels out of several tables: what is drawn, how it is named, and what is refused."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from plugins.maths.figures import theme
from plugins.maths.figures.panelplots import draw_panels, filled
from plugins.renderers.panels import Panels
from runner.types import Table

X = np.tile(np.linspace(-2.0, 2.0, 5), 4)
CURVES = Table(
    {
        "beta": np.repeat([1.0, 16.0], 10),
        "seed": np.tile(np.repeat([1, 2], 5), 2),
        "part": ["test", "test", "test", "test", "train"] * 4,
        "x": X,
        "y": np.sin(X),
        "ft": np.sin(X) + np.tile(np.repeat([0.1, 0.3], 5), 2),
    }
)
NUMBERS = Table({"beta": [1.0, 16.0], "rms": [0.25, 0.5], "size": [1e-3, 1e3], "zero": [0.0, 1.0]})
LINE = {"x": "x", "y": "ft", "where": {"beta": 1.0}, "replicate": "seed", "colour": "red"}
DOTS = {"x": "x", "y": "y", "line": False, "dots": 4.0, "colour": "blue", "label": "points"}
TWIN = [
    {"table": "second", "x": "beta", "y": "rms", "colour": "blue"},
    {"table": "second", "x": "beta", "y": "size", "colour": "red", "right": True},
]


def wish(*panels: Any, **parameters: Any) -> Panels:
    given = {"path": "a.png", "panels": list(panels)} | parameters
    return Panels.model_validate_json(json.dumps(given), strict=True)


def figure(plugin: Panels) -> Figure:
    with theme.style():
        drawn = draw_panels(plugin, {"table": CURVES.frame, "second": NUMBERS.frame})
        drawn.draw_without_rendering()
    return drawn


def test_a_line_is_the_mean_over_repeats_with_its_deviation_as_a_band() -> None:
    axes = figure(wish({"marks": [LINE]})).axes[0]
    (line,) = axes.lines
    assert np.allclose(line.get_xdata(), np.linspace(-2, 2, 5))
    assert np.allclose(line.get_ydata(), np.sin(np.linspace(-2, 2, 5)) + 0.2)
    (band,) = [c for c in axes.collections if isinstance(c, PolyCollection)]
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx(np.sin(2) + 0.2 + np.std([0.1, 0.3], ddof=1))


def test_dots_are_the_rows_themselves_each_once() -> None:
    (dots,) = figure(wish({"marks": [DOTS]})).axes[0].lines
    assert len(dots.get_xdata()) == 5
    assert dots.get_linestyle() == "None"
    assert dots.get_markersize() == 4.0


def test_titles_hold_numbers_over_the_first_table_that_has_the_columns() -> None:
    title = (
        "Fitted Function\n(Train: {sum(part == 'train') / unique(seed) / 2:.0f}, "
        "Avg. rms: {mean(rms):.4f})"
    )
    axes = figure(wish({"marks": [LINE], "title": title})).axes[0]
    assert axes.get_title() == "Fitted Function\n(Train: 1, Avg. rms: 0.3750)"
    frames = {"table": CURVES.frame}
    for text, words in (
        ("{mean(rms)}", "no table has the columns"),
        ("{mean(}", "is not an expression"),
        ("{beta}", "has 2 values"),
    ):
        with pytest.raises(ValueError, match=words):
            filled(text, frames)


def test_the_right_axis_is_a_twin_and_a_log_axis_has_powers_of_ten() -> None:
    panel = {"marks": TWIN, "x_scale": "log", "right_scale": "log", "right_label": "size"}
    drawn = figure(wish(panel))
    left, right = drawn.axes
    assert left.get_shared_x_axes().joined(left, right)
    assert right.get_ylabel() == "size"
    assert left.get_yscale() == "linear"
    ticks = [label.get_text() for label in right.get_yticklabels()]
    assert "$10^{0}$" in ticks
    assert [len(axes.lines) for axes in (left, right)] == [1, 1]


def test_hues_are_told_apart_by_colour_or_by_dash() -> None:
    line = {"x": "x", "y": "ft", "hue": "beta", "replicate": "seed"}
    by_colour = figure(wish({"marks": [line]}))
    by_dash = figure(wish({"marks": [line | {"hue_by": "dash", "colour": "blue"}]}))
    assert len({one.get_color() for one in by_colour.axes[0].lines}) == 2
    assert len({one.get_linestyle() for one in by_dash.axes[0].lines}) == 2
    assert len({one.get_color() for one in by_dash.axes[0].lines}) == 1
    words = [text.get_text() for text in by_colour.legends[0].get_texts()]
    assert words == ["beta = 1", "beta = 16"]


def test_a_label_of_several_panels_stands_in_the_legend_once() -> None:
    drawn = figure(wish({"marks": [LINE, DOTS]}, {"marks": [LINE]}, {"marks": [DOTS]}))
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["ft", "points"]


def test_a_band_on_a_log_axis_stays_above_zero() -> None:
    """BUG of earlier implementations: mean - std <= 0 was handed to a log axis."""
    table = Table({"x": [1.0, 1.0, 2.0, 2.0], "seed": [1, 2, 1, 2], "y": [1e-6, 1.0, 0.5, 0.5]})
    plugin = wish({"y_scale": "log", "marks": [{"x": "x", "y": "y", "replicate": "seed"}]})
    with theme.style():
        drawn = draw_panels(plugin, {"table": table.frame})
    (band,) = drawn.axes[0].collections
    assert band.get_paths()[0].vertices[:, 1].min() > 0


def test_what_a_log_axis_cannot_hold_is_counted() -> None:
    mark = {"table": "second", "x": "beta", "y": "zero"}
    drawn = figure(wish({"y_scale": "log", "marks": [mark]}))
    assert any("1 point at or below zero" in text.get_text() for text in drawn.texts)


def test_limits_are_kept() -> None:
    panel = {"marks": [LINE | {"y": "y"}], "y_limits": [-3.0, 4.0]}
    assert figure(wish(panel)).axes[0].get_ylim() == (-3.0, 4.0)


def test_equal_tables_give_equal_bytes_in_every_format() -> None:
    plugin = wish({"marks": [LINE, DOTS]}, {"marks": TWIN}, formats=[".svg", ".pdf"])
    files = plugin.run(CURVES, NUMBERS)
    assert files == plugin.run(CURVES, NUMBERS)
    assert list(files.contents) == [".png", ".svg", ".pdf"]
    assert struct.unpack(">I", files.contents[".png"][16:20])[0] == 1400


@pytest.mark.parametrize(
    ("panel", "words"),
    [
        ({"marks": [LINE | {"y": "fit"}]}, "no such column"),
        ({"marks": [LINE | {"where": {"beta": 2.0}}]}, "no rows"),
        ({"marks": [LINE | {"where": {"betas": 2.0}}]}, "no such column"),
        ({"marks": [LINE | {"table": "third"}]}, "not given"),
        ({"marks": [{"x": "x", "y": "ft"}]}, "share"),
        ({"marks": [LINE | {"line": False}]}, "draws nothing"),
        ({"marks": [LINE], "y_limits": [1.0, 1.0]}, "lower end"),
    ],
)
def test_what_cannot_be_drawn_is_told(panel: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        wish(panel).run(CURVES, NUMBERS)


NOISY = Table({"x": np.geomspace(1, 1000, 40), "y": np.tile([1.0, 100.0], 20)})
SMOOTH = {"x": "x", "y": "y", "smooth": 0.5, "colour": "red", "label": "loss"}


def drawn_noisy(mark: dict[str, Any]) -> Figure:
    plugin = wish({"x_scale": "log", "y_scale": "log", "marks": [mark, DOTS | {"y": "y"}]})
    with theme.style():
        return draw_panels(plugin, {"table": NOISY.frame})


def test_a_smoothed_line_stands_before_what_was_measured() -> None:
    """S4.2: a smoothed curve with a faded band; 1 and 100 in turn smooth to 10 on a log axis."""
    figure = drawn_noisy(SMOOTH | {"opacity": 0.1})
    faint, line, _ = figure.axes[0].lines
    assert np.array_equal(faint.get_ydata(), NOISY.columns["y"])
    assert faint.get_alpha() < 1 == (line.get_alpha() or 1)
    assert line.get_ydata()[10:30] == pytest.approx(10, rel=0.05)
    (band,) = figure.axes[0].collections
    assert band.get_alpha() == 0.1
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["loss", "points"]


def test_a_fitted_shape_is_dotted_and_told_in_the_legend() -> None:
    figure = drawn_noisy(SMOOTH | {"smooth": 0.0, "fit": "line"})
    _, fit, _ = figure.axes[0].lines
    assert fit.get_linestyle() == ":"
    logs = np.log10(fit.get_ydata())
    assert np.abs(np.diff(logs, 2)).max() < 1e-9
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["loss", "fitted line", "points"]


def test_dots_cannot_be_smoothed() -> None:
    with pytest.raises(ValueError, match=r"panels\[0\]\.marks\[0\] has no line to smooth or fit"):
        wish({"marks": [DOTS | {"smooth": 1.0}]}).run(CURVES)


def test_a_rule_stands_at_a_number_over_its_rows() -> None:
    baseline = {"at": "mean(rms)", "table": "second", "label": "baseline"}
    best = {"at": "max(size)", "axis": "x", "table": "second", "where": {"beta": 1.0}}
    drawn = figure(wish({"marks": [LINE], "rules": [baseline, best]}))
    flat, upright = drawn.axes[0].lines[1:]
    assert list(flat.get_ydata()) == [0.375, 0.375]
    assert list(upright.get_xdata()) == [1e-3, 1e-3]
    texts = [text.get_text() for legend in drawn.legends for text in legend.get_texts()]
    assert "baseline" in texts


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"at": "rms", "table": "second"}, "has 2 values; take their mean"),
        ({"at": "mean(r2)"}, "no column"),
        ({"at": "mean(rms)", "table": "third"}, "which is not given"),
    ],
)
def test_a_rule_without_one_number_is_refused(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        figure(wish({"marks": [LINE], "rules": [rule]}))


def test_the_diagonal_is_where_both_are_equal() -> None:
    lines = figure(wish({"marks": [DOTS], "diagonal": True})).axes[0].lines
    assert lines[-1].get_slope() == 1
    assert lines[-1].get_xy1() == (0, 0)
