"""Heat maps, read back from their bytes and from the figure."""

import struct
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from plugins.maths.figures import theme
from plugins.maths.figures.grids import blocks_of, edges, grid_of
from plugins.maths.figures.heatmaps import colour_norms, draw_heatmaps, masked_cells
from plugins.renderers.heatmap import Heatmap
from runner.types import Table


def table(size: int = 4, panels: tuple[str, ...] = ("a",), **more: Any) -> Table:
    """Return value = alpha / beta times 100^panel on a geometric grid."""
    at = np.geomspace(0.3, 3.0, size)
    rows = [(p, a, b, 100.0**i * a / b) for i, p in enumerate(panels) for a in at for b in at]
    names, alpha, beta, value = zip(*rows, strict=True)
    columns = {"sampler": names, "alpha": alpha, "beta": beta, "llc": value, **more}
    return Table({name: list(values) for name, values in columns.items()})


def wish(**parameters: Any) -> Heatmap:
    return Heatmap(**{"path": "a.png", "x": "alpha", "y": "beta", "value": "llc"} | parameters)


def figure(plugin: Heatmap, data: Table) -> Figure:
    grid = grid_of(data.frame, "alpha", "beta", "llc", panels=plugin.panels, mask=plugin.mask)
    with theme.style():
        return draw_heatmaps(plugin, grid)


def png_size(content: bytes) -> tuple[int, int]:
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    return width, height


@pytest.mark.parametrize(("count", "width"), [(1, 680), (2, 1400), (9, 1400)])
def test_a_picture_is_as_wide_as_the_column_or_the_page(count: int, width: int) -> None:
    files = wish(panels="sampler").run(table(2, tuple("abcdefghi"[:count])))
    assert png_size(files.contents[".png"])[0] == width


def test_all_asked_formats_are_written_and_equal_twice() -> None:
    plugin = wish(formats=(".svg", ".pdf"), title="t", footnote="f", mask="ok")
    data = table(3, ok=[True] * 8 + [False])
    first, second = plugin.run(data).contents, plugin.run(data).contents
    assert list(first) == [".png", ".svg", ".pdf"]
    assert first == second
    assert first[".svg"].startswith(b"<?xml")
    assert first[".pdf"].startswith(b"%PDF")


def test_no_date_and_no_library_stand_in_the_bytes() -> None:
    contents = wish(formats=(".svg", ".pdf")).run(table(2)).contents
    assert b"Software" not in contents[".png"]
    assert b"CreationDate" not in contents[".pdf"]
    assert b"<dc:date>" not in contents[".svg"]


def test_one_colour_scale_spans_the_values_of_all_panels() -> None:
    data = table(4, ("a", "b"))
    drawn = figure(wish(panels="sampler", scale="log"), data)
    meshes = [axes.collections[0] for axes in drawn.axes[:2]]
    assert meshes[0].norm is meshes[1].norm
    assert (meshes[0].norm.vmin, meshes[0].norm.vmax) == pytest.approx((0.1, 1000.0))
    assert len(drawn.axes) == 3  # two panels and one colour bar


def test_panels_with_scales_of_their_own_have_a_colour_bar_each() -> None:
    data = table(4, ("a", "b"))
    drawn = figure(wish(panels="sampler", share_scale=False), data)
    ends = [axes.collections[0].norm.vmax for axes in drawn.axes[:2]]
    assert ends == pytest.approx([10.0, 1000.0])
    assert len(drawn.axes) == 4


def test_masked_cells_leave_the_colour_scale() -> None:
    data = table(2, ok=[True, True, False, True])  # the third is the largest, 10
    grid = grid_of(data.frame, "alpha", "beta", "llc", mask="ok")
    (norm,) = colour_norms(grid, wish(mask="ok"))
    assert norm is not None
    assert (norm.vmin, norm.vmax) == pytest.approx((0.1, 1.0))


def test_exactly_the_masked_cells_are_grey() -> None:
    ok = [True] * 16
    ok[5] = ok[11] = False
    grid = grid_of(table(4, ok=ok).frame, "alpha", "beta", "llc", mask="ok")
    across = edges(grid.x, "log")
    grey = masked_cells(grid.panels[0], across, across)
    corners = grey.get_path().vertices.reshape(-1, 5, 2)[:, :4]  # each path closes with a fifth
    expected = [(across[1], across[1]), (across[2], across[3])]  # cells (1, 1) and (2, 3)
    np.testing.assert_allclose(sorted(map(tuple, corners.min(axis=1))), expected)
    expected = [(across[2], across[2]), (across[3], across[4])]
    np.testing.assert_allclose(sorted(map(tuple, corners.max(axis=1))), expected)
    assert grey.get_hatch()


def test_the_picture_shows_colour_grey_and_white_where_they_belong() -> None:
    data = table(2, ok=[True, True, False, True], llc=[1.0, 2.0, 9.0, 4.0])
    frame = data.frame.iloc[[0, 2, 3]]  # the cell (alpha 0.3, beta 3) is missing
    drawn = figure(wish(mask="ok"), Table.of(frame))
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(drawn)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1, :, :3] / 255
    box = drawn.axes[0].get_window_extent()

    def cell(i: int, j: int) -> np.ndarray[Any, Any]:
        x0, y0 = box.x0 + i * box.width / 2 + 5, box.y0 + j * box.height / 2 + 5
        return pixels[int(y0) : int(y0) + 30, int(x0) : int(x0) + 30].reshape(-1, 3)

    assert (cell(0, 1) == 1.0).all()
    greys = cell(1, 0)
    assert np.ptp(greys, axis=1).max() < 0.01
    np.testing.assert_allclose(np.median(greys, axis=0), to_rgb(theme.MASKED), atol=0.01)
    low, high = theme.sequential()(0.0)[:3], theme.sequential()(1.0)[:3]
    np.testing.assert_allclose(cell(0, 0), np.broadcast_to(low, (900, 3)), atol=0.01)
    np.testing.assert_allclose(cell(1, 1), np.broadcast_to(high, (900, 3)), atol=0.01)


def test_a_panel_says_how_many_of_its_cells_are_masked() -> None:
    data = table(2, ("a", "b"), ok=[True, False, True, True] + [False] * 4)
    drawn = figure(wish(panels="sampler", mask="ok"), data)
    words = [text.get_text() for axes in drawn.axes for text in axes.texts]
    assert words == ["1 of 4 cells unhealthy", "all 4 cells unhealthy"]


def test_a_study_that_is_masked_throughout_is_drawn_without_a_colour_bar() -> None:
    drawn = figure(wish(mask="ok"), table(2, ok=[False] * 4))
    assert len(drawn.axes) == 1


def test_geometric_coordinates_get_log_axes_with_labelled_ticks() -> None:
    drawn = figure(wish(), table(8))
    axes = drawn.axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.3", "1", "3"]


@pytest.mark.parametrize("size", [2, 30])
def test_panels_are_square_and_inside_the_figure(size: int) -> None:
    drawn = figure(wish(panels="sampler", wrap=3, title="A title"), table(size, ("a", "b", "c")))
    drawn.draw_without_rendering()
    for axes in drawn.axes[:3]:
        box, room = axes.get_window_extent(), axes.get_position(original=True)
        wide, high = room.width * drawn.bbox.width, room.height * drawn.bbox.height
        assert wide == pytest.approx(high, rel=0.01)  # no white bands beside the square
        assert box.width == pytest.approx(box.height, rel=1e-3)
    seen = drawn.get_tightbbox()
    assert seen.x0 > -0.01
    assert seen.y0 > -0.01
    assert seen.x1 < drawn.get_figwidth() + 0.01
    assert seen.y1 < drawn.get_figheight() + 0.01


def test_two_rows_at_one_cell_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"alpha=0\.3.*they differ in sampler.*panels"):
        wish().run(table(2, ("a", "b")))


def test_a_missing_column_is_refused_with_a_near_miss() -> None:
    with pytest.raises(ValueError, match=r"value = 'lcc'.*did you mean \"llc\""):
        wish(value="lcc").run(table(2))


def test_parameters_are_checked_together() -> None:
    assert wish().check_parameters() is None
    with pytest.raises(ValueError, match=r"clip\n.*two quantiles"):
        wish(clip=(0.9, 0.1))
    with pytest.raises(ValueError, match=r"path\n.*must have a suffix out of"):
        wish(path="a.txt")


BLOCKED = Table({
    "x": [0, 1, 2, 3] * 4, "y": [n for n in range(4) for _ in range(4)],
    "step": [0, 0, 10, 10] * 4, "other": [0] * 8 + [10] * 8, "cosine": [0.25] * 16,
})  # fmt: skip


def blocked(**parameters: Any) -> Figure:
    plugin = Heatmap(
        x="x", y="y", value="cosine", path="a.png", blocks=("step", "other"), **parameters
    )
    frame, grid = BLOCKED.frame, grid_of(BLOCKED.frame, "x", "y", "cosine")
    parts = (blocks_of(frame, "x", "step", grid.x), blocks_of(frame, "y", "other", grid.y))
    with theme.style():
        return draw_heatmaps(plugin, grid, parts)


def test_blocks_are_parted_by_lines_and_named_in_their_middles() -> None:
    axes = blocked().axes[0]
    assert [line.get_xdata()[0] for line in axes.lines[:1]] == [1.5]
    assert axes.get_xticks().tolist() == [0.5, 2.5]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "10"]


def test_given_limits_end_the_colours() -> None:
    drawn = blocked(limits=(0.0, 1.0), colours="viridis")
    (mesh,) = [c for c in drawn.axes[0].collections if c.get_array() is not None]
    assert (mesh.norm.vmin, mesh.norm.vmax) == (0, 1)
    assert mesh.get_cmap().name == "viridis"


def test_limits_and_blocks_are_checked() -> None:
    plugin = Heatmap(x="x", y="y", value="v", path="a.png", limits=(1.0, 1.0))
    assert "the lower end comes first" in str(plugin.check_parameters())
    plugin = Heatmap(x="x", y="y", value="v", path="a.png", blocks=("a", "b"), x_scale="log")
    assert "auto or even" in str(plugin.check_parameters())
    data = Table({**BLOCKED.columns, "step": list(range(16))})
    with pytest.raises(ValueError, match=r"x = 0 is in several blocks of 'step'"):
        Heatmap(x="x", y="y", value="cosine", path="a.png", blocks=("step", "other")).run(data)
