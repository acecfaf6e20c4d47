"""Views: names that stay in their folder, files that are put there whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import StoreError
from runner.storage.store import Store
from runner.storage.view import RESERVED, place, place_content, view_paths


@dataclass
class Drawn:
    """As much of a renderer as its names need."""

    path: str
    formats: tuple[str, ...] = ()

    def suffixes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([PurePosixPath(self.path).suffix, *self.formats]))


@pytest.mark.parametrize(
    ("path", "formats", "names"),
    [
        ("a.png", (), ("a.png",)), ("x/y/a.b.png", (), ("x/y/a.b.png",)),
        ("a.png", (".pdf", ".png"), ("a.png", "a.pdf")), ("é 漢.svg", (), ("é 漢.svg",)),
        ("failed.png", (), ("failed.png",)), ("x/run.json", (), ("x/run.json",)),
    ],
)  # fmt: skip
def test_a_name_below_the_folder_is_taken(
    path: str, formats: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert view_paths(Drawn(path, formats)) == names


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "/", "/a.png", "../a.png", "a/../b.png", "~/a.png", "~a.png", "a\\b.png",
     "a:b.png",
     "a\nb.png", "a?.png", ".a.png", "x/.hidden/a.png", "a", "a.", "x/", "run.json", "RUN.json",
     "report.html", "report.md", "failed/a.png", "runs/a.png", "a|b.png", "a\0.png"],
)  # fmt: skip
def test_a_name_that_leaves_the_folder_or_is_none_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        view_paths(Drawn(path))


@pytest.mark.parametrize("suffix", ["pdf", ".", "", "./x", ".p/df", "../x", ".tar.gz"])
def test_a_format_is_a_suffix(suffix: str) -> None:
    with pytest.raises(ValueError, match="is no suffix"):
        view_paths(Drawn("a.png", (suffix,)))


@given(st.text(max_size=20))
def test_whatever_is_taken_lies_below_the_folder(path: str) -> None:
    try:
        names = view_paths(Drawn(path))
    except ValueError:
        return
    for name in names:
        target = os.path.normpath(f"/folder/{name}")
        assert target.startswith("/folder/")
        assert name not in RESERVED


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    yield store
    assert list(store.folder.glob("aside/*")) == []
    store.close()


def test_a_view_is_a_hard_link_and_placing_it_again_changes_nothing(
    tmp_path: Path, store: Store
) -> None:
    source = tmp_path / "object"
    source.write_bytes(b"picture")
    folder = tmp_path / "views"
    target = place(source, folder, "x/a.png", store)
    assert target == folder / "x" / "a.png"
    assert target.samefile(source)
    assert place(source, folder, "x/a.png", store).samefile(source)
    assert [p.name for p in (folder / "x").iterdir()] == ["a.png"]


def test_a_view_replaces_what_was_there(tmp_path: Path, store: Store) -> None:
    source, folder = tmp_path / "object", tmp_path / "views"
    source.write_bytes(b"new")
    folder.mkdir()
    (folder / "a.png").write_bytes(b"old")
    assert place(source, folder, "a.png", store).read_bytes() == b"new"


def test_a_view_is_copied_where_it_cannot_be_linked(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    source = tmp_path / "object"
    source.write_bytes(b"picture")
    target = place(source, tmp_path / "views", "a.png", store)
    assert target.read_bytes() == b"picture"
    assert not target.samefile(source)


def test_a_view_folder_on_another_disk_is_written_too(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def refuse(source: Path, target: Path) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    place_content(b"picture", tmp_path / "views", "x/a.png", store)
    assert [p.name for p in (tmp_path / "views" / "x").iterdir()] == ["a.png"]
    assert (tmp_path / "views" / "x" / "a.png").read_bytes() == b"picture"


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path, store: Store) -> None:
    source, folder, outside = tmp_path / "object", tmp_path / "views", tmp_path / "outside"
    source.write_bytes(b"picture")
    outside.mkdir()
    folder.mkdir()
    (folder / "x").symlink_to(outside)
    with pytest.raises(StoreError, match="is a link out of"):
        place(source, folder, "x/a.png", store)
    assert list(outside.iterdir()) == []


def test_a_file_where_a_folder_should_be_is_told(tmp_path: Path, store: Store) -> None:
    source, folder = tmp_path / "object", tmp_path / "views"
    source.write_bytes(b"picture")
    folder.mkdir()
    (folder / "x").write_text("a file")
    with pytest.raises(StoreError, match=r"cannot write .*a\.png: File exists"):
        place(source, folder, "x/a.png", store)
