"""A split taken from other data."""

from typing import Any

import numpy as np
import pytest

from plugins.perturbations.replace_split import ReplaceSplit
from runner.errors import RunnerError
from runner.types import Dataset, Split

ABOUT = {"shape": [3, 4, 4], "classes": 10, "mean": [0.5], "std": [0.2], "name": "clean"}


def rows(count: int, side: int = 4) -> dict[str, Any]:
    return {"x": np.full((count, 3, side, side), float(count)), "y": np.zeros(count, np.int64)}


DATA = Dataset({"train": rows(5), "test": rows(2)}, ABOUT)


def test_the_split_is_the_sources_and_all_else_the_datas() -> None:
    source = Split(rows(3), {**ABOUT, "name": "noisy"})
    found = ReplaceSplit().run(DATA, source)
    assert found["train"]["x"] is source["x"]
    assert found.splits["test"] is DATA.splits["test"]
    assert found.about == ABOUT
    added = ReplaceSplit(split="noisy").run(DATA, source)
    assert list(added.splits) == ["train", "test", "noisy"]
    assert added.splits["train"] is DATA.splits["train"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Split(rows(3), {**ABOUT, "std": [0.3]}), r"std is \[0\.2\] in data and \[0\.3\]"),
        (Split({"x": np.zeros((1, 3, 4, 4))}, ABOUT), "source has the arrays x, the data"),
        (Split(rows(3, 5), ABOUT), r"a row of 'x' is \(3, 5, 5\) in source"),
    ],
)
def test_what_a_network_would_take_for_something_else_is_refused(
    source: Split, message: str
) -> None:
    with pytest.raises(RunnerError, match=message):
        ReplaceSplit().run(DATA, source)
