"""Features of spectra: what a trained encoder makes of each, once and for all heads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runner.errors import RunnerError
from runner.parameters import Real
from runner.plugin import Perturbation
from runner.types import Circumstance, Dataset, Network, Seed


class Encode(Perturbation):
    """Compute layers of an encoder for every spectrum, with one noise for each.

    The network is a `blindspot_unet1d`, or an `encoder_head` or `labelled_denoiser`, whose encoder
    is then used. It runs in evaluation mode. Row i's noise depends on the seed, the split and i
    alone, so that heads and probes on the features see the same noise, and networks are compared
    under it.

    Reads:  data: flux and error (N, L) of every split, from disk in pieces where they lie there;
            the labels that its `about` names.
    Gives:  the same splits: for each layer an array of its name (N, channels, positions) float32,
            and the labels; about: name, source, labels, layers, channels, positions, noise_level.
    Raises: RunnerError when the network has no encoder, or an array is missing.
    Source: none.
    """

    layers: tuple[Literal["enc_pre_latent", "enc_last"], ...] = Field(
        ("enc_pre_latent", "enc_last"), min_length=1, description="layers that are kept"
    )
    noise_level: Real = Field(1.0, ge=0, description="factor on the error; 0: clean spectra")

    def run(self, model: Network, data: Dataset, seed: Seed, here: Circumstance) -> Dataset:
        import numpy as np
        import torch

        from plugins.maths.networks.blindspot import BlindspotUnet
        from plugins.maths.training.noisy_rows import NoisyRows

        module = model.module(here.device)
        encoder = getattr(module, "encoder", module)
        if not isinstance(encoder, BlindspotUnet):
            raise RunnerError(
                f"encode needs a network with an encoder, not a {type(model.architecture).__name__}"
            )
        labels = list(data.about.get("labels", ()))
        total = sum(len(split["flux"]) for split in data.splits.values() if "flux" in split)
        splits, done = {}, 0
        for name in data.splits:
            split = data[name]
            rows = NoisyRows.of(split, name, (), self.noise_level, seed)
            parts: dict[str, list[torch.Tensor]] = {layer: [] for layer in self.layers}
            with torch.no_grad():
                for x, _ in rows.to(torch.device(here.device)).kept():
                    for layer, features in encoder.taps(x, self.layers).items():
                        parts[layer].append(features.cpu())
                    done += len(x)
                    here.progress(done, total, "spectrum")
            found = {layer: torch.cat(some).numpy() for layer, some in parts.items()}
            splits[name] = found | {label: np.asarray(split[label]) for label in labels}
        _, channels, positions = splits[next(iter(splits))][self.layers[0]].shape
        about = {
            **{key: data.about[key] for key in ("name", "source") if key in data.about},
            "labels": labels, "layers": list(self.layers), "channels": channels,
            "positions": positions, "noise_level": self.noise_level,
        }  # fmt: skip
        return Dataset(splits, about)
