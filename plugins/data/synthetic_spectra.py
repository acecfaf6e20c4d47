"""Synthetic spectra of cool stars with known labels, as many as are wanted."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from runner.parameters import Real
from runner.plugin import Data
from runner.types import Circumstance, Dataset, Seed


class SyntheticSpectra(Data):
    """Draw stars and their spectra, 7100 to 8850 A, with the errors of an exposure at night.

    Labels are uniform in t_eff 3750 to 6000 K, log_g 1 to 5, m_h -2.5 to 0.75, a_m -0.25 to 0.5
    and c_m -0.75 to 0.5, each drawn by itself. A spectrum is a black body behind 400 weak lines,
    strong ones of Ca II, K I, Na I, Mg I, O I and hydrogen with wings that widen with gravity,
    and bands of TiO and CN. They are generated, not observed and no model atmospheres. The flux
    holds no noise: whoever reads it draws noise of the stated error.

    `error_model`: photons counted from the continuum say nothing of lines. Counted from
    the clean flux, the error is a noiseless copy of the spectrum: it leaks every label.

    Stars are made in blocks of 512: star i of a split depends on the seed and i alone. Where
    all take more than 256 MiB they go to a file block by block, and rows are read when asked for.

    Reads:  nothing but its parameters.
    Gives:  splits train, val and test; flux and error (n, kept pixels) float32, the five labels
            (n,) float32; about: name, source, labels, pixels, kept, wave (A), magnitude, noise.
    Raises: nothing once the parameters are valid.
    Source: laboratory wavelengths of strong lines (NIST ASD), black body (Planck); strengths own.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    train: int = Field(2000, ge=1, description="spectra of the training split")
    val: int = Field(500, ge=1, description="spectra of the validation split")
    test: int = Field(500, ge=1, description="spectra of the test split")
    pixels: int = Field(1024, ge=16, description="of a spectrum before the mask; published: 4096")
    magnitude: Real = Field(21.5, description="of all stars; the error grows as 10^(0.4 magnitude)")
    noise: Real = Field(1.0, gt=0, description="further factor on every error")
    error_model: Literal["continuum", "clean_flux"] = Field(
        "continuum", description="what the star's photons are counted from; clean_flux leaks labels"
    )
    keep: Real = Field(
        0.85, gt=0, le=1, description="share of pixels kept, least median training error; 1: all"
    )

    def work(self) -> float:
        return float((self.train + self.val + self.test) * self.pixels)

    def run(self, seed: Seed, here: Circumstance) -> Dataset:
        from plugins.maths.spectra.making import made
        from plugins.maths.spectra.stars import LABELS, Survey, sky

        survey = Survey(self.pixels, self.magnitude, self.noise, self.error_model)
        sizes = {name: getattr(self, name) for name in self.splits}
        splits, pixels = made(survey, seed, sizes, self.keep, here)
        about = {
            "name": "synthetic spectra", "source": f"generated, errors by {self.error_model}",
            "labels": list(LABELS), "pixels": self.pixels, "kept": len(pixels),
            "wave": [round(float(w), 3) for w in sky(self.pixels).wave[pixels]],
            "magnitude": self.magnitude, "noise": self.noise,
        }  # fmt: skip
        return Dataset(splits, about)
