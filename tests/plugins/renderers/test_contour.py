"""Contours, read back from the figure."""

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from plugins.maths.figures import contours, theme
from plugins.maths.figures.contours import Scale, draw_contours
from plugins.maths.figures.grids import grid_of
from plugins.renderers.contour import Contour
from runner.types import Table


def contour(table: Table, path: Table | None = None, **fields: Any) -> Figure:
    wish = Contour(**{"path": "a.png", **fields})
    grid = grid_of(table.frame, "alpha", "beta", "loss", panels=wish.panels)
    with theme.style():
        return draw_contours(wish, grid, path.frame if path else None)


def filled(axes: Any) -> Any:
    return axes.collections[0]


def test_thirty_levels_fifteen_white_lines_and_a_red_star(surface: Any) -> None:
    axes = contour(surface()).axes[0]
    assert len(filled(axes).levels) == 31
    lines = axes.collections[1]
    assert len(lines.levels) == 15
    assert lines.get_alpha() == 0.4
    assert to_rgba(lines.colors) == to_rgba("white")
    star = next(line for line in axes.lines if line.get_marker() == "*")
    assert (star.get_xdata(), star.get_ydata()) == ([0], [0])
    assert star.get_color() == contours.STAR


def test_alpha_runs_to_the_right_and_beta_up(surface: Any) -> None:
    table = surface()
    grid = grid_of(table.frame, "alpha", "beta", "loss")
    values = grid.panels[0].values
    assert values[0, -1] > values[-1, -1]  # at alpha = 1 the loss falls with beta
    axes = contour(table).axes[0]
    assert axes.get_xlabel() == "alpha"
    assert axes.get_ylim() == (-1.0, 1.0)
    assert not axes.yaxis_inverted()


def test_the_trajectory_is_drawn_in_the_order_of_its_steps(surface: Any) -> None:
    path = Table({"step": [20, 0, 10], "alpha": [0.0, 0.9, 0.4], "beta": [0.0, 0.5, -0.6]})
    axes = contour(surface(), path).axes[0]
    line = next(line for line in axes.lines if line.get_marker() == "o")
    assert list(line.get_xdata()) == [0.9, 0.4, 0.0]
    assert [text.get_text() for text in axes.texts] == ["step 0", "step 20"]


def test_a_trajectory_that_leaves_the_surface_is_told_of(surface: Any) -> None:
    path = Table({"step": [0, 1], "alpha": [0.0, 1.5], "beta": [0.0, 0.0]})
    with pytest.raises(ValueError, match=r"spans alpha 0 to 1\.5.*widen"):
        contour(surface(), path)


def test_a_log_scale_has_powers_of_ten_at_its_bar(surface: Any) -> None:
    drawn = contour(surface(4), panels="rank", scale="log")
    drawn.draw_without_rendering()
    bar = drawn.axes[-1]
    labels = [text.get_text() for text in bar.get_yticklabels()]
    assert any("10^" in label for label in labels)


def test_values_that_are_all_equal_are_drawn() -> None:
    assert Scale.over([np.ones((3, 3))], 30).norm.vmin < 1


def test_nothing_finite_is_told_of() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        Scale.over([np.full((2, 2), np.nan)], 30)
