"""The fifteen corruptions at five levels: shape, range, determinism, and how they grow."""

import itertools
import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from plugins.data.photo_patches import PhotoPatches
from plugins.maths.images.corruptions import CHUNK, FUNCTIONS, corrupted
from plugins.maths.images.kinds import SEVERITIES, Kind
from plugins.maths.images.pixels import bytes_of, normalised, scales
from plugins.perturbations.corruption import Corruption
from runner.errors import RunnerError
from runner.types import Array, Dataset, Seed

ROOT = Path(__file__).parents[3]
KINDS = get_args(Kind)
ALL = list(itertools.product(KINDS, range(1, 6)))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return PhotoPatches(bands=5, train=10, test=100).run(Seed(0))


@pytest.fixture(scope="module")
def clean(data: Dataset) -> Array:
    return bytes_of(data["test"]["x"], *scales(data.about))


@pytest.fixture(scope="module")
def levels(clean: Array) -> dict[tuple[str, int], Array]:
    """All 75 of them."""
    return {(k, s): corrupted(clean, k, s, Seed(0), "test") for k, s in ALL}


def test_every_name_has_a_function_and_five_levels() -> None:
    assert set(FUNCTIONS) == set(SEVERITIES) == set(KINDS)
    assert {len(constants) for constants in SEVERITIES.values()} == {5}


@pytest.mark.parametrize(("kind", "level"), ALL)
def test_shape_and_type_stay_and_the_image_changes(
    clean: Array, levels: Any, kind: str, level: int
) -> None:
    found = levels[kind, level]
    assert found.shape == clean.shape
    assert found.dtype == np.uint8
    changed = (found != clean).any((1, 2, 3)).mean()
    assert changed > 0.9  # a few flat patches of sky are all that may stay as they are


@pytest.mark.parametrize(("kind", "level"), ALL)
def test_equal_seeds_give_equal_bytes(clean: Array, levels: Any, kind: str, level: int) -> None:
    again = corrupted(clean, kind, level, Seed(0), "test")
    np.testing.assert_array_equal(again, levels[kind, level])


FIXED = {
    "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_another_seed_or_stream_draws_anew(clean: Array, levels: Any, kind: str) -> None:
    for other in (
        corrupted(clean, kind, 5, Seed(1), "test"),
        corrupted(clean, kind, 5, Seed(0), "x"),
    ):
        assert np.array_equal(other, levels[kind, 5]) == (kind in FIXED)


def distances(clean: Array, levels: Any, kind: str) -> list[float]:
    """Mean over images of the root mean square difference to the clean one, grey values."""
    found = []
    for level in range(1, 6):
        gap = levels[kind, level].astype(float) - clean
        found.append(float(np.sqrt((gap**2).mean((1, 2, 3))).mean()))
    return found


# Levels whose published constants move pixels no further than those of the level before.
# glass_blur: 2, 3 and 5 smooth more and shuffle no more. motion_blur: 4 only lengthens a kernel
# whose further weights are below 1e-10. frost: 4 takes weight off the image and gives none to the
# frost, so that bright images come back nearer. elastic_transform: the affine jitter, which moves
# most, shrinks.
NO_FURTHER = {
    "glass_blur": [2, 3, 5], "motion_blur": [4], "frost": [4], "elastic_transform": [2, 3, 4, 5],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_distance_to_the_clean_image_grows_at_every_level_but_those_named(
    clean: Array, levels: Any, kind: str
) -> None:
    found = distances(clean, levels, kind)
    no_further = [at for at in range(2, 6) if found[at - 1] <= found[at - 2]]
    assert no_further == NO_FURTHER.get(kind, []), found


def test_where_pixels_do_not_move_further_the_reason_is_in_the_constants(
    clean: Array, levels: Any
) -> None:
    np.testing.assert_array_equal(levels["motion_blur", 3], levels["motion_blur", 4])
    glass = distances(clean, levels, "glass_blur")
    assert glass[3] > glass[1]  # as much smoothed, shuffled twice
    assert glass[4] > glass[2]
    frost = distances(clean, levels, "frost")
    assert frost[2] < frost[4]


@pytest.mark.parametrize("kind", NO_FURTHER)
def test_the_docs_tell_these_distances(clean: Array, levels: Any, kind: str) -> None:
    words = (ROOT / "docs" / "hessian_finetune.md").read_text("utf-8")
    (told,) = re.findall(rf"^\| {kind} \| ([\d., ]+) \|", words, re.MULTILINE)
    found = distances(clean, levels, kind)
    assert [float(part) for part in told.split(",")] == pytest.approx(found, abs=0.05)


def test_an_image_does_not_depend_on_those_that_come_after(clean: Array, levels: Any) -> None:
    many = np.concatenate([clean, clean])[: CHUNK + 10]
    for kind in ("gaussian_noise", "defocus_blur", "jpeg_compression"):
        found = corrupted(many, kind, 3, Seed(0), "test")
        np.testing.assert_array_equal(found[: len(clean)], levels[kind, 3])
    noise = corrupted(many, "gaussian_noise", 3, Seed(0), "test").astype(int) - many
    assert not np.array_equal(noise[CHUNK:], noise[:10])  # nor do chunks repeat their draws


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(32, 48), (64, 64), (50, 37)])
def test_larger_images_of_any_shape_are_corrupted_too(kind: str, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    assert corrupted(pixels, kind, 5, Seed(0)).shape == pixels.shape


def test_splits_are_corrupted_and_all_else_stays(data: Dataset) -> None:
    found = Corruption(kind="fog", level=3, only=("test",)).run(data, Seed(0), here())
    assert found.splits["train"] is data.splits["train"]
    assert found["test"]["y"] is data["test"]["y"]
    assert found.about == {**data.about, "corruption": "fog", "level": 3}
    mean, std = scales(data.about)
    wanted = corrupted(bytes_of(data["test"]["x"], mean, std), "fog", 3, Seed(0), "test")
    np.testing.assert_array_equal(found["test"]["x"], normalised(wanted, mean, std))


def here() -> Any:
    from runner.types import Circumstance

    return Circumstance()


@pytest.mark.parametrize(
    ("x", "about", "message"),
    [
        (np.zeros((2, 1, 32, 32)), {"shape": [1, 32, 32]}, "colour images are needed"),
        (np.zeros((2, 3, 32, 32)), {"shape": [3, 32, 32]}, "does not state 'mean'"),
        (np.zeros((2, 3, 28, 28)), {"shape": [3, 28, 28]}, "at least 32 x 32"),
        (np.full((2, 3, 32, 32), 9.0), {"shape": [3, 32, 32]}, "do not belong to it"),
    ],
)
def test_what_is_no_colour_image_is_refused(x: Array, about: Any, message: str) -> None:
    if message != "does not state 'mean'":
        about = {**about, "mean": [0.5] * 3, "std": [0.2] * 3}
    with pytest.raises(RunnerError, match=message):
        Corruption().run(Dataset({"test": {"x": x}}, about), Seed(0), here())


def test_a_split_that_is_not_there_is_told(data: Dataset) -> None:
    with pytest.raises(RunnerError, match="no split 'val', only train, test"):
        Corruption(only=("val",)).run(data, Seed(0), here())
