"""A split of spectra as a file of flat layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.data.spectra_hdf5 import SpectraHdf5
from plugins.data.synthetic_spectra import SyntheticSpectra
from plugins.renderers import spectra_file
from plugins.renderers.spectra_file import SpectraFile
from runner import Circumstance, InputFile, RunnerError, Seed, Split


@pytest.fixture(scope="module")
def stars() -> Any:
    made = SyntheticSpectra(train=600, val=20, test=10, pixels=32)
    return made.run(Seed(0), Circumstance())


def test_what_is_written_is_read_back_to_the_bit(stars: Any, tmp_path: Path) -> None:
    for name in stars.splits:
        content = SpectraFile(path="x.h5").run(stars[name]).contents[".h5"]
        (tmp_path / f"{name}.h5").write_bytes(content)
    files = {n: InputFile(tmp_path / f"{n}.h5", "0" * 64) for n in stars.splits}
    labels = tuple(stars.about["labels"])
    back = SpectraHdf5(**files, labels=labels, keep=1.0).run()
    for name, split in stars.splits.items():
        for array, values in split.items():
            assert np.array_equal(np.asarray(back.splits[name][array]), values)
    assert back.about["wave"] == stars.about["wave"]


def test_equal_spectra_give_equal_bytes(stars: Any) -> None:
    first, second = (SpectraFile(path="x.h5").run(stars["test"]).contents for _ in range(2))
    assert first == second


def test_labels_can_be_chosen_and_must_be_there(stars: Any) -> None:
    with pytest.raises(RunnerError, match="no 'redshift'"):
        SpectraFile(path="x.h5", labels=("redshift",)).run(stars["test"])
    with pytest.raises(RunnerError, match="does not state `wave`"):
        SpectraFile(path="x.h5").run(Split(stars.splits["test"]))


def test_what_is_too_large_for_memory_is_refused(
    stars: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectra_file, "MOST", 1000)
    with pytest.raises(RunnerError, match="more than 1 GiB"):
        SpectraFile(path="x.h5").run(stars["test"])
