"""What renderers say about missing columns and rows that share a cell."""

import pandas as pd
import pytest

from plugins.maths.figures.views import check_columns, check_unique


def test_a_missing_column_is_named_with_its_parameter_and_a_near_miss() -> None:
    frame = pd.DataFrame({"alpha": [1], "beta": [2]})
    with pytest.raises(ValueError, match=r"x = 'alhpa': no such column; did you mean \"alpha\"\?"):
        check_columns(frame, x="alhpa", y="beta", panels=None)


def test_rows_at_one_cell_are_named_with_the_columns_that_tell_them_apart() -> None:
    frame = pd.DataFrame({"a": [1, 1, 2], "seed": [0, 1, 0], "same": [5, 5, 5]})
    with pytest.raises(ValueError, match=r"2 rows .* a=1; they differ in seed\. Do this"):
        check_unique(frame, ["a"], "Do this")
    check_unique(frame, ["a", "seed"], "Do this")
