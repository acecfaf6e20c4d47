"""Scatter plots: what is drawn, what is left out and said, and what is refused."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import Normalize

from plugins.maths.figures.scatters import draw_scatter
from plugins.renderers.scatter import Scatter
from runner.types import Table

FRAME = pd.DataFrame({
    "pc1": [0.0, 1.0, 2.0, 3.0, np.nan], "pc2": [1.0, 0.0, 1.0, 0.0, 1.0],
    "step": [0, 0, 10, 10, 20], "index": [1, 2, 1, 2, 1], "kind": ["a", "a", "b", "b", "b"],
})  # fmt: skip


def wish(**parameters: Any) -> Scatter:
    return Scatter(**{"x": "pc1", "y": "pc2", "path": "a.png"} | parameters)


def test_dots_lie_where_the_table_says_coloured_by_their_column() -> None:
    figure = draw_scatter(wish(colour="step"), FRAME)
    (dots,) = figure.axes[0].collections
    np.testing.assert_array_equal(dots.get_offsets(), FRAME[["pc1", "pc2"]][:4])
    wanted = mpl.colormaps["viridis"](Normalize(0, 10)([0, 0, 10, 10]))
    dots.update_scalarmappable()
    np.testing.assert_allclose(dots.get_facecolors(), wanted)
    assert figure.axes[-1].get_ylabel() == "step"


def test_rows_that_cannot_be_drawn_are_counted() -> None:
    figure = draw_scatter(wish(footnote="Here."), FRAME)
    assert figure.get_supxlabel() == "Here. 1 row without finite values not shown."


def test_dots_of_one_value_are_joined_in_order() -> None:
    axes = draw_scatter(wish(joined="index"), FRAME).axes[0]
    assert [line.get_xdata().tolist() for line in axes.lines] == [[0.0, 2.0], [1.0, 3.0]]


def test_panels_share_axes_and_are_named() -> None:
    figure = draw_scatter(wish(panels="kind", colour="step"), FRAME)
    one, other = figure.axes[:2]
    assert [one.get_title(), other.get_title()] == ["a", "b"]
    assert one.get_xlim() == other.get_xlim()
    assert len(figure.axes) == 3  # one colour bar


def test_equal_tables_give_equal_bytes() -> None:
    table = Table.of(FRAME)
    one, other = (wish(colour="step").run(table).contents[".png"] for _ in range(2))
    assert one == other
    assert one[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"x": "pc"}, r"x = 'pc': no such column; did you mean"),
        ({"joined": "j"}, "joined = 'j': no such column"),
        ({"colour": "kind"}, "'kind' must hold numbers"),
        ({"colour": "step", "colour_scale": "log"}, "a log scale needs positive values"),
    ],
)
def test_what_cannot_be_drawn_is_told(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_scatter(wish(**parameters), FRAME)


def test_a_table_without_a_finite_row_is_told() -> None:
    with pytest.raises(ValueError, match="no row of 1 has finite pc1, pc2"):
        draw_scatter(wish(), FRAME[4:])
