"""Synthetic spectra as a data set: in memory or by way of a file, the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.data.synthetic_spectra import SyntheticSpectra
from plugins.maths.spectra import making
from runner import Circumstance, Seed
from runner.arrays import LazyArray
from runner.storage.codec import Reader, Writer
from runner.storage.store import Store

SIZES = {"train": 700, "val": 40, "test": 30, "pixels": 64}


@pytest.fixture(scope="module")
def held() -> Any:
    return SyntheticSpectra(**SIZES).run(Seed(3), Circumstance())


def test_sizes_and_pixels_are_those_asked_for(held: Any) -> None:
    for name in ("train", "val", "test"):
        split = held.splits[name]
        assert split["flux"].shape == split["error"].shape == (SIZES[name], 54)
        assert all(len(split[label]) == SIZES[name] for label in held.about["labels"])
    assert held.about["kept"] == len(held.about["wave"]) == 54


def test_a_star_does_not_depend_on_how_many_there_are(held: Any) -> None:
    fewer = SyntheticSpectra(**SIZES | {"train": 20}, keep=1.0).run(Seed(3), Circumstance())
    more = SyntheticSpectra(**SIZES, keep=1.0).run(Seed(3), Circumstance())
    assert np.array_equal(fewer.splits["train"]["flux"], more.splits["train"]["flux"][:20])
    assert np.array_equal(fewer.splits["test"]["error"], more.splits["test"]["error"])


def test_by_way_of_a_file_it_is_the_same(
    held: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "HELD", 0)
    here = Circumstance(scratch=tmp_path / "scratch")
    lazy = SyntheticSpectra(**SIZES).run(Seed(3), here)
    store = Store(tmp_path / "store")
    back = Reader(store, None).load(Writer(store).describe(lazy))  # type: ignore[arg-type]
    assert back.about == held.about
    for name, split in held.splits.items():
        assert isinstance(back.splits[name]["flux"], LazyArray)
        for array, values in split.items():
            assert np.array_equal(np.asarray(back.splits[name][array]), values)


def test_what_is_made_on_the_way_to_the_store_is_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "HELD", 0)
    lazy = SyntheticSpectra(**SIZES).run(Seed(3), Circumstance(scratch=tmp_path / "scratch"))
    assert sorted(p.name for p in (tmp_path / "scratch").iterdir()) == [
        "test.h5", "train.h5", "val.h5",
    ]  # fmt: skip
    assert all(isinstance(split["error"], LazyArray) for split in lazy.splits.values())
