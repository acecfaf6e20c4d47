"""Line plots, read back from their bytes and from the figure."""

import struct
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from plugins.maths.figures import theme
from plugins.maths.figures.curves import curves_of
from plugins.maths.figures.lineplots import draw_lines
from plugins.renderers.lines import Lines
from runner.types import Table


def table(tasks: tuple[str, ...] = ("add",)) -> Table:
    """Return train and test accuracy over steps for two weight decays and two seeds."""
    rows = [
        (task, decay, seed, step, step / (step + 10), step / (step + 1000 / (1 + seed)), step / 50)
        for task in tasks
        for decay in (0.0, 1.0)
        for seed in (0, 1)
        for step in (0, 1, 10, 100, 1000)
    ]
    names = ("task", "decay", "seed", "step", "train", "test", "llc")
    return Table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def wish(**parameters: Any) -> Lines:
    given = {"path": "a.png", "x": "step", "y": "test", "hue": "decay", "replicate": "seed"}
    return Lines(**given | parameters)


def figure(plugin: Lines, data: Table) -> Figure:
    curves = curves_of(
        data.frame,
        plugin.x,
        plugin.left_columns + plugin.right_columns,
        hue=plugin.hue,
        panels=plugin.panels,
        replicate=plugin.replicate,
        band=plugin.band,
    )
    with theme.style():
        drawn = draw_lines(plugin, curves)
        drawn.draw_without_rendering()
    return drawn


def words(drawn: Figure) -> list[str]:
    return [text.get_text() for text in drawn.texts]


def legend(drawn: Figure) -> list[str]:
    return [text.get_text() for text in drawn.legends[0].get_texts()]


@pytest.mark.parametrize(("tasks", "width"), [(("add",), 680), (("add", "sub"), 1400)])
def test_a_picture_is_as_wide_as_the_column_or_the_page(tasks: tuple[str], width: int) -> None:
    content = wish(panels="task").run(table(tasks)).contents[".png"]
    assert struct.unpack(">I", content[16:20])[0] == width


def test_equal_tables_give_equal_bytes_in_every_format() -> None:
    plugin = wish(formats=(".svg", ".pdf"), x_scale="log", title="t")
    first, second = plugin.run(table()).contents, plugin.run(table()).contents
    assert list(first) == [".png", ".svg", ".pdf"]
    assert first == second


def test_the_drawn_line_is_the_mean_over_replicates() -> None:
    drawn = figure(wish(), table())
    line = drawn.axes[0].lines[0]
    np.testing.assert_array_equal(line.get_xdata(), [0, 1, 10, 100, 1000])
    expected = [(s / (s + 1000) + s / (s + 500)) / 2 for s in (0, 1, 10, 100, 1000)]
    np.testing.assert_allclose(line.get_ydata(), expected)
    assert len(drawn.axes[0].collections) == 2  # a band for each hue


def test_log_axes_have_powers_of_ten_and_say_what_they_cannot_show() -> None:
    drawn = figure(wish(x_scale="log"), table())
    labels = [label.get_text() for label in drawn.axes[0].get_xticklabels()]
    assert labels == ["$10^{0}$", "$10^{1}$", "$10^{2}$", "$10^{3}$"]
    assert words(drawn) == ["2 points at or below zero not shown on log axes."]


def test_bands_on_a_log_axis_stay_above_zero() -> None:
    data = Table({"step": [1, 1, 2, 2], "seed": [0, 1, 0, 1], "test": [0.01, 9.0, 1.0, 2.0]})
    drawn = figure(wish(hue=None, y_scale="log"), data)
    (band,) = drawn.axes[0].collections
    assert min(path.vertices[:, 1].min() for path in band.get_paths()) > 0
    assert drawn.axes[0].get_ylim()[0] > 0


def test_hues_are_colours_and_columns_are_dashes() -> None:
    drawn = figure(wish(y=("train", "test"), names={"decay": "weight decay"}), table())
    lines = drawn.axes[0].lines
    assert [line.get_linestyle() for line in lines] == ["-", "--", "-", "--"]
    colours = [line.get_color() for line in lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert legend(drawn) == ["weight decay = 0", "weight decay = 1", "train", "test"]


def test_a_right_axis_holds_its_columns_alone() -> None:
    drawn = figure(wish(hue=None, right="llc", replicate=None), Table.of(table().frame[:5]))
    left, right = drawn.axes
    assert (len(left.lines), len(right.lines)) == (1, 1)
    assert right.lines[0].get_ydata()[-1] == 20.0
    assert right.get_ylabel() == "llc"
    assert legend(drawn) == ["test", "llc (right)"]


def test_panels_share_their_vertical_axes_on_both_sides() -> None:
    data = table(("add", "sub")).frame
    data.loc[data["task"] == "sub", ["test", "llc"]] *= 100
    drawn = figure(wish(panels="task", right="llc"), Table.of(data))
    first, second, right_first, right_second = drawn.axes
    assert first.get_ylim() == second.get_ylim()
    assert right_first.get_ylim() == right_second.get_ylim()
    assert right_first.get_ylim()[1] > 2000


def test_legend_and_footnote_stand_below_the_panels_without_touching() -> None:
    drawn = figure(wish(panels="task", footnote="A footnote."), table(("add", "sub", "mul", "div")))
    foot = drawn.texts[0].get_window_extent()
    entries = drawn.legends[0].get_window_extent()
    panels = min(axes.get_tightbbox().y0 for axes in drawn.axes)
    assert 0 <= foot.y0 < foot.y1 <= entries.y0 < entries.y1 <= panels


def test_a_single_curve_has_no_legend() -> None:
    data = Table({"step": [1, 2], "test": [0.1, 0.2]})
    assert not figure(wish(hue=None, replicate=None), data).legends


def test_a_picture_without_any_point_is_refused() -> None:
    data = Table({"step": [1, 2], "test": [0.0, -0.2]})
    with pytest.raises(ValueError, match="no point can be shown"):
        wish(hue=None, replicate=None, y_scale="log").run(data)


def test_parameters_are_checked_together() -> None:
    assert wish().check_parameters() is None
    assert "y = []" in str(wish(y=()).check_parameters())
    assert "both y and right" in str(wish(right="test").check_parameters())
    with pytest.raises(ValueError, match=r"a\.gif"):
        wish(path="a.gif").run(table())
