"""Arrays as files: whole, and at one place along a dimension."""

import io
from typing import Any

import h5py
import numpy as np
import pytest

from plugins.renderers.arrays import ArraysFile
from runner.errors import RunnerError
from runner.types import Arrays

ARRAYS = Arrays(
    {
        "vectors": np.arange(12.0).reshape(3, 2, 2), "steps": np.array([0.0, 10.0, 15.0]),
        "signs": np.array([1, -1]),
    },
    {"vectors": ("snapshot", "pair", "parameter"), "steps": ("snapshot",), "signs": ("pair",)},
)  # fmt: skip


def written(**parameters: Any) -> dict[str, Any]:
    files = ArraysFile(**{"path": "a.npz", "formats": (".h5",)} | parameters).run(ARRAYS)
    found = np.load(io.BytesIO(files.contents[".npz"]), allow_pickle=False)
    arrays = {name: found[name] for name in found.files}
    with h5py.File(io.BytesIO(files.contents[".h5"])) as other:
        assert set(other) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(other[name][()], array)
    return arrays


def test_all_arrays_are_written_whole() -> None:
    found = written()
    assert set(found) == {"vectors", "steps", "signs"}
    np.testing.assert_array_equal(found["vectors"], ARRAYS["vectors"])


def test_the_slice_at_a_coordinate_has_lost_its_dimension() -> None:
    found = written(at={"steps": 10.0}, rename={"vectors": "eigenvectors"})
    np.testing.assert_array_equal(found["eigenvectors"], ARRAYS["vectors"][1])
    assert found["steps"] == 10
    np.testing.assert_array_equal(found["signs"], ARRAYS["signs"])
    assert set(written(keep=("vectors",), at={"steps": 0.0})) == {"vectors"}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"keep": ("vector",)}, "no array 'vector', only vectors"),
        ({"at": {"step": 0.0}}, "no array 'step', only"),
        ({"at": {"steps": 11.0}}, "at steps = 11: 0 of its entries"),
        ({"at": {"vectors": 1.0}}, "'vectors' has dimensions"),
        ({"rename": {"vectors": "steps"}}, "two arrays would be called 'steps'"),
    ],
)
def test_what_is_not_there_is_told(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(RunnerError, match=message):
        written(**parameters)


def test_only_npz_and_hdf5_are_written() -> None:
    with pytest.raises(ValueError, match="suffix"):
        ArraysFile(path="a.pkl")
