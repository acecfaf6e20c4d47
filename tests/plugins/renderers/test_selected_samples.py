"""Records of drawn samples."""

import io
import json
from typing import Any

import numpy as np

from plugins.renderers.selected_samples import SelectedSamples
from runner.types import Table


def test_selected_samples_are_the_same_in_both_files(centres: Any, images: Any) -> None:
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
