"""Synthetic spectra of cool stars, 7100 to 8850 A. Shapes: N stars, L pixels, K templates.

flux = continuum x exp(-C(labels) B): the strengths C (N, K) follow the labels, the templates B
(K, L) are fixed. Lines grow and saturate with abundance and temperature, the wings of strong lines
widen with gravity, molecules come with cold. It is a stand-in with the couplings of real
spectra, not a model atmosphere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runner.types import Seed

Floats = NDArray[np.float32]
ErrorModel = Literal["continuum", "clean_flux"]

FIRST, LAST = 7100.0, 8850.0  # A
RANGES = {
    "t_eff": (3750.0, 6000.0), "log_g": (1.0, 5.0), "m_h": (-2.5, 0.75), "a_m": (-0.25, 0.5),
    "c_m": (-0.75, 0.5),
}  # fmt: skip
LABELS = tuple(RANGES)
BLOCK = 512  # stars drawn together: star i depends on the seed and i, not on how many are wanted

WEAK = 400  # lines
SIGMA = 1.2  # A, of a line as the spectrograph shows it
WIDTHS = np.geomspace(0.8, 7.0, 5)  # A, of the wings of strong lines
_MEAN_FLUX = 0.56  # so that the median is near 0.5
_NOISE = 0.052  # so that the median signal to noise is near 7.5 at magnitude 21.5
_PHOTONS = 0.35  # of the star at flux 0.5, in units of the sky's between lines
_OBSERVING = 0.15  # standard deviation of the log of what the night does to the noise


@dataclass(frozen=True)
class Lines:
    """How the strength of each template follows the labels; one entry for each.

    log10 of the strength is `base` + [M/H] metal + [a/M] alpha + [C/M] carbon
    - `heat` (5040 / T - 1) + `gravity` (log g - 3); optical depth is `depth` log(1 + strength).
    """

    base: Floats
    metal: Floats
    alpha: Floats
    carbon: Floats
    heat: Floats
    gravity: Floats
    depth: Floats

    def strengths(self, labels: dict[str, NDArray[np.float64]]) -> Floats:
        """Return optical depths (N, K) at the templates' peaks."""
        heat = 5040.0 / labels["t_eff"] - 1.0
        terms = (
            (self.metal, labels["m_h"]), (self.alpha, labels["a_m"]), (self.carbon, labels["c_m"]),
            (-self.heat, heat), (self.gravity, labels["log_g"] - 3.0),
        )  # fmt: skip
        log10 = self.base + sum(
            np.outer(value.astype(np.float32), weight) for weight, value in terms
        )
        return self.depth * np.log1p(np.exp(np.float32(np.log(10.0)) * np.minimum(log10, 3.0)))


# wavelength (A), base, metal, alpha, heat (eV), gravity; broadened by pressure
_STRONG = (
    (8498.02, 0.7, 0.8, 0.8, -1.2, -0.14), (8542.09, 1.3, 0.8, 0.8, -1.2, -0.14),
    (8662.14, 1.1, 0.8, 0.8, -1.2, -0.14),  # Ca II
    (7664.90, 0.5, 0.7, 0.0, 2.5, 0.08), (7698.96, 0.4, 0.7, 0.0, 2.5, 0.08),  # K I
    (8183.26, 0.1, 0.9, 0.0, 2.2, 0.16), (8194.82, 0.3, 0.9, 0.0, 2.2, 0.16),  # Na I
    (8806.76, 0.4, 0.8, 0.8, 1.5, 0.10),  # Mg I
    (7771.94, -0.6, 0.6, 0.6, -6.0, -0.16), (7774.17, -0.7, 0.6, 0.6, -6.0, -0.16),
    (7775.39, -0.9, 0.6, 0.6, -6.0, -0.16),  # O I
    (8502.48, -0.9, 0.0, 0.0, -9.0, -0.06), (8545.38, -0.8, 0.0, 0.0, -9.0, -0.06),
    (8598.39, -0.7, 0.0, 0.0, -9.0, -0.06), (8665.02, -0.6, 0.0, 0.0, -9.0, -0.06),
    (8750.47, -0.5, 0.0, 0.0, -9.0, -0.06),  # Paschen
)  # fmt: skip
_TIO = (7054.0, 7088.0, 7126.0, 7589.0, 7666.0, 8206.0, 8432.0)  # heads, A; shaded to the red
_CN = (7872.0, 7941.0, 8067.0, 8151.0)


@dataclass(frozen=True)
class Sky:
    """What the stars are templates of, on one grid of pixels."""

    wave: NDArray[np.float64]  # (L,) A
    weak: Lines
    strong: Lines
    weak_templates: Floats  # (WEAK, L)
    strong_templates: Floats  # (strong lines x widths, L), widths fastest
    bands: Floats  # (2, L): TiO, CN
    airglow: Floats  # (L,): OH lines, in units of the sky between them


@lru_cache(maxsize=4)
def sky(pixels: int) -> Sky:
    """Return the templates on a grid of so many pixels.

    The list of lines is nature: the same for every seed, on every grid.
    """
    nature = np.random.default_rng(715)
    wave = np.linspace(FIRST, LAST, pixels)
    kind = nature.choice(3, WEAK, p=(0.65, 0.25, 0.10))  # iron and its like, alpha, carbon
    ion = nature.random(WEAK) < 0.25
    weak = Lines(
        *(
            values.astype(np.float32)
            for values in (
                nature.normal(-0.7, 0.6, WEAK), np.ones(WEAK), kind == 1, kind == 2,
                np.where(ion, nature.uniform(-2, 1, WEAK), nature.uniform(0.5, 4.5, WEAK)),
                np.where(ion, -0.10, 0.015), np.full(WEAK, 0.45),
            )
        )
    )  # fmt: skip
    places = nature.uniform(FIRST, LAST, WEAK)
    weak_templates = np.exp(-0.5 * ((wave - places[:, None]) / SIGMA) ** 2)
    strong = np.asarray(_STRONG)
    count = len(strong)
    zero = np.zeros(count)
    lines = Lines(
        *(
            values.astype(np.float32)
            for values in (
                strong[:, 1], strong[:, 2], strong[:, 3], zero, strong[:, 4], strong[:, 5],
                np.full(count, 0.5),
            )
        )
    )  # fmt: skip
    away = (wave - strong[:, 0, None, None]) / np.hypot(WIDTHS, SIGMA)[:, None]
    bands = [_band(wave, heads) for heads in (_TIO, _CN)]
    glow = nature.uniform(FIRST, LAST, 140), nature.lognormal(0.6, 1.0, 140)
    airglow = (glow[1][:, None] * np.exp(-0.5 * ((wave - glow[0][:, None]) / 1.5) ** 2)).sum(0)
    return Sky(
        wave, weak, lines, weak_templates.astype(np.float32),
        (1 / (1 + away**2)).reshape(-1, pixels).astype(np.float32),
        np.asarray(bands, np.float32), airglow.astype(np.float32),
    )  # fmt: skip


def _band(wave: NDArray[np.float64], heads: tuple[float, ...]) -> NDArray[np.float64]:
    """Return a molecule's bands: sharp at each head, fading to the red, rippled by rotation."""
    beyond = wave - np.asarray(heads)[:, None]
    ripple = 0.75 + 0.25 * np.cos(2 * np.pi * beyond / 6.3)
    return np.where(beyond >= 0, np.exp(-beyond / 70.0) * ripple, 0.0).sum(0)


@dataclass(frozen=True)
class Stars:
    """Spectra with their errors and labels; rows are stars."""

    flux: Floats  # (N, L), clean
    error: Floats  # (N, L), standard deviation of the noise
    labels: dict[str, Floats]  # (N,) each


@dataclass(frozen=True)
class Survey:
    """What is observed, and how."""

    pixels: int = 4096
    magnitude: float = 21.5
    noise: float = 1.0  # further factor on every error
    error_model: ErrorModel = "continuum"

    def block(self, seed: Seed, split: str, number: int) -> Stars:
        """Return the stars of one block of a split, BLOCK of them."""
        draw = seed.numpy("stars", split, number)
        labels = {name: draw.uniform(*ends, BLOCK) for name, ends in RANGES.items()}
        grid = sky(self.pixels)
        continuum = _planck(grid.wave, labels["t_eff"])
        flux = continuum * np.exp(-_depth(grid, labels))
        source = continuum if self.error_model == "continuum" else flux
        night = draw.normal(size=(2, BLOCK, 1)).astype(np.float32)
        glow = np.exp(0.3 * night[0]) * grid.airglow
        base = self.noise * _NOISE * 10 ** (0.4 * (self.magnitude - 21.5))
        error = np.float32(base) * np.exp(_OBSERVING * night[1])
        error = error * np.sqrt(1 + 2 * _PHOTONS * source + glow)
        return Stars(flux, error, {k: v.astype(np.float32) for k, v in labels.items()})


def _planck(wave: NDArray[np.float64], t_eff: NDArray[np.float64]) -> Floats:
    """Return black bodies (N, L) of one mean flux: magnitude fixes it, whatever the radius."""
    centred = 1.4388e8 / (wave[None, :] * t_eff[:, None])  # h c / (lambda k T), lambda in A
    shape = (wave / 8000.0) ** -5 / np.expm1(centred)
    return (_MEAN_FLUX * shape / shape.mean(1, keepdims=True)).astype(np.float32)


def _depth(grid: Sky, labels: dict[str, NDArray[np.float64]]) -> Floats:
    """Return optical depths (N, L)."""
    depth = grid.weak.strengths(labels) @ grid.weak_templates
    # wings widen with pressure: a place between two of the widths for each star
    place = np.clip((labels["log_g"] - 1.0) * (len(WIDTHS) - 1) / 4.0, 0, len(WIDTHS) - 1)
    between = np.clip(1 - np.abs(place[:, None] - np.arange(len(WIDTHS))), 0, None)
    strong = grid.strong.strengths(labels)
    shares = strong[:, :, None] * between[:, None, :].astype(np.float32)  # (N, lines, widths)
    depth += shares.reshape(len(shares), -1) @ grid.strong_templates
    bands = np.stack([_tio(labels), _cn(labels)], 1).astype(np.float32)
    return depth + bands @ grid.bands


def _tio(labels: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    metals = 10 ** (0.5 * labels["m_h"] + 0.5 * labels["a_m"] - 0.04 * (labels["log_g"] - 3))
    return np.minimum(0.9 * np.exp((3900 - labels["t_eff"]) / 200) * metals, 2.0)


def _cn(labels: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    metals = 10 ** (0.6 * labels["m_h"] + 0.8 * labels["c_m"] - 0.08 * (labels["log_g"] - 3))
    return 0.08 * metals * np.exp(-(((labels["t_eff"] - 4600) / 700) ** 2))
