"""Spectral entropy and norms of groups of a network's weight matrices."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.errors import RunnerError
from runner.plugin import Probe
from runner.types import Network, Table


class WeightSpectrum(Probe):
    """Measure how evenly the singular values of weight matrices are spread, by groups of tensors.

    The spectral entropy of a matrix is -sum q ln q over the shares q = s^2 / sum s^2 of its
    singular values s; a group's is the mean over its matrices. A group without names is nan.
    Tensors of more than two dimensions count as (first, all others), those of fewer do not. The
    norm of all parameters as one vector is what `parameter_norm` gives.

    Reads:  model, its weights only. Deterministic: takes no seed.
    Raises: RunnerError for a name that fits no tensor, or a tensor that is not finite.
    Source: Roy and Vetterli, The effective rank, EUSIPCO 2007 (there of s, not of s^2).
    """

    columns: ClassVar[dict[str, str]] = {
        "spectral_entropy": "mean over all weight matrices, nats",
        "relative_entropy": "mean over all of entropy / ln(smaller side), 0 to 1",
        "attention_entropy": "mean over attention's square matrices, nats",
        "embedding_entropy": "mean over the embeddings, nats",
        "attention_norm": "Frobenius norm of attention's matrices together",
        "embedding_norm": "Frobenius norm of the embeddings together",
        "matrices": "weight matrices, count",
    }

    attention: tuple[str, ...] = Field(
        ("*.qkv.weight", "*.out.weight"),
        description="names of tensors made of square matrices, * for any text",
    )
    embedding: tuple[str, ...] = Field(
        ("token.weight", "position.weight"), description="names of the embeddings, * for any text"
    )

    def run(self, model: Network) -> Table:
        import numpy as np

        from plugins.maths.features import tensors

        try:
            every = tensors.chosen(model, ["*"])
            square = [part for _, part in tensors.squares(model, self.attention)]
            embeddings = list(tensors.chosen(model, self.embedding).values())
        except ValueError as error:
            raise RunnerError(f"weight_spectrum: {error}") from error
        matrices = [value.reshape(len(value), -1) for value in every.values() if value.ndim > 1]
        entropies = np.array([tensors.spectral_entropy(matrix) for matrix in matrices])
        most = np.log([max(2, min(matrix.shape)) for matrix in matrices])  # of one row: 0 / ln 2
        row = {
            "spectral_entropy": float(entropies.mean()),
            "relative_entropy": float((entropies / most).mean()),
            "matrices": len(matrices),
        }
        for name, group in (("attention", square), ("embedding", embeddings)):
            some = [tensors.spectral_entropy(matrix) for matrix in group]
            row[f"{name}_entropy"] = float(np.mean(some)) if some else float("nan")
            norm = float(np.sqrt(sum((matrix**2).sum() for matrix in group)))
            row[f"{name}_norm"] = norm if some else float("nan")
        return Table({name: [row[name]] for name in self.columns})
