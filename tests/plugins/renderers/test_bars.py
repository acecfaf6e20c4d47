"""Bars, read back from the figure."""

import itertools
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from plugins.maths.figures import theme
from plugins.maths.figures.barplots import bars_of, draw_bars
from plugins.renderers.bars import Bars
from runner.types import Table

TABLE = Table(
    {
        "case": ["b", "b", "a", "a"] * 2,
        "seed": [1, 2] * 4,
        "beta": [1.0] * 4 + [16.0] * 4,
        "ratio": [1.0, 3.0, 2.0, 2.0, 4.0, 4.0, 5.0, 7.0],
    }
)


def bars(table: Table = TABLE, **given: Any) -> Figure:
    wish = Bars(**{"path": "a.png", "x": "case", "y": "ratio", "replicate": "seed"} | given)
    with theme.style():
        drawn = draw_bars(wish, *bars_of(wish, table.frame))
        drawn.draw_without_rendering()
    return drawn


def heights(axes: Any) -> list[list[float]]:
    groups = [c for c in axes.containers if hasattr(c, "patches")]
    return [[patch.get_height() for patch in group] for group in groups]


def test_bars_are_means_over_repeats_with_whiskers_of_one_deviation() -> None:
    axes = bars(hue="beta").axes[0]
    assert heights(axes) == [[2.0, 2.0], [4.0, 6.0]]
    whiskers = axes.collections[0].get_segments()
    assert whiskers[0][:, 1].tolist() == pytest.approx([2 - np.sqrt(2), 2 + np.sqrt(2)])


def test_text_keeps_its_order_and_numbers_rise() -> None:
    axes = bars(hue="beta").axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["b", "a"]
    axes = bars(x="beta", hue="case").axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "16"]


def test_bars_of_one_group_stand_side_by_side_within_it() -> None:
    (axes,) = bars(hue="beta").axes
    patches = [patch for c in axes.containers if hasattr(c, "patches") for patch in c]
    spans = sorted((p.get_x(), p.get_x() + p.get_width()) for p in patches)
    assert all(left[1] <= right[0] + 1e-9 for left, right in itertools.pairwise(spans))
    assert spans[0][0] > -0.5
    assert spans[-1][1] < 1.5


def test_the_legend_names_hues_and_panels_share_an_axis() -> None:
    drawn = bars(panels="beta")
    assert [axes.get_title() for axes in drawn.axes] == ["beta = 1", "beta = 16"]
    assert drawn.axes[0].get_ylim() == drawn.axes[1].get_ylim()
    assert not drawn.legends
    (legend,) = bars(hue="beta").legends
    assert [text.get_text() for text in legend.get_texts()] == ["beta = 1", "beta = 16"]


def test_what_a_log_axis_cannot_hold_is_counted_and_whiskers_stay_above_zero() -> None:
    table = Table({"case": ["a", "a", "b", "b"], "seed": [1, 2] * 2,
                   "ratio": [1e-6, 1.0, -1.0, 0.5]})  # fmt: skip
    drawn = bars(table, y_scale="log")
    assert any("1 bar without" in text.get_text() for text in drawn.texts)
    assert drawn.axes[0].collections[0].get_segments()[0][:, 1].min() > 0


def test_equal_tables_give_equal_bytes() -> None:
    wish = Bars(path="a.png", formats=(".svg",), x="case", y="ratio", replicate="seed", hue="beta")
    assert wish.run(TABLE) == wish.run(TABLE)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"x": "cases"}, "no such column"),
        ({"replicate": None}, "share"),
        ({"y": "case"}, "must hold numbers"),
    ],
)
def test_what_cannot_be_drawn_is_told(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        bars(**{"hue": "beta"} | given)
    nothing = Table({"case": ["a"], "seed": [1], "ratio": [float("nan")]})
    with pytest.raises(ValueError, match="is finite"):
        bars(nothing)
