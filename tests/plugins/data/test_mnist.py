"""MNIST's idx files, small ones of the same format."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.data.mnist import Mnist
from runner.errors import RunnerError
from runner.types import Array

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5, 9, 2], np.uint8)


def idx(array: Array) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split, rows in (("train", 5), ("test", 2)):
        part = slice(0, 5) if rows == 5 else slice(5, 7)
        (tmp_path / f"{split}_images").write_bytes(idx(IMAGES[part]))
        (tmp_path / f"{split}_labels").write_bytes(idx(LABELS[part]))
    return tmp_path


def plugin(folder: Path, **more: Any) -> Mnist:
    names = [f"{s}_{k}" for s in ("train", "test") for k in ("images", "labels")]
    return Mnist.model_validate({name: str(folder / name) for name in names} | more)


def test_rows_keep_their_order_and_are_normalised(folder: Path) -> None:
    data = plugin(folder).run()
    wanted = (IMAGES[:5, None] / 255.0 - 0.1307) / 0.3081
    np.testing.assert_allclose(data["train"]["x"], wanted, atol=1e-6)
    assert data["train"]["y"].tolist() == [3, 1, 4, 1, 5]
    assert data["test"]["y"].tolist() == [9, 2]
    assert data["train"]["x"].dtype == np.float32
    assert data.about["inputs"] == 784
    assert data.about["name"] == "MNIST"


def test_it_agrees_with_torchvisions_reader(folder: Path) -> None:
    from torchvision.datasets.mnist import read_image_file, read_label_file

    data = plugin(folder, mean=0.0, std=1.0).run()
    images = read_image_file(str(folder / "train_images"))
    np.testing.assert_allclose(data["train"]["x"][:, 0] * 255, images.numpy(), atol=1e-4)
    labels = read_label_file(str(folder / "train_labels"))
    assert data["train"]["y"].tolist() == labels.tolist()


def test_gzipped_files_are_the_same(folder: Path) -> None:
    plain = plugin(folder).run()
    for file in folder.iterdir():
        file.write_bytes(gzip.compress(file.read_bytes()))
    np.testing.assert_array_equal(plugin(folder).run()["train"]["x"], plain["train"]["x"])


def test_a_missing_file_says_where_to_get_it(folder: Path) -> None:
    (folder / "test_labels").unlink()
    with pytest.raises(ValueError, match=r"no such file .*get it from https://"):
        plugin(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train_images", idx(IMAGES[:5])[:-1], "cut short"),
        ("train_images", idx(LABELS), "no idx file of bytes in 3 dimensions"),
        ("train_images", b"<html>", "no idx file"),
        ("train_images", gzip.compress(idx(IMAGES[:5]))[:-20], "damaged gzip"),
        ("train_labels", idx(LABELS[:4]), "do not belong together"),
        ("test_labels", idx(np.array([3, 10], np.uint8)), "digits are 0 to 9"),
        ("test_images", idx(IMAGES[:2, :20]), "differ in size"),
    ],
)
def test_a_wrong_file_is_told_of(folder: Path, name: str, content: bytes, message: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(RunnerError, match=message):
        plugin(folder).run()


def test_content_and_not_the_path_is_the_identity(folder: Path) -> None:
    one = plugin(folder).model_dump(mode="json")
    moved = folder / "elsewhere"
    moved.mkdir()
    for file in [f for f in folder.iterdir() if f.is_file()]:
        file.rename(moved / file.name)
    assert plugin(moved).model_dump(mode="json") == one
