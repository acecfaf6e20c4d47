"""Exports for older scripts: the tree that they expect, read back in every format."""

import io
import json
import pickle
from typing import Any

import h5py
import numpy as np
import pytest

from plugins.maths.files.plain_pickle import loads
from plugins.renderers.hdf5 import Hdf5
from plugins.renderers.nested import Nested
from runner.types import Table

CELLS = [(beta, seed, f"S_{at}") for beta in (1.0, 2.0) for seed in (100, 200) for at in (1, 2)]
METRICS = Table(
    {
        "beta": [b for b, _, _ in CELLS],
        "seed": [s for _, s, _ in CELLS],
        "scenario": [n for _, _, n in CELLS],
        "rms": [0.1 * at for at in range(8)],
    }
)
CURVES = Table(
    {
        **{n: np.repeat(METRICS.columns[n], 3) for n in ("beta", "seed", "scenario")},
        "part": ["test", "test", "train"] * 8,
        "x": [0.0, 1.0, 2.0] * 8,
        "ft": np.arange(24.0),
    }
)
TEST = {"table": "second", "column": "ft", "where": {"part": "test"}}


def wish(path: str = "a.pkl", **parameters: Any) -> Nested:
    given: dict[str, Any] = {
        "keys": ["beta", "seed", "scenario"],
        "numbers": {"test_rms_ft": "rms"},
        "arrays": {"y_pred": TEST},
        "top": {
            "x_test": {"table": "second", "column": "x", "where": {"part": "test"}},
            "BETA": {"column": "beta", "distinct": True},
            "names": {"column": "scenario", "distinct": True},
        },
        "under": "results",
    }
    text = json.dumps(given | {"path": path} | parameters)
    return Nested.model_validate_json(text, strict=True)


def bytes_of(plugin: Nested) -> bytes:
    files = plugin.run(METRICS, CURVES)
    again = plugin.run(METRICS, CURVES)
    assert files == again
    (content,) = files.contents.values()
    return content


@pytest.mark.parametrize("read", [pickle.loads, loads])
def test_a_pickle_is_nested_by_plain_floats_and_read_by_python_and_by_us(read: Any) -> None:
    found = read(bytes_of(wish()))
    assert list(found["results"]) == [1.0, 2.0]
    assert all(type(key) is float for key in found["results"])
    assert all(type(key) is int for key in found["results"][1.0])
    leaf = found["results"][2.0][100]["S_2"]
    assert leaf["test_rms_ft"] == pytest.approx(0.5)
    assert leaf["y_pred"].tolist() == [15.0, 16.0]
    assert found["x_test"].tolist() == [0.0, 1.0]
    assert found["BETA"].tolist() == [1.0, 2.0]


def test_without_a_name_the_tree_is_the_top() -> None:
    found = loads(bytes_of(wish(under="", top={})))
    assert found[1.0][200]["S_1"]["y_pred"].tolist() == [6.0, 7.0]


def test_hdf5_npz_and_json_hold_the_same() -> None:
    with h5py.File(io.BytesIO(bytes_of(wish("a.h5")))) as file:
        leaf = file["results/2.0/100/S_2"]
        assert leaf["y_pred"][()].tolist() == [15.0, 16.0]
        assert leaf.attrs["test_rms_ft"] == pytest.approx(0.5)
        assert file["names"].asstr()[()].tolist() == ["S_1", "S_2"]
    with np.load(io.BytesIO(bytes_of(wish("a.npz")))) as file:
        assert file["results/2.0/100/S_2/y_pred"].tolist() == [15.0, 16.0]
        assert file["names"].tolist() == ["S_1", "S_2"]
    found = json.loads(bytes_of(wish("a.json")))
    assert found["results"]["2.0"]["100"]["S_2"]["y_pred"] == [15.0, 16.0]


def test_several_formats_are_written_at_once() -> None:
    assert list(wish(formats=[".h5"]).run(METRICS, CURVES).contents) == [".pkl", ".h5"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"keys": ["beta", "seed"]}, "A leaf is one row"),
        ({"numbers": {"a": "rmse"}}, "did you mean|no such column"),
        ({"arrays": {"a": {"table": "third", "column": "x"}}}, "which is not given"),
        ({"arrays": {"a": TEST | {"where": {"part": "tests"}}}}, "no rows of 'ft'"),
        ({"numbers": {"y_pred": "rms"}}, "both numbers and arrays"),
        ({"under": "BETA"}, "stands in top"),
        ({"path": "a.txt"}, "suffix"),
    ],
)
def test_what_cannot_be_nested_is_told(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        wish(**parameters).run(METRICS, CURVES)


def test_a_table_is_an_array_a_column() -> None:
    content = Hdf5(path="a.h5", keep=("scenario", "rms")).run(METRICS).contents[".h5"]
    with h5py.File(io.BytesIO(content)) as file:
        assert list(file) == ["scenario", "rms"]
        assert file["scenario"].asstr()[0] == "S_1"
        assert np.array_equal(file["rms"][()], METRICS.columns["rms"])
    with pytest.raises(ValueError, match="no such column"):
        Hdf5(path="a.h5", keep=("rmse",)).run(METRICS)
