"""Mosaics of single samples' contours, read back from the figure."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from plugins.maths.figures import theme
from plugins.maths.figures.grids import grid_of
from plugins.maths.figures.mosaics import draw_mosaic, two_lines
from plugins.maths.figures.samples import pictures, rows_by, titled
from plugins.renderers.contour_mosaic import ContourMosaic, Title
from runner.types import Split


@pytest.fixture
def mosaic(surface: Any, centres: Any) -> Callable[..., Figure]:
    def draw(panels: int, thumbnails: Any = (), **fields: Any) -> Figure:
        wish = ContourMosaic(**{"path": "a.png", "layout": (2, 5)} | fields)
        grid = grid_of(surface(panels).frame, "alpha", "beta", "loss", panels="rank")
        rows = rows_by(centres(panels).frame, "rank", [p.name for p in grid.panels])
        titles = [titled(wish.panel_title, row) for row in rows]
        with theme.style():
            return draw_mosaic(wish, grid, titles, thumbnails)

    return draw


def filled(axes: Any) -> Any:
    return axes.collections[0]


def test_all_panels_of_a_shared_bar_have_the_same_levels_and_norm(mosaic: Any) -> None:
    drawn = mosaic(3)
    panels = [filled(axes) for axes in drawn.axes[:3]]
    assert all(panel.norm is panels[0].norm for panel in panels)
    assert all(np.array_equal(panel.levels, panels[0].levels) for panel in panels)
    bars = [axes for axes in drawn.axes if axes.get_label() == "<colorbar>"]
    assert len(bars) == 1
    assert bars[0]._colorbar.norm is panels[0].norm


@pytest.mark.parametrize(("kind", "quantiles"), [("global", (0, 1)), ("quantile", (0.05, 0.95))])
def test_colours_end_at_the_extremes_or_the_quantiles_of_all_samples(
    kind: str, quantiles: tuple[float, float], surface: Any, mosaic: Any
) -> None:
    norm = filled(mosaic(3, colour_scale=kind).axes[0]).norm
    wanted = np.quantile(surface(3).columns["loss"], quantiles)
    assert (norm.vmin, norm.vmax) == pytest.approx(tuple(wanted))


def test_bars_of_their_own_have_ends_of_their_own(mosaic: Any) -> None:
    drawn = mosaic(3, share_colour_bar=False, colour_scale="global")
    tops = [filled(axes).norm.vmax for axes in drawn.axes[:3]]
    assert tops[1] == pytest.approx(10 * tops[0])
    assert len([a for a in drawn.axes if a.get_label() == "<colorbar>"]) == 3


def test_titles_are_as_itemised_and_go_with_their_samples(mosaic: Any) -> None:
    drawn = mosaic(10)
    titles = [axes.get_title().replace("\n", " ") for axes in drawn.axes[:10]]
    assert titles[5] == "idx=#12345 | y=7, ŷ=9 | p=0.63 | L(0,0)=1.23"
    assert [int(title[5:10]) for title in titles] == [12340 + k for k in range(10)]


def test_no_title_of_a_full_mosaic_reaches_into_its_neighbour(images: Any, mosaic: Any) -> None:
    drawn = mosaic(10, pictures(images(10), list(range(10))))
    drawn.draw_without_rendering()
    boxes = [axes.title.get_window_extent() for axes in drawn.axes[:10]]
    for left, right in itertools.pairwise(boxes[:5]):
        assert left.x1 < right.x0
    assert boxes[4].x1 < drawn.axes[-1].get_window_extent().x0
    assert boxes[0].x0 >= 0


def test_thumbnails_are_upright_in_the_top_right_corner_and_go_with_their_rows(
    images: Any, mosaic: Any
) -> None:
    shown = pictures(images(), [2, 0, 1])
    drawn = mosaic(3, shown)
    for k, axes in enumerate(drawn.axes[:3]):
        (inset,) = axes.child_axes
        (picture,) = inset.images
        assert picture.origin == "upper"
        assert picture.get_array()[0, 0] == pytest.approx(1 - 0.1 * [2, 0, 1][k])
        assert picture.get_array()[-1, 0] == pytest.approx(0.0)
        box = inset.get_position()
        assert box.x0 > axes.get_position().x0 + axes.get_position().width / 2
        assert box.y0 > axes.get_position().y0 + axes.get_position().height / 2


def test_files_are_equal_twice_in_every_format(surface: Any, centres: Any) -> None:
    plugin = ContourMosaic(path="a.png", formats=(".pdf", ".svg"), layout=(1, 2))
    first, second = (
        plugin.run(surface(2), centres(2), Split(
            {"x": np.ones((12345, 1, 4, 4), np.float32)}, {"shape": [1, 4, 4]})
        ).contents
        for _ in "ab"
    )  # fmt: skip
    assert list(first) == [".png", ".pdf", ".svg"]
    assert first == second


def test_what_does_not_fit_a_mosaic_is_told_of(surface: Any, centres: Any) -> None:
    with pytest.raises(ValueError, match="do not fit into layout"):
        ContourMosaic(path="a.png", layout=(1, 2)).run(surface(3), centres(3))
    with pytest.raises(ValueError, match="no row with rank = 2"):
        ContourMosaic(path="a.png").run(surface(3), centres(2))
    with pytest.raises(ValueError, match="columns are rank"):
        ContourMosaic(path="a.png", panel_title="{nothing}").run(surface(1), centres(1))
    with pytest.raises(ValueError, match="no grey pictures"):
        pictures(Split({"x": np.zeros((1, 3, 4, 4))}), [0])


def test_a_long_title_is_broken_at_its_middle_bar() -> None:
    row = {"index": 2, "label": 2, "prediction": 2, "probability": 0.74, "centre_loss": 0.3}
    broken = two_lines(titled(Title, row), 29)
    assert broken == "idx=#2 | y=2, ŷ=2 |\np=0.74 | L(0,0)=0.30"
    assert two_lines("short | one", 29) == "short | one"
