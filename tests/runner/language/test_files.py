"""Which files are specs."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import UsageError
from runner.language.files import spec_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.toml", "a.toml", "deep/c.toml", "notes.md", "_part.toml", ".taplo.toml"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    return tmp_path


def test_a_folder_stands_for_every_spec_below_it_in_order_of_names(folder: Path) -> None:
    assert spec_files([folder]) == [folder / name for name in ("a.toml", "b.toml", "deep/c.toml")]


def test_a_spec_named_twice_is_taken_once_as_it_was_named_first(folder: Path) -> None:
    named = folder / "deep" / ".." / "b.toml"
    assert spec_files([named, folder / "deep", folder]) == [
        named, folder / "deep" / "c.toml", folder / "a.toml",
    ]  # fmt: skip


def test_a_part_is_taken_only_when_it_is_named(folder: Path) -> None:
    part = folder / "_part.toml"
    assert part not in spec_files([folder])
    assert spec_files([part]) == [part]


def test_a_file_is_taken_whether_or_not_it_is_there(folder: Path) -> None:
    assert spec_files([folder / "missing.toml"]) == [folder / "missing.toml"]


def test_a_folder_without_specs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no \*\.toml below this folder"):
        spec_files([tmp_path])


def test_a_path_that_cannot_be_looked_at_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be looked at"):
        spec_files([tmp_path / ("x" * 300)])
