"""Slices and perspective views of surfaces, and the log of a study."""

from typing import Any

import numpy as np
import pytest

from plugins.maths.figures import theme
from plugins.maths.figures.grids import grid_of
from plugins.maths.figures.slices import draw_perspective, draw_slices, lines_of
from plugins.renderers.experiment_log import ExperimentLog
from plugins.renderers.slices_1d import Slices1d
from plugins.renderers.surface_3d import Surface3d
from runner.types import Table


def surface(points: int = 5, **more: Any) -> Table:
    """Return loss = 1 + alpha^2 + 10 beta^2."""
    at = np.linspace(-1, 1, points)
    alpha, beta = (part.ravel() for part in np.meshgrid(at, at, indexing="ij"))
    return Table({"alpha": alpha, "beta": beta, "loss": 1 + alpha**2 + 10 * beta**2, **more})


def test_each_line_runs_where_the_other_coordinate_is_zero() -> None:
    with theme.style():
        drawn = draw_slices(Slices1d(path="a.png"), surface().frame)
    first, second = drawn.axes[0].lines[:2]
    assert list(first.get_xdata()) == [-1, -0.5, 0, 0.5, 1]
    assert list(first.get_ydata()) == [2, 1.25, 1, 1.25, 2]
    assert list(second.get_ydata()) == [11, 3.5, 1, 3.5, 11]
    (legend,) = drawn.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["along alpha, beta = 0", "along beta, alpha = 0"]


def test_lines_computed_alone_are_drawn_too_their_common_point_once() -> None:
    table = Table({"alpha": [-1, 0, 1, 0, 0, 0], "beta": [0, 0, 0, -1, 0, 1],
                   "loss": [3.0, 1.0, 3.0, 2.0, 1.0, 2.0]})  # fmt: skip
    assert lines_of(table.frame, "alpha", "beta", "loss")["loss"].tolist() == [3.0, 1.0, 3.0]
    assert Slices1d(path="a.png").run(table).contents[".png"]


def test_a_surface_without_its_centre_has_no_slices() -> None:
    with pytest.raises(ValueError, match="odd `points`"):
        Slices1d(path="a.png").run(surface(4))


def test_two_surfaces_in_one_panel_are_refused() -> None:
    both = {name: np.concatenate([v, v + (name == "loss")]) for name, v in
            surface().columns.items()}  # fmt: skip
    with pytest.raises(ValueError, match="panels"):
        Slices1d(path="a.png").run(Table(both))


def test_heights_are_cut_at_the_quantiles_and_the_bar_says_so() -> None:
    wish = Surface3d(path="a.png", clip=(0.0, 0.5))
    table = surface()
    with theme.style():
        drawn = draw_perspective(wish, grid_of(table.frame, "alpha", "beta", "loss"))
    top = float(np.median(table.columns["loss"]))
    assert drawn.axes[0].get_zlim()[1] == pytest.approx(top)
    assert drawn.axes[1]._colorbar.extend == "max"


def test_a_perspective_is_written_in_every_format_with_equal_bytes() -> None:
    wish = Surface3d(path="a.png", formats=(".pdf",))
    assert wish.run(surface()).contents == wish.run(surface()).contents


def test_a_log_tells_what_is_equal_once_and_the_rest_in_order() -> None:
    table = Table({"index": [3, 1], "seed": [0, 0], "loss": [0.5, 0.25]})
    settings = Table({"gram_schmidt": ["global", "global"], "renormalised": [True, True]})
    plugin = ExperimentLog(path="log.txt", notes={"range": "[-1, 1]"}, keep=("index", "seed"))
    text = plugin.run(table, settings).contents[".txt"].decode()
    assert text.splitlines() == [
        "range: [-1, 1]", "gram_schmidt: global", "renormalised: True", "index: 3, 1", "seed: 0",
    ]  # fmt: skip


def test_a_column_that_is_not_there_is_told_of() -> None:
    with pytest.raises(ValueError, match="no such column"):
        ExperimentLog(path="log.txt", keep=("nothing",)).run(Table({"index": [1]}))
