"""Spectra in files: both layouts, what is mended, and what each broken file says."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from plugins.data.spectra_hdf5 import SpectraHdf5
from runner import InputFile, RunnerError
from runner.arrays import LazyArray

PIXELS = 40
LABELS = ("T_eff", "log_g", "M_H", "a_M", "C_M", "redshift", "mag", "snr")


def spectra(rows: int, seed: int = 0) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    flux = draw.random((rows, PIXELS)).astype(np.float32)
    error = (0.1 + draw.random((rows, PIXELS))).astype(np.float32)
    labels = {name: draw.random(rows) for name in LABELS}
    return {"wave": np.linspace(7100, 8850, PIXELS), "flux": flux, "error": error, **labels}


def flat(path: Path, arrays: dict[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values


def grouped(path: Path, arrays: dict[str, Any], form: str = "fixed") -> None:
    """Write what pandas' to_hdf writes beside the spectra, byte for byte where it matters."""
    with h5py.File(path, "w") as file:
        file["spectrumdataset/wave"] = arrays["wave"]
        file["dataset/arrays/flux/value"] = arrays["flux"]
        file["dataset/arrays/error/value"] = arrays["error"]
        names = [name for name in LABELS if name in arrays]
        table = np.stack([arrays[name] for name in names], 1)
        group = file.create_group("dataset/params")
        if form == "fixed":
            group.attrs["pandas_type"] = b"frame"
            group.attrs["nblocks"] = 1
            items = group.create_dataset("block0_items", data=np.array(names, "S"))
            items.attrs["kind"] = b"string"
            values = group.create_dataset("block0_values", data=table)
            values.attrs["transposed"] = True
        else:
            group.attrs["pandas_type"] = b"frame_table"
            kind = np.dtype([("index", "i8"), ("values_block_0", "f8", (len(names),))])
            records = np.zeros(len(table), kind)
            records["values_block_0"] = table
            stored = group.create_dataset("table", data=records)
            stored.attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(names, 0))


LAYOUTS: dict[str, Callable[..., None]] = {
    "flat": flat,
    "grouped, fixed": grouped,
    "grouped, table": lambda path, arrays: grouped(path, arrays, "table"),
}


def plugin(folder: Path, **more: Any) -> SpectraHdf5:
    files = {n: InputFile(folder / f"{n}.h5", "0" * 64) for n in ("train", "val", "test")}
    return SpectraHdf5(**files, **more)


def written(folder: Path, layout: str, change: Callable[[dict[str, Any]], None] | None = None):
    found = {}
    for seed, name in enumerate(("train", "val", "test")):
        arrays = spectra(12 if name == "train" else 5, seed)
        if change and name == "val":
            change(arrays)
        LAYOUTS[layout](folder / f"{name}.h5", arrays)
        found[name] = arrays
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_layouts_are_read(tmp_path: Path, layout: str) -> None:
    arrays = written(tmp_path, layout)
    data = plugin(tmp_path, keep=1.0).run()
    for name, split in data.splits.items():
        assert isinstance(split["flux"], LazyArray)
        assert np.array_equal(np.asarray(split["flux"]), arrays[name]["flux"])
        assert np.array_equal(np.asarray(split["error"]), arrays[name]["error"])
        for label, column in (("t_eff", "T_eff"), ("log_g", "log_g"), ("m_h", "M_H")):
            assert np.allclose(split[label], arrays[name][column])
    assert data.about["labels"] == ["t_eff", "log_g", "m_h"]
    assert data.about["kept"] == PIXELS


def test_the_mask_is_that_of_the_training_errors(tmp_path: Path) -> None:
    arrays = written(tmp_path, "flat")
    data = plugin(tmp_path).run()
    medians = np.median(arrays["train"]["error"], axis=0)
    kept = np.flatnonzero(medians < np.quantile(medians, 0.85))
    assert data.about["kept"] == len(kept) == 34
    for name, split in data.splits.items():
        assert np.array_equal(np.asarray(split["flux"]), arrays[name]["flux"][:, kept])
        assert np.array_equal(
            split["flux"][np.array([3, 0])], arrays[name]["flux"][[3, 0]][:, kept]
        )
    assert np.allclose(data.about["wave"], arrays["train"]["wave"][kept], atol=1e-3)


def test_edges_are_filled_and_negative_flux_is_clipped(tmp_path: Path) -> None:
    def change(arrays: dict[str, Any]) -> None:
        arrays["flux"][0, :3] = np.nan
        arrays["flux"][1, -2:] = np.nan
        arrays["error"][1, -2:] = np.inf
        arrays["flux"][2, 7] = -0.5

    arrays = written(tmp_path, "flat", change)["val"]
    split = plugin(tmp_path, keep=1.0).run().splits["val"]
    flux, error = np.asarray(split["flux"]), np.asarray(split["error"])
    assert (flux[0, :3] == arrays["flux"][0, 3]).all()
    assert (flux[1, -2:] == arrays["flux"][1, -3]).all()
    assert (error[1, -2:] == arrays["error"][1, -3]).all()
    assert flux[2, 7] == 0
    unclipped = plugin(tmp_path, keep=1.0, clip=False).run().splits["val"]["flux"]
    assert unclipped[2, 7] == np.float32(-0.5)


def test_a_hole_inside_a_spectrum_is_an_error(tmp_path: Path) -> None:
    def change(arrays: dict[str, Any]) -> None:
        arrays["flux"][4, 9] = np.nan

    written(tmp_path, "flat", change)
    with pytest.raises(RunnerError, match=r"val\.h5: .*flux: row 4, pixel 9 is not finite"):
        np.asarray(plugin(tmp_path, keep=1.0).run().splits["val"]["flux"])


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda arrays: arrays.pop(name)


def with_array(name: str, values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda arrays: arrays.update({name: values})


@pytest.mark.parametrize("layout", ["flat", "grouped, fixed", "grouped, table"])
def test_a_missing_label_is_named_with_those_that_are_there(tmp_path: Path, layout: str) -> None:
    written(tmp_path, layout, without("log_g"))
    with pytest.raises(RunnerError, match=r"val\.h5 has no label 'log_g'.*it has: .*T_eff"):
        plugin(tmp_path).run()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_array("error", np.ones((5, 39))), r"error has shape \(5, 39\).*needs \(5, 40\)"),
        (with_array("wave", np.ones(PIXELS + 1)), r"wave has shape \(41,\).*needs \(40,\)"),
        (with_array("flux", np.ones(5)), r"flux has shape \(5,\); spectra are rows"),
        (with_array("log_g", np.ones(4)), r"log_g has 4 values for 5 spectra"),
        (with_array("log_g", np.full(5, np.nan)), r"log_g is not finite in row 0"),
        (with_array("wave", np.linspace(7000, 8000, PIXELS)), r"val\.h5 has other wavelengths"),
        (without("error"), r"val\.h5 has no array of numbers 'error', which the flat layout needs"),
    ],
)  # fmt: skip
def test_a_wrong_shape_says_which(tmp_path: Path, change: Any, words: str) -> None:
    written(tmp_path, "flat", change)
    with pytest.raises(RunnerError, match=words):
        plugin(tmp_path).run()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_truncated_file_says_so(tmp_path: Path, layout: str) -> None:
    written(tmp_path, layout)
    path = tmp_path / "val.h5"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunnerError, match=r"val\.h5 is cut short: .*copy it again"):
        plugin(tmp_path).run()


def test_what_is_no_hdf5_says_so(tmp_path: Path) -> None:
    written(tmp_path, "flat")
    (tmp_path / "val.h5").write_bytes(b"a text")
    with pytest.raises(RunnerError, match=r"val\.h5 cannot be read as HDF5"):
        plugin(tmp_path).run()


def test_a_missing_file_is_told_by_validate_with_what_there_is_instead(world: Any) -> None:
    spec = world.spec('[data.stars]\nuse = "spectra_hdf5"\ntrain = "a.h5"\nval = "b.h5"\n'
                      'test = "c.h5"\n')  # fmt: skip
    outcome = world.cli("validate", spec.name)
    assert outcome.code == 2
    assert 'no such file "a.h5"' in outcome.err
    assert "synthetic_spectra" in outcome.err


def test_nothing_in_a_table_is_executed(tmp_path: Path) -> None:
    """Column names of appendable tables are pickled: a reader of plain values alone sees them."""

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "touched",))

    written(tmp_path, "grouped, table")
    with h5py.File(tmp_path / "val.h5", "a") as file:
        attrs = file["dataset/params/table"].attrs
        attrs["values_block_0_kind"] = np.bytes_(pickle.dumps([Evil()], 0))
    with pytest.raises(RunnerError, match="no plain text"):
        plugin(tmp_path).run()
    assert not (tmp_path / "touched").exists()
