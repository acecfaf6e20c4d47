"""The study of single samples' landscapes as it is written: its files, its sizes, its data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.language.spec import load

ROOT = Path(__file__).parent.parent.parent
SPEC = ROOT / "specs" / "sample_landscape.toml"
FOLDER = "loss_landscape_results"
PICTURES = ("contour", "contour_mosaic", "surface_3d", "slices_1d")


def bodies(profile: str | None = None) -> dict[str, dict[str, Any]]:
    return {name: step.body for name, step in load(SPEC, profile).steps.items()}


def files() -> set[str]:
    """Return every file that a renderer of the spec writes."""
    found = set()
    for body in bodies().values():
        if "path" in body:
            path = Path(body["path"])
            found |= {str(path), *(str(path.with_suffix(s)) for s in body.get("formats", ()))}
    return found


@pytest.mark.parametrize(
    "name",
    [
        f"{FOLDER}/samples_landscape_grid.png",  # S2.8
        f"{FOLDER}/samples_landscape_grid.pdf",
        f"{FOLDER}/selected_samples.json",  # S2.9
        f"{FOLDER}/selected_samples.npz",
        f"{FOLDER}/experiment_log.txt",
        f"{FOLDER}/sample_{{rank}}.png",  # S2.10
        f"{FOLDER}/sample_{{rank}}_loss_grid.npz",
        "landscape_train_2d_contour.png",  # S2.2
        "landscape_test_2d_contour.png",
        "landscape_train_3d_surface.png",
        "landscape_train_1d_slices.png",
        "loss_grid_train.npz",
        "loss_grid_test.npz",
    ],
)
def test_every_itemised_file_is_written(name: str) -> None:
    assert name in files()


@pytest.mark.parametrize("profile", [None, "paper"])
def test_ten_samples_of_51_by_51_points_share_one_pair_of_directions(profile: str | None) -> None:
    spec = load(SPEC, profile)
    assert len(spec.axes["rank"].labels) == spec.params["samples"] == 10
    assert spec.params["points"] == 51
    assert spec.params["range"] == [-1.0, 1.0]
    assert "$rank" not in bodies(profile)["plane"].values()  # the directions vary over nothing


def test_samples_of_the_test_set_are_shown_with_the_pictures_of_the_test_set() -> None:
    """The thumbnail and the index must name one row of one split."""
    for profile, split in ((None, "train"), ("test_samples", "test")):
        found = bodies(profile)
        data = found["samples"]["data"]
        assert data == f"@images.{split}"
        for name in ("slowly", "samples_in_other_plane"):
            assert found[name]["data"] == data
        for name in ("mosaic", "mosaic_global", "mosaic_other_plane", "selected"):
            assert found[name]["images"] == data
        assert found["log"]["notes"]["sample_set"] == split


@pytest.mark.parametrize("profile", [None, "smoke", "paper"])
def test_as_many_panels_as_samples_fit_each_mosaic(profile: str | None) -> None:
    samples = len(load(SPEC, profile).axes["rank"].labels)
    for name in ("mosaic", "mosaic_global", "mosaic_other_plane"):
        rows, columns = bodies(profile)[name]["layout"]
        assert rows * columns == samples


def test_no_picture_of_the_embedded_digits_passes_for_mnist() -> None:
    for name, step in load(SPEC).steps.items():
        if step.use in PICTURES:
            shown = step.body["title"] + step.body["footnote"]
            assert "scikit-learn's" in shown, name
            assert "MNIST" not in shown, name
    for name, step in load(SPEC, "paper").steps.items():
        if step.use in PICTURES:
            shown = step.body["title"] + step.body["footnote"]
            assert "MNIST" in shown, name
            assert "scikit-learn" not in shown, name
