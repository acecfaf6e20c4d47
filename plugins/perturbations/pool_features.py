"""Features of one layer as inputs x, and labels as targets y: what heads and probes read."""

from __future__ import annotations

from pydantic import Field

from plugins.maths.networks.head_shape import PoolShape
from runner.errors import RunnerError, listed
from runner.plugin import Perturbation
from runner.types import Dataset


class PoolFeatures(Perturbation):
    """Pool a layer's features over their positions, without learning, and choose the targets.

    segment_mean with 8 segments of 48 channels gives 384 numbers a row. With `split`
    floor_last each segment has positions // segments and the last what is left over, too. kind
    "none" keeps the positions, for a head that pools by itself.

    Reads:  data: the array of the layer (N, channels, positions) and the targets (N,) per split.
    Gives:  x (N, features) float32, or (N, channels, positions) unpooled; y (N, targets) float32;
            about: channels, positions, inputs, outputs, targets, target_mean and target_std (0 and
            1 where targets are not scaled), and what the features' about said.
    Raises: RunnerError when an array is missing or a row has too few positions.
    Source: none.
    """

    persist = False

    layer: str = Field("enc_pre_latent", description="array of features")
    pool: PoolShape = Field(PoolShape(), description="how positions are pooled; not attention")
    targets: tuple[str, ...] = Field(("log_g",), min_length=1, description="labels, in order")
    standardise: bool = Field(
        False, description="features less their training mean, over their standard deviation"
    )
    scale_targets: bool = Field(
        False, description="targets alike: where several of unlike units are learned together"
    )

    def check_parameters(self) -> str | None:
        if self.pool.kind == "attention":
            return "pool.kind = 'attention' learns: use 'none' here and attention in probe_head"
        return None

    def run(self, data: Dataset) -> Dataset:
        import numpy as np
        import torch

        from plugins.maths.networks.heads import Pool

        xs, ys = {}, {}
        for name, split in data.splits.items():
            wanted = (self.layer, *self.targets)
            if missing := [key for key in wanted if key not in split]:
                raise RunnerError(
                    f"pool_features: {name} has no {missing[0]!r}, only {listed(split)}"
                )
            features = torch.from_numpy(np.asarray(split[self.layer]))
            if self.pool.kind != "none":
                try:
                    features = Pool(self.pool, *features.shape[1:])(features)
                except ValueError as error:
                    raise RunnerError(f"pool_features: {error}") from error
            xs[name] = features.numpy()
            ys[name] = np.stack([np.asarray(split[key], np.float32) for key in self.targets], 1)
        if self.standardise:
            _standardise(xs, (0, *range(2, next(iter(xs.values())).ndim)))
        mean, std = [0.0] * len(self.targets), [1.0] * len(self.targets)
        if self.scale_targets:
            mean, std = _standardise(ys, (0,))
        shape = next(iter(xs.values())).shape[1:]
        about = {
            **data.about, "channels": shape[0], "positions": shape[1] if len(shape) > 1 else 1,
            "inputs": int(np.prod(shape)), "outputs": len(self.targets),
            "targets": list(self.targets), "target_mean": mean, "target_std": std,
            "layer": self.layer, "pooling": self.pool.kind,
        }  # fmt: skip
        return Dataset({name: {"x": xs[name], "y": ys[name]} for name in xs}, about)


def _standardise(splits: dict, axes: tuple[int, ...]) -> tuple[list[float], list[float]]:
    """Scale the arrays of all splits by the training split's mean and deviation; return these."""
    import numpy as np

    if "train" not in splits:
        raise RunnerError("pool_features: scaling needs a split 'train'")
    mean = splits["train"].mean(axes, dtype=np.float64, keepdims=True)
    std = splits["train"].std(axes, dtype=np.float64, keepdims=True)
    std = np.where(std > 0, std, 1.0)
    for name, values in splits.items():
        splits[name] = ((values - mean) / std).astype(np.float32)
    return mean.ravel().tolist(), std.ravel().tolist()
