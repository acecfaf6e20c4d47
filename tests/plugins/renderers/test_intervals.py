import pandas as pd
import pytest

from plugins.maths.figures import theme
from plugins.maths.figures.intervalplots import draw_intervals, intervals_of
from plugins.renderers.intervals import Intervals
from runner.types import Table

WISH = Intervals(
    rows="case", value="llc", error="se", reference="exact", hue="sampler", mark="limit",
    path="x.png", bands=(0.05,), title="A title",
)  # fmt: skip


def frame() -> pd.DataFrame:
    rows = [
        ("a", "p", 5.0, 0.1, 5.1), ("a", "p", 4.0, 0.1, 5.1), ("a", "q", 5.1, 0.1, 5.1),
        ("b", "p", 0.2, 0.01, 0.25), ("b", "q", float("nan"), 0.01, 0.25),
    ]  # fmt: skip
    made = pd.DataFrame(rows, columns=["case", "sampler", "llc", "se", "exact"])
    return made.assign(limit=1.02 * made["exact"])


def read(data: pd.DataFrame, **change: object):
    names = {"hue": "sampler", "mark": "limit", "times": 2.0} | change
    return intervals_of(data, "case", "llc", "se", "exact", **names)


def test_intervals_are_shares_of_the_reference_in_order_of_appearance():
    found = read(frame())
    assert (found.rows, found.hues, found.lost, found.repeats) == (["a", "b"], ["p", "q"], 1, 2)
    first, second, third, last = found.intervals
    assert (first.row, first.hue, first.repeat) == (0, 0, 0)
    assert (second.repeat, third.hue, last.row) == (1, 1, 1)
    assert first.middle == pytest.approx(5.0 / 5.1)
    assert first.reach == pytest.approx(0.2 / 5.1)
    assert first.mark == pytest.approx(1.02)
    assert [one.holds_one for one in found.intervals] == [True, False, True, False]


def test_a_point_is_hollow_exactly_where_its_interval_misses_the_reference():
    with theme.style():
        axes = draw_intervals(WISH, read(frame())).axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [False, True, False, True]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row stands above


def test_a_point_beyond_the_limits_sits_at_the_edge():
    wish = WISH.model_copy(update={"limits": (0.9, 1.1)})
    with theme.style():
        figure = draw_intervals(wish, read(frame()))
    edges = [line for line in figure.axes[0].lines if line.get_marker() in "<>"]
    assert [(line.get_marker(), line.get_xdata()[0]) for line in edges] == [("<", 0.9)] * 2


def test_what_misses_and_what_is_lost_is_said():
    with theme.style():
        figure = draw_intervals(WISH, read(frame()))
    words = " ".join(text.get_text() for text in figure.texts)
    assert "2 of 4 intervals (hollow) miss 1." in words
    assert "1 row without a finite value not shown." in words
    assert "Marks" not in words
    wish = WISH.model_copy(update={"limits": (0.7, 1.01)})
    with theme.style():
        figure = draw_intervals(wish, read(frame()))
    assert "Marks beyond the axis: a, b." in " ".join(text.get_text() for text in figure.texts)


def test_equal_tables_give_equal_bytes_and_hue_and_mark_may_be_left_out():
    one, two = (WISH.run(Table.of(frame())).contents[".png"] for _ in range(2))
    assert one == two
    plain = Intervals(rows="case", value="llc", error="se", reference="exact", path="x.svg")
    assert plain.run(Table.of(frame())).contents[".svg"].startswith(b"<?xml")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"exact": 0.0}, "zero in some row"),
        ({"se": "wide"}, "not of numbers"),
        ({"llc": float("nan")}, "no row has a finite llc"),
    ],
)
def test_tables_that_cannot_be_drawn_are_named(change, problem):
    with pytest.raises(ValueError, match=problem):
        read(frame().assign(**change))


def test_missing_columns_and_impossible_limits_are_named():
    with pytest.raises(ValueError, match="no such column"):
        read(frame().drop(columns="limit"))
    assert "smaller first" in WISH.model_copy(update={"limits": (1.0, 0.5)}).check_parameters()
