"""Average gradient outer product (AGOP): the input directions that a network listens to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from runner.errors import RunnerError
from runner.plugin import Probe
from runner.types import Arrays, Circumstance, Network, Split, Table


@dataclass(frozen=True)
class Found:
    """Numbers that describe the matrix, and its spectrum, with the matrix itself if asked for."""

    table: Table  # one row
    matrix: Arrays  # eigenvalues (d,), falling; matrix (d, d)


class Agop(Probe):
    """Compute M = (1/N) sum_n J_n^T J_n, with J_n the derivatives of row n's outputs or loss.

    J_n is (C, d): by the input of row n, or by the output of a layer, for tokens the embedding,
    flattened to T x width (adding positions does not change the derivative). Gradients are those of
    single rows, never of a batch's mean loss, so that M depends on neither the size nor the order
    of batches. For `of = "loss"` J_n is the gradient of the row's own loss, cross-entropy or mean
    square, which vanishes as the loss does and keeps its digits then.

    Reads:  model, in evaluation mode; data.x, and data.y (classes or real targets). Deterministic.
    Raises: FloatingPointError naming the first row whose gradient is not finite; RunnerError when
            the layer is not there or not called once.
    Source: Radhakrishnan et al., Science 383 (2024) 1461-1467; effective rank: Roy and Vetterli
            2007.
    """

    columns: ClassVar[dict[str, str]] = {
        "agop": "Frobenius norm of M, (output unit / block unit)^2",
        "trace": "trace of M, the mean squared norm of J_n, same unit",
        "top_eigenvalue": "largest eigenvalue of M, same unit",
        "effective_rank": "exp of the entropy of the eigenvalues' shares; nan where M is zero",
        "agop_rows": "N, rows averaged over",
        "dimension": "d, rows of M",
    }

    of: Literal["logits", "loss"] = Field(
        "logits", description="what is differentiated: all outputs, or each row's own loss"
    )
    block: str = Field(
        "", description="layer whose output it is differentiated by; empty: input, or embedding"
    )
    centered: bool = Field(False, description="take the mean of J_n off first")
    rows: int | None = Field(None, ge=1, description="first rows of the split; none: all")
    keep: Literal["spectrum", "matrix"] = Field(
        "matrix", description="what is stored besides the table; a matrix takes 8 d^2 bytes"
    )
    precision: Literal["float64", "float32"] = Field(
        "float64", description="of the network and its gradients; sums are always float64"
    )
    memory: int = Field(32, ge=1, description="MiB for rows computed at once; memory alone")

    def run(self, model: Network, data: Split, here: Circumstance) -> Found:
        from plugins.maths.features.agop import of_network, summed_up

        try:
            found = of_network(
                model, data, of=self.of, block=self.block, centred=self.centered, rows=self.rows,
                precision=self.precision, memory=self.memory << 20, device=here.device,
            )  # fmt: skip
        except ValueError as error:
            raise RunnerError(f"agop: {error}") from error
        numbers, spectrum = summed_up(found.matrix)
        row = {**numbers, "agop_rows": found.rows, "dimension": len(spectrum)}
        arrays, dimensions = {"eigenvalues": spectrum}, {"eigenvalues": ("rank",)}
        if self.keep == "matrix":
            arrays["matrix"] = found.matrix.numpy()
            dimensions["matrix"] = ("row", "column")
        return Found(
            Table({name: [row[name]] for name in self.columns}), Arrays(arrays, dimensions)
        )
