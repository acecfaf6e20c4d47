"""Patches of scikit-learn's photographs: their classes, and that no pixel is in both splits."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from plugins.data.photo_patches import PhotoPatches
from plugins.maths.images.pixels import bytes_of, scales
from runner.types import Array, Dataset, Seed


@pytest.fixture(scope="module")
def data() -> Dataset:
    return PhotoPatches(bands=5, train=600, test=200).run(Seed(0))


def places(patches: Array, photograph: str) -> list[tuple[int, int]]:
    """Where in a photograph each patch was cut out, found by its content."""
    picture = load_sample_image(f"{photograph}.jpg")
    corners = picture[: -patches.shape[1] + 1, : -patches.shape[2] + 1]
    found = []
    for patch in patches:
        fit = [
            (int(top), int(left))
            for top, left in np.argwhere((corners == patch[0, 0]).all(2))
            if (picture[top : top + len(patch), left : left + patch.shape[1]] == patch).all()
        ]
        found.append(fit[0])
    return found


def test_no_pixel_is_in_both_splits_and_classes_are_bands(data: Dataset) -> None:
    seen = {}
    for split in ("train", "test"):
        y = data[split]["y"]
        pixels = bytes_of(data[split]["x"], *scales(data.about))
        seen[split] = np.zeros((2, 427, 640), bool)
        for number, name in enumerate(("china", "flower")):
            rows = np.flatnonzero(y // 5 == number)[:40]
            for row, (top, left) in zip(rows, places(pixels[rows], name), strict=True):
                assert top // 85 == (top + 31) // 85 == y[row] % 5
                seen[split][number, top : top + 32, left : left + 32] = True
    assert not (seen["train"] & seen["test"]).any()
    assert seen["train"].any()
    assert seen["test"].any()


def test_classes_are_equally_frequent(data: Dataset) -> None:
    assert np.bincount(data["train"]["y"]).tolist() == [60] * 10
    assert data.about["classes"] == 10


def test_it_says_what_it_is(data: Dataset) -> None:
    assert data.about["name"] == "photo_patches"
    assert "scikit-learn's photographs china, flower" in data.about["source"]
    assert "CIFAR" not in str(data.about)


def test_a_seed_fixes_the_patches_and_one_split_leaves_the_other(data: Dataset) -> None:
    again = PhotoPatches(bands=5, train=600, test=200).run(Seed(0))
    np.testing.assert_array_equal(again["train"]["x"], data["train"]["x"])
    other = PhotoPatches(bands=5, train=300, test=200).run(Seed(0))
    np.testing.assert_array_equal(other["test"]["x"], data["test"]["x"])
    assert not np.array_equal(
        PhotoPatches(bands=5, train=600, test=200).run(Seed(1))["train"]["x"], data["train"]["x"]
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"size": 64, "stripe": 48}, "must fit a stripe of 48"),
        ({"bands": 13, "size": 40}, "a band of 32 pixels"),
        ({"photographs": ("china", "china")}, "names one twice"),
    ],
)
def test_patches_must_fit(parameters: dict[str, object], message: str) -> None:
    assert message in str(PhotoPatches(**parameters).check_parameters())  # type: ignore[arg-type]
