"""Cycle bias: how much of a network's weights follows the cyclic group that its data has."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from runner.errors import RunnerError
from runner.plugin import Probe
from runner.types import Dataset, Network, Split, Table


class CycleBias(Probe):
    """Measure circulant structure in square matrices and frequencies along the axis of tokens.

    `circulant_score` is the mean over the matrices of the share of |F W F^-1|^2 on the diagonal, F
    the discrete Fourier transform: 1 for circulant matrices, 1/n at random. Hidden units have no
    cyclic order, so it need not move. Tokens have one: rows of the embedding and of the
    unembedding that belong to residues, in the order in which the operation turns them, are Fourier
    transformed over the residues, and few frequencies holding most energy are the sign of a learned
    cycle. Sine and cosine count as one frequency, the constant is left out. For multiplication and
    division the order is that of discrete logarithms, and residue 0, which has none, is left out.

    Reads:  model, its weights only; data.about `modulus`. Deterministic: takes no seed.
    Raises: RunnerError when tensors are not there, not square or not finite, or the modulus is
            unknown or, for discrete logarithms, no prime.
    Source: circulant score: Davis, Circulant Matrices, 1979; frequencies: Nanda et al., Progress
            measures for grokking, ICLR 2023.
    """

    columns: ClassVar[dict[str, str]] = {
        "circulant_score": "mean share of |F W F^-1|^2 on the diagonal",
        "circulant_baseline": "its mean for independent entries, the mean of 1/n",
        "embedding_top": "share of the embedding's energy in its strongest frequencies",
        "embedding_gini": "Gini coefficient of the embedding's energies, 0 to 1",
        "embedding_ipr": "inverse participation ratio of the embedding's energies, 1/K to 1",
        "embedding_ipr_baseline": "mean of the same for independent normal entries",
        "unembedding_top": "share of the unembedding's energy in its strongest frequencies",
        "unembedding_gini": "Gini coefficient of the unembedding's energies, 0 to 1",
        "unembedding_ipr": "inverse participation ratio of the unembedding's energies, 1/K to 1",
        "unembedding_ipr_baseline": "mean of the same for independent normal entries",
        "frequencies": "K, their number",
    }

    matrices: tuple[str, ...] = Field(
        ("*.qkv.weight", "*.out.weight"),
        description="names of tensors made of square matrices, * for any text",
    )
    embedding: str = Field("token.weight", description="tensor with a row for each token")
    unembedding: str = Field("head.weight", description="tensor with a row for each output")
    order: Literal["natural", "discrete_log"] = Field(
        "natural", description="of residues: that of addition, or of multiplication"
    )
    modulus: int | None = Field(
        None, ge=3, description="residues, the first rows; default data.about['modulus']"
    )
    top: int = Field(5, ge=1, description="how many frequencies are the strongest")

    def run(self, model: Network, data: Dataset | Split | None = None) -> Table:
        import numpy as np

        from plugins.maths.features.cycles import circulant_score
        from plugins.maths.features.tensors import squares

        modulus = self.modulus or (data.about.get("modulus") if data is not None else None)
        if modulus is None:
            raise RunnerError(
                "cycle_bias: the modulus is open; set it, or give data that states it"
            )
        try:
            found = [part for _, part in squares(model, self.matrices)]
            row = {
                "circulant_score": float(np.mean([circulant_score(part) for part in found])),
                "circulant_baseline": float(np.mean([1 / len(part) for part in found])),
                **self._frequencies(model, "embedding", modulus),
                **self._frequencies(model, "unembedding", modulus),
            }
        except ValueError as error:
            raise RunnerError(f"cycle_bias: {error}") from error
        return Table({name: [row[name]] for name in self.columns})

    def _frequencies(self, model: Network, name: str, modulus: int) -> dict[str, float]:
        from plugins.maths.features import cycles
        from plugins.maths.features.tensors import chosen

        tensor = getattr(self, name)
        (table,) = chosen(model, [tensor]).values()
        if table.ndim != 2 or len(table) < modulus:
            raise ValueError(f"{tensor!r} of shape {table.shape} lacks a row for each residue")
        rows = table[cycles.cyclic_order(modulus, self.order)]
        energies = cycles.frequency_energies(rows)
        top, gini, ipr = cycles.concentration(energies, self.top)
        return {
            f"{name}_top": top,
            f"{name}_gini": gini,
            f"{name}_ipr": ipr,
            f"{name}_ipr_baseline": cycles.random_ipr(*rows.shape),
            "frequencies": len(energies),
        }
