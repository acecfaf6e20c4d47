"""Contours and mosaics of them, read back from the figure."""

import io
import itertools
import json
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from plugins.maths.figures import contours, theme
from plugins.maths.figures.contours import Scale, draw_contours, draw_mosaic, two_lines
from plugins.maths.figures.grids import grid_of
from plugins.maths.figures.samples import pictures, rows_by, titled
from plugins.renderers.contour import Contour
from plugins.renderers.contour_mosaic import ContourMosaic, Title
from plugins.renderers.loss_grid import LossGrid
from plugins.renderers.selected_samples import SelectedSamples
from runner.types import Split, Table

AT = np.linspace(-1, 1, 5)


def surface(panels: int = 1, size: float = 1.0) -> Table:
    """Return loss = (alpha - beta / 2 + 2)^2 times ten to the panel's number."""
    rows = [(k, a, b, size * 10.0**k * (a - b / 2 + 2) ** 2)
            for k in range(panels) for a in AT for b in AT]  # fmt: skip
    rank, alpha, beta, loss = zip(*rows, strict=True)
    columns = {"rank": rank, "alpha": alpha, "beta": beta, "loss": loss}
    return Table({name: list(values) for name, values in columns.items()})


def centres(panels: int) -> Table:
    columns: dict[str, list[Any]] = {
        "rank": list(range(panels))[::-1],  # in another order than the panels
        "index": [12340 + k for k in range(panels)][::-1],
        "label": [7] * panels,
        "prediction": [9] * panels,
        "probability": [0.634] * panels,
        "centre_loss": [1.234] * panels,
        "drawn_with": [0] * panels,
    }
    return Table(columns)


def images(rows: int = 3) -> Split:
    """Return pictures whose upper half is white, row k a little darker."""
    x = np.zeros((rows, 1, 28, 28))
    for k in range(rows):
        x[k, 0, :14] = 1 - 0.1 * k
    return Split({"x": ((x - 0.1307) / 0.3081).astype(np.float32)}, {
        "shape": [1, 28, 28], "mean": 0.1307, "std": 0.3081,
    })  # fmt: skip


def mosaic(panels: int, thumbnails: Any = (), **fields: Any) -> Figure:
    wish = ContourMosaic(**{"path": "a.png", "layout": (2, 5)} | fields)
    grid = grid_of(surface(panels).frame, "alpha", "beta", "loss", panels="rank")
    rows = rows_by(centres(panels).frame, "rank", [p.name for p in grid.panels])
    with theme.style():
        return draw_mosaic(wish, grid, [titled(wish.panel_title, row) for row in rows], thumbnails)


def contour(table: Table, path: Table | None = None, **fields: Any) -> Figure:
    wish = Contour(**{"path": "a.png", **fields})
    grid = grid_of(table.frame, "alpha", "beta", "loss", panels=wish.panels)
    with theme.style():
        return draw_contours(wish, grid, path.frame if path else None)


def filled(axes: Any) -> Any:
    return axes.collections[0]


def test_thirty_levels_fifteen_white_lines_and_a_red_star() -> None:
    axes = contour(surface()).axes[0]
    assert len(filled(axes).levels) == 31
    lines = axes.collections[1]
    assert len(lines.levels) == 15
    assert lines.get_alpha() == 0.4
    assert to_rgba(lines.colors) == to_rgba("white")
    star = next(line for line in axes.lines if line.get_marker() == "*")
    assert (star.get_xdata(), star.get_ydata()) == ([0], [0])
    assert star.get_color() == contours.STAR


def test_alpha_runs_to_the_right_and_beta_up() -> None:
    table = surface()
    grid = grid_of(table.frame, "alpha", "beta", "loss")
    values = grid.panels[0].values
    assert values[0, -1] > values[-1, -1]  # at alpha = 1 the loss falls with beta
    axes = contour(table).axes[0]
    assert axes.get_xlabel() == "alpha"
    assert axes.get_ylim() == (-1.0, 1.0)
    assert not axes.yaxis_inverted()


def test_all_panels_of_a_shared_bar_have_the_same_levels_and_norm() -> None:
    drawn = mosaic(3)
    panels = [filled(axes) for axes in drawn.axes[:3]]
    assert all(panel.norm is panels[0].norm for panel in panels)
    assert all(np.array_equal(panel.levels, panels[0].levels) for panel in panels)
    bars = [axes for axes in drawn.axes if axes.get_label() == "<colorbar>"]
    assert len(bars) == 1
    assert bars[0]._colorbar.norm is panels[0].norm


@pytest.mark.parametrize(("kind", "quantiles"), [("global", (0, 1)), ("quantile", (0.05, 0.95))])
def test_colours_end_at_the_extremes_or_the_quantiles_of_all_samples(
    kind: str, quantiles: tuple[float, float]
) -> None:
    norm = filled(mosaic(3, colour_scale=kind).axes[0]).norm
    wanted = np.quantile(surface(3).columns["loss"], quantiles)
    assert (norm.vmin, norm.vmax) == pytest.approx(tuple(wanted))


def test_bars_of_their_own_have_ends_of_their_own() -> None:
    drawn = mosaic(3, share_colour_bar=False, colour_scale="global")
    tops = [filled(axes).norm.vmax for axes in drawn.axes[:3]]
    assert tops[1] == pytest.approx(10 * tops[0])
    assert len([a for a in drawn.axes if a.get_label() == "<colorbar>"]) == 3


def test_titles_are_as_itemised_and_go_with_their_samples() -> None:
    drawn = mosaic(10)
    titles = [axes.get_title().replace("\n", " ") for axes in drawn.axes[:10]]
    assert titles[5] == "idx=#12345 | y=7, ŷ=9 | p=0.63 | L(0,0)=1.23"
    assert [int(title[5:10]) for title in titles] == [12340 + k for k in range(10)]


def test_no_title_of_a_full_mosaic_reaches_into_its_neighbour() -> None:
    drawn = mosaic(10, pictures(images(10), list(range(10))))
    drawn.draw_without_rendering()
    boxes = [axes.title.get_window_extent() for axes in drawn.axes[:10]]
    for left, right in itertools.pairwise(boxes[:5]):
        assert left.x1 < right.x0
    assert boxes[4].x1 < drawn.axes[-1].get_window_extent().x0
    assert boxes[0].x0 >= 0


def test_thumbnails_are_upright_in_the_top_right_corner_and_go_with_their_rows() -> None:
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


def test_the_trajectory_is_drawn_in_the_order_of_its_steps() -> None:
    path = Table({"step": [20, 0, 10], "alpha": [0.0, 0.9, 0.4], "beta": [0.0, 0.5, -0.6]})
    axes = contour(surface(), path).axes[0]
    line = next(line for line in axes.lines if line.get_marker() == "o")
    assert list(line.get_xdata()) == [0.9, 0.4, 0.0]
    assert [text.get_text() for text in axes.texts] == ["step 0", "step 20"]


def test_a_trajectory_that_leaves_the_surface_is_told_of() -> None:
    path = Table({"step": [0, 1], "alpha": [0.0, 1.5], "beta": [0.0, 0.0]})
    with pytest.raises(ValueError, match=r"spans alpha 0 to 1\.5.*widen"):
        contour(surface(), path)


def test_a_log_scale_has_powers_of_ten_at_its_bar() -> None:
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


def test_files_are_equal_twice_in_every_format() -> None:
    plugin = ContourMosaic(path="a.png", formats=(".pdf", ".svg"), layout=(1, 2))
    first, second = (
        plugin.run(surface(2), centres(2), Split(
            {"x": np.ones((12345, 1, 4, 4), np.float32)}, {"shape": [1, 4, 4]})
        ).contents
        for _ in "ab"
    )  # fmt: skip
    assert list(first) == [".png", ".pdf", ".svg"]
    assert first == second


def test_what_does_not_fit_a_mosaic_is_told_of() -> None:
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


def test_a_loss_grid_holds_arrays_of_numbers_alone() -> None:
    content = LossGrid(path="a.npz").run(surface(), centres(1)).contents[".npz"]
    found = np.load(io.BytesIO(content), allow_pickle=False)
    assert set(found) == {"alpha", "beta", "loss", "center_loss", "resolution", "seed"}
    assert found["loss"].shape == (5, 5)
    i, j = 4, 1  # alpha = 1, beta = -0.5
    assert found["loss"][i, j] == pytest.approx((1 + 0.25 + 2) ** 2)
    assert found["resolution"] == 5
    assert found["center_loss"] == 1.234


def test_a_grid_with_a_hole_is_told_of() -> None:
    whole = surface().columns
    table = Table({name: list(values)[:-1] for name, values in whole.items()})
    with pytest.raises(ValueError, match="24 points are no grid of 25"):
        LossGrid(path="a.npz").run(table, centres(1))


def test_selected_samples_are_the_same_in_both_files() -> None:
    table = Table({**centres(3).columns, "index": [2, 0, 1]})
    plugin = SelectedSamples(path="a.json", formats=(".npz",))
    contents = plugin.run(table, images()).contents
    records = json.loads(contents[".json"])
    found = np.load(io.BytesIO(contents[".npz"]), allow_pickle=False)
    assert [record["rank"] for record in records] == [0, 1, 2]
    assert [record["index"] for record in records] == found["index"].tolist() == [1, 0, 2]
    assert np.array_equal(found["thumbnail"][0], records[0]["thumbnail"])
    assert found["thumbnail"].shape == (3, 28, 28)
    assert found["thumbnail"][1, 0, 0] == 255
    assert found["thumbnail"][1, -1, 0] == 0
