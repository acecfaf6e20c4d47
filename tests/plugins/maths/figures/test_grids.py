"""Tables as grids: spacing, edges, holes, masks, and the limits of colour scales."""

import numpy as np
import pandas as pd
import pytest

from plugins.maths.figures.grids import (
    coordinates,
    edges,
    grid_of,
    layout,
    limits,
    relative_spread,
    spacing,
)


def frame(**more: list[object]) -> pd.DataFrame:
    """Return a 2 x 2 grid, value = 10 x + y."""
    base = {"x": [1.0, 1.0, 2.0, 2.0], "y": [3.0, 4.0, 3.0, 4.0], "v": [13.0, 14.0, 23.0, 24.0]}
    return pd.DataFrame(base | more)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.geomspace(0.3, 3, 30), "log"),
        ([0.1, 0.3, 1.0, 3.0, 10.0], "log"),
        (np.linspace(9, 11, 5), "linear"),
        (np.linspace(-1, 1, 5), "linear"),
        ([0.0, 0.1, 1.0], "even"),
        ([0.3, 3.0], "log"),
        ([1.0, 2.0], "linear"),
        (["a", "b"], "even"),
        ([1.0], "even"),
    ],
)
def test_spacing_is_read_off_the_values(values: list[object], kind: str) -> None:
    assert spacing(list(values) if isinstance(values, list) else values.tolist()) == kind


def test_edges_are_midpoints_geometric_ones_on_a_log_axis() -> None:
    np.testing.assert_allclose(edges([1.0, 2.0, 3.0], "linear"), [0.5, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(edges([1.0, 100.0], "log"), [0.1, 10.0, 1000.0])
    np.testing.assert_allclose(edges(["a", "b"], "even"), [-0.5, 0.5, 1.5])


def test_a_log_axis_refuses_a_value_that_is_not_positive() -> None:
    with pytest.raises(ValueError, match=r"positive values, not -1\.0"):
        edges([-1.0, 1.0], "log")


def test_cells_stand_at_their_coordinates_whatever_the_order_of_rows() -> None:
    shuffled = frame().iloc[[3, 0, 2, 1]]
    (panel,) = grid_of(shuffled, "x", "y", "v").panels
    np.testing.assert_array_equal(panel.values, [[13.0, 23.0], [14.0, 24.0]])


def test_panels_and_text_keep_the_order_of_appearance_and_numbers_are_sorted() -> None:
    table = pd.DataFrame({"p": ["b", "a"], "x": [2, 1], "y": ["q", "p"], "v": [1.0, 2.0]})
    grid = grid_of(table, "x", "y", "v", panels="p")
    assert ([p.name for p in grid.panels], grid.x, grid.y) == (["b", "a"], [1.0, 2.0], ["q", "p"])
    assert coordinates(pd.Series([3, 1, 3])) == [1.0, 3.0]


def test_masked_empty_and_absent_cells_are_told_apart_and_counted() -> None:
    table = frame(v=[13.0, np.nan, 23.0, np.inf], ok=[False, True, True, True])
    (panel,) = grid_of(table, "x", "y", "v", mask="ok").panels
    assert panel.notes("sick", spread=False) == [
        "1 of 4 cells sick",
        "2 of 4 cells without a finite value",
    ]
    assert panel.shown.tolist() == [23.0]
    (fewer,) = grid_of(frame().iloc[:3], "x", "y", "v").panels
    assert fewer.notes("sick", spread=False) == ["1 cells missing"]


def test_a_masked_cell_without_a_value_is_counted_once() -> None:
    table = frame(v=[np.nan, 14.0, 23.0, 24.0], ok=[False, True, True, True])
    (panel,) = grid_of(table, "x", "y", "v", mask="ok").panels
    assert panel.notes("sick", spread=False) == ["1 of 4 cells sick"]


def test_a_panel_that_is_masked_throughout_says_so() -> None:
    (panel,) = grid_of(frame(ok=[False] * 4), "x", "y", "v", mask="ok").panels
    assert panel.notes("unhealthy", spread=True) == ["all 4 cells unhealthy"]


def test_the_spread_is_taken_over_cells_that_are_not_masked() -> None:
    table = frame(v=[1.0, 3.0, 900.0, 900.0], ok=[True, True, False, False])
    (panel,) = grid_of(table, "x", "y", "v", mask="ok").panels
    assert relative_spread(panel.shown) == 0.5
    assert panel.notes("sick", spread=True)[-1] == "std/mean 0.5"


def test_a_mask_that_is_not_boolean_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mask = 'ok' must hold true or false, not 'yes'"):
        grid_of(frame(ok=["yes"] * 4), "x", "y", "v", mask="ok")


def test_values_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="column 'v' must hold numbers"):
        grid_of(frame(v=["a", "b", "c", "d"]), "x", "y", "v")


def test_a_table_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        grid_of(frame().iloc[:0], "x", "y", "v")


def test_limits_pool_all_groups_and_clip_at_quantiles() -> None:
    groups = [np.arange(51.0), np.arange(50.0, 101.0)]
    assert limits(groups, "linear") == (0.0, 100.0)
    assert limits([np.arange(101.0)], "linear", (0.1, 0.9)) == pytest.approx((10.0, 90.0))


def test_limits_of_equal_values_still_span_a_range() -> None:
    assert limits([np.full(3, 2.0)], "linear") == pytest.approx((1.9, 2.1))
    assert limits([np.zeros(3)], "linear") == (-0.5, 0.5)
    assert limits([np.full(3, 1.1)], "log") == pytest.approx((1.0, 1.21))


def test_limits_of_nothing_are_none_and_a_log_scale_names_its_least_value() -> None:
    assert limits([np.zeros(0)], "log") is None
    with pytest.raises(ValueError, match=r"least of 2 is .*-3\.0.*scale = \"linear\""):
        limits([np.array([-3.0, 1.0])], "log")


def test_layout_holds_every_panel() -> None:
    for count in range(1, 20):
        rows, columns = layout(count)
        assert (rows - 1) * columns < count <= rows * columns
    assert layout(4) == (2, 2)
    assert layout(4, wrap=4) == (1, 4)


def test_a_panel_states_the_settings_it_was_made_with():
    frame = pd.DataFrame({
        "x": [0.0, 1.0, 0.0, 1.0], "y": [0.0, 0.0, 0.0, 0.0], "v": [1.0, 2.0, 3.0, 4.0],
        "kind": ["a", "a", "b", "b"], "rate": [5e-8, 5e-8, 1e-3, 2e-3], "mode": ["m"] * 4,
    })  # fmt: skip
    grid = grid_of(frame, "x", "y", "v", panels="kind", state=["rate", "mode"])
    assert grid.panels[0].notes("masked", spread=False) == ["rate 5e-08", "mode m"]
    assert grid.panels[1].notes("masked", spread=False)[0] == "rate 0.001 to 0.002"
    with pytest.raises(ValueError, match="rat"):
        grid_of(frame, "x", "y", "v", panels="kind", state=["rat"])
