"""The specs of this repository: each is valid in each profile, and what they share they share."""

import tomllib
from pathlib import Path

import pytest

from plugins.renderers.variants import Variants
from runner.language.files import spec_files
from runner.language.layers import profile_names
from runner.language.spec import load
from runner.types import Table
from tests.conftest import World

ROOT = Path(__file__).parent.parent
SPECS = spec_files([ROOT / "specs"])
CASES = [(spec, profile) for spec in SPECS for profile in (None, *profile_names(spec))]


@pytest.fixture(scope="module")
def here() -> World:
    """This repository as a place to run commands in."""
    return World(ROOT, "plugins")


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Say where published data lies, with files of their names."""
    names = [f"{a}-{b}-ubyte" for a in ("train", "t10k") for b in ("images-idx3", "labels-idx1")]
    names += [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]
    names += ["gaussian_noise.npy", "labels.npy"]
    names += [f"{split}/dataset.h5" for split in ("train_100k", "train_1k", "val_1k")]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for variable in ("MNIST", "CIFAR10", "CIFAR10C", "SPECTRA"):
        monkeypatch.setenv(variable, str(tmp_path))


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(("spec", "profile"), CASES, ids=lambda case: getattr(case, "stem", case))
def test_every_spec_is_valid_in_every_profile(here, spec, profile):
    done = here.cli("validate", spec, *(["--profile", profile] if profile else []))
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("spec", "variable", "times"),
    [
        ("sample_landscape", "MNIST", 4),
        ("hessian_finetune", "CIFAR10", 6),
        ("hessian_finetune", "CIFAR10C", 2),
    ],
)
def test_a_published_size_without_its_files_says_where_to_get_them(
    here, spec, variable, times, monkeypatch
):
    monkeypatch.delenv(variable, raising=False)
    done = here.cli("validate", ROOT / f"specs/{spec}.toml", "--profile", "paper")
    assert done.code == 2
    told = done.err.replace("\n", " ")
    assert told.count(f"environment variable {variable} is not set; get it from https://") == times


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_every_spec_has_a_smoke_profile_and_says_what_it_asks(spec):
    assert "smoke" in profile_names(spec)
    first = spec.read_text("utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith("?")


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_every_smoke_profile_runs_and_its_expectations_hold(here, spec, tmp_path):
    done = here.run_cli("run", spec, "--profile", "smoke", "--artifacts", tmp_path, "-n", 1)
    assert done.code == 0, done.out + done.err


@pytest.mark.parametrize("profile", [None, "smoke"])
def test_the_calibration_runs_the_chains_of_the_studies_that_use_it(profile):
    # Whether a setting is healthy depends on how long the chain is.
    found = [
        load(ROOT / "specs" / f"{name}.toml", profile).steps["llc"].body
        for name in ("llc_calibration", "llc_sisgld", "llc_training")
    ]
    for parameter in ("chains", "burn_in", "steps", "minibatch"):
        assert len({body[parameter] for body in found}) == 1, parameter


@pytest.mark.parametrize("name", ["_llc_settings", "_llc_settings_paper"])
def test_the_calibrated_settings_stand_as_the_calibration_writes_them(name):
    # So that taking a new calibration over is copying one file, and shows as a change of numbers.
    text = (ROOT / "specs" / f"{name}.toml").read_text("utf-8")
    profile = "paper" if name.endswith("paper") else None
    body = load(ROOT / "specs" / "llc_calibration.toml", profile).steps["settings"].body
    fields = {key: value for key, value in body.items() if key in Variants.model_fields}
    renderer = Variants.model_validate(fields, strict=False)  # TOML has lists, no tuples
    axis = tomllib.loads(text)
    for part in renderer.header.split("."):
        axis = axis[part]
    notes = [line for line in text.splitlines() if line.startswith("# ") and ": " in line]
    reasons = dict(line.removeprefix("# ").split(": ", 1) for line in notes)
    columns = {"sampler": list(axis), "reason": [reasons[sampler] for sampler in axis]}
    columns |= {field: [one[field] for one in axis.values()] for field in renderer.keep}
    assert renderer.run(Table(columns)).contents[".toml"].decode() == text
