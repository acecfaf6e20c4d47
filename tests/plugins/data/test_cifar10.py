"""CIFAR-10's files, small ones of the same two formats."""

import os
import pickle
import struct
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from plugins.data.cifar10 import Cifar10
from runner.errors import RunnerError
from runner.types import Array

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 3072), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5, 9, 2], np.uint8)


def binary(images: Array, labels: Array) -> bytes:
    return np.concatenate([labels[:, None], images], axis=1).tobytes()


def text(value: bytes) -> bytes:
    """An old str, as Python 2 pickled it."""
    if len(value) < 256:
        return b"U" + bytes([len(value)]) + value
    return b"T" + struct.pack("<i", len(value)) + value


def python_2(images: Array, labels: Array) -> bytes:
    """The opcodes of a published python batch: protocol 2, strings of bytes."""
    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    ints = b"".join(b"M" + struct.pack("<H", size) for size in images.shape)
    dtype = (
        b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R"
        b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
        b"(K\x01" + ints + b"\x86" + dtype + b"\x89" + text(images.tobytes()) + b"tb"
    )
    return (
        b"\x80\x02}q\x01(" + text(b"batch_label") + text(b"testing batch 1 of 1")
        + text(b"labels") + b"](" + numbers + b"e" + text(b"data") + array + b"u."
    )  # fmt: skip


@pytest.fixture(params=[binary, python_2], ids=["binary", "python"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    for name, rows in (("one", slice(0, 3)), ("two", slice(3, 5)), ("test", slice(5, 7))):
        (tmp_path / name).write_bytes(request.param(IMAGES[rows], LABELS[rows]))
    return tmp_path


def plugin(folder: Path, **more: Any) -> Cifar10:
    files = {"train": [str(folder / "one"), str(folder / "two")], "test": str(folder / "test")}
    return Cifar10.model_validate({**files, **more}, strict=False)


def test_both_versions_give_rows_in_order_and_normalised(folder: Path) -> None:
    data = plugin(folder).run()
    mean, std = (np.array(data.about[name])[:, None, None] for name in ("mean", "std"))
    wanted = (IMAGES[:5].reshape(5, 3, 32, 32) / 255.0 - mean) / std
    np.testing.assert_allclose(data["train"]["x"], wanted, atol=1e-6)
    assert data["train"]["y"].tolist() == [3, 1, 4, 1, 5]
    assert data["test"]["y"].tolist() == [9, 2]
    assert (data["train"]["x"].dtype, data["train"]["y"].dtype) == (np.float32, np.int64)
    assert data.about["shape"] == [3, 32, 32]
    assert data.about["classes"] == 10


def test_it_agrees_with_torchvisions_reader(tmp_path: Path) -> None:
    from torchvision.datasets import CIFAR10

    class Small(CIFAR10):
        """Torchvision's reader without the digests of the published files."""

        train_list: ClassVar = [("data_batch_1", "")]

        def _check_integrity(self) -> bool:
            return True

        def _load_meta(self) -> None:
            self.classes = []

    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(python_2(IMAGES, LABELS))
    theirs = Small(str(tmp_path))
    file = str(folder / "data_batch_1")
    ours = Cifar10.model_validate(
        {"train": [file], "test": file, "mean": [0, 0, 0], "std": [1, 1, 1]}, strict=False
    ).run()["train"]
    np.testing.assert_allclose(ours["x"].transpose(0, 2, 3, 1) * 255, theirs.data, atol=1e-4)
    assert ours["y"].tolist() == theirs.targets


class Trap:
    """Runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_a_batch_that_would_execute_is_refused(folder: Path) -> None:
    trapped = {"data": Trap(folder / "trap"), "labels": [1]}
    (folder / "test").write_bytes(pickle.dumps(trapped, 2))
    with pytest.raises(RunnerError, match=r"test: this pickle names '.*mkdir'"):
        plugin(folder).run()
    assert not (folder / "trap").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (binary(IMAGES, LABELS)[:-1], "no multiple of the 3073 of an image; is it cut short"),
        (python_2(IMAGES, LABELS)[:-100], "this pickle"),
        (b"<html>", "no multiple of the 3073"),
        (b"", "holds 0 bytes"),
        (binary(IMAGES, LABELS + 5), "labels from 6 to 14; CIFAR-10's are 0 to 9"),
        (python_2(IMAGES[:, :-1], LABELS), r"shape \(7, 3071\)"),
        (pickle.dumps({b"fine_labels": [1]}, 2), "a pickle without data and labels"),
    ],
    ids=["cut binary", "cut pickle", "page", "empty", "labels", "size", "cifar-100"],
)
def test_a_wrong_file_is_told_of(folder: Path, content: bytes, message: str) -> None:
    (folder / "test").write_bytes(content)
    with pytest.raises(RunnerError, match=message):
        plugin(folder).run()


def test_a_missing_file_says_where_to_get_it(folder: Path) -> None:
    (folder / "two").unlink()
    with pytest.raises(ValueError, match=r"no such file .*two.*get it from https://"):
        plugin(folder)


def test_there_must_be_files_and_divisors_must_be_positive(folder: Path) -> None:
    assert "names no file" in str(plugin(folder, train=[]).check_parameters())
    assert "above 0" in str(plugin(folder, std=[1.0, 0.0, 1.0]).check_parameters())
