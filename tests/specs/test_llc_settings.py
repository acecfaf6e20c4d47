"""The samplers' settings stand in specs/_llc_settings.toml; the probe's defaults are the same."""

import tomllib
from pathlib import Path

from plugins.probes.llc import LOCALISATION, STEP_SIZE

SETTINGS = Path(__file__).parents[2] / "specs" / "_llc_settings.toml"


def test_the_defaults_of_the_probe_are_the_calibrated_settings():
    samplers = tomllib.loads(SETTINGS.read_text("utf-8"))["axes"]["sampler"]
    assert {name: one["step_size"] for name, one in samplers.items()} == STEP_SIZE
    assert {name: one["localisation"] for name, one in samplers.items()} == LOCALISATION
