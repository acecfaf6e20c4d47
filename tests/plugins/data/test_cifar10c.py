"""CIFAR-10-C's npy files, small ones of the same layout."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from plugins.data.cifar10c import Cifar10c
from plugins.maths.images.kinds import Kind
from runner.errors import RunnerError

EACH = 4  # images a level
IMAGES = np.random.default_rng(0).integers(0, 256, (5 * EACH, 32, 32, 3), dtype=np.uint8)
LABELS = np.tile(np.array([3, 1, 4, 1], np.uint8), 5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "gaussian_noise.npy", IMAGES)
    np.save(tmp_path / "labels.npy", LABELS)
    return tmp_path


def plugin(folder: Path, kind: str = "gaussian_noise", **more: Any) -> Cifar10c:
    files = {"images": str(folder / f"{kind}.npy"), "labels": str(folder / "labels.npy")}
    return Cifar10c.model_validate({"kind": kind, **files, **more}, strict=False)


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_a_level_is_its_fifth_of_the_rows(folder: Path, level: int) -> None:
    data = plugin(folder, level=level, mean=[0, 0, 0], std=[1, 1, 1]).run()
    wanted = IMAGES[(level - 1) * EACH : level * EACH]
    np.testing.assert_allclose(data["test"]["x"].transpose(0, 2, 3, 1) * 255, wanted, atol=1e-4)
    assert data["test"]["y"].tolist() == [3, 1, 4, 1]
    assert data.about["level"] == level
    assert data.about["corruption"] == "gaussian_noise"
    assert list(data.splits) == ["test"]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_all_fifteen_names_are_accepted(folder: Path, kind: str) -> None:
    (folder / "gaussian_noise.npy").rename(folder / f"{kind}.npy")
    one = plugin(folder, kind)
    assert one.check_parameters() is None
    assert one.run().about["corruption"] == kind


def test_there_are_fifteen() -> None:
    assert len(set(get_args(Kind))) == 15


def test_a_file_of_another_kind_is_refused(folder: Path) -> None:
    wrong = Cifar10c.model_validate(
        {
            "kind": "fog", "images": str(folder / "gaussian_noise.npy"),
            "labels": str(folder / "labels.npy"),
        },
        strict=False,
    )  # fmt: skip
    assert "is not the file of kind = 'fog'" in str(wrong.check_parameters())


def test_only_the_rows_of_the_level_are_read(folder: Path, monkeypatch: Any) -> None:
    """The file is mapped: 153 MB of it would otherwise be read for 31."""
    modes: list[Any] = []
    load = np.load

    def noted(*arguments: Any, **options: Any) -> Any:
        modes.append((options["mmap_mode"], options["allow_pickle"]))
        return load(*arguments, **options)

    monkeypatch.setattr(np, "load", noted)
    plugin(folder).run()
    assert modes == [("r", False)] * 2


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (IMAGES.astype(np.float32), r"holds float32 .*; bytes in 4 dimensions"),
        (IMAGES[:, :, :, 0], "bytes in 4 dimensions"),
        (IMAGES[:, :, :, :2], "5 levels of colour images"),
        (IMAGES[:-1], "5 levels of colour images"),
        (IMAGES[:-5], "do not belong together"),
    ],
)
def test_images_of_a_wrong_shape_are_told_of(folder: Path, array: Any, message: str) -> None:
    np.save(folder / "gaussian_noise.npy", array)
    with pytest.raises(RunnerError, match=message):
        plugin(folder).run()


def test_a_file_that_is_cut_short_or_something_else_is_told_of(folder: Path) -> None:
    file = folder / "gaussian_noise.npy"
    whole = file.read_bytes()
    for content in (whole[:-1], whole[:5], b"", b"<html>"):
        file.write_bytes(content)
        with pytest.raises(RunnerError, match=r"no npy file, or cut short.*Get it from https://"):
            plugin(folder).run()
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(RunnerError, match="no npy file"):
        plugin(folder).run()


def test_labels_are_classes_of_cifar_10(folder: Path) -> None:
    np.save(folder / "labels.npy", LABELS + 7)
    with pytest.raises(RunnerError, match=r"labels\.npy holds 11"):
        plugin(folder).run()


def test_a_missing_file_says_where_to_get_it(folder: Path) -> None:
    (folder / "labels.npy").unlink()
    with pytest.raises(ValueError, match=r"no such file .*get it from https://"):
        plugin(folder)
