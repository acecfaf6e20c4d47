"""A dense block of the Hessian: of the last layer, of named tensors, or of a small network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from plugins.maths.curvature.probing import CurvatureProbe
from runner.errors import RunnerError, listed
from runner.types import Arrays, Circumstance, Network, Seed, Split, Table, Trained

MOST = 4000  # entries of a block's side: 128 MB in double precision


@dataclass(frozen=True)
class HessianBlocks:
    """Blocks and what is said of them."""

    table: Table  # one row for each snapshot
    blocks: Arrays  # block (snapshot, row, column), eigenvalues (snapshot, row) rising, steps


class HessianBlock(CurvatureProbe):
    """Compute a diagonal block of the Hessian in full, column by column.

    `last_layer` is the module that holds the last parameter; `all` the whole matrix, up to 4,000
    parameters; anything else is the beginning of tensors' names. Parameters outside the block are
    constants, so that nothing is differentiated that does not lead to it.

    Reads:  model: a network, or all snapshots of a trainer; data.x, data.y.
    Raises: RunnerError when no tensor has such a name, the block has more than 4,000 rows, a run
            has no checkpoints, or data does not suit.
    Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {
        "snapshot": "its place in the order of training, from 0",
        "steps": "optimizer steps that the snapshot has made; nan for a network given alone",
        "tensors": "names of the tensors in the block, in order",
        "parameters": "rows of the block",
        "trace": "sum of the diagonal, loss unit / weight unit^2",
        "frobenius": "norm of the block, same unit",
        "least": "least eigenvalue of the block, same unit",
        "largest": "largest eigenvalue of the block, same unit",
        "negative": "number of eigenvalues below -1e-6 of the largest in magnitude",
    }

    block: str = Field(
        "last_layer", description="last_layer, all, or how the names of its tensors begin"
    )

    def run(
        self, model: Network | Trained, data: Split, seed: Seed, here: Circumstance
    ) -> HessianBlocks:
        import numpy as np
        import torch

        from plugins.maths.curvature import snapshots as walks

        rows: list[dict[str, Any]] = []
        blocks, spectra, steps = [], [], []
        for snapshot, module, batch in walks.batches(self, model, data, seed, here):
            names = self._names({n: p.numel() for n, p in module.named_parameters()})
            matrix = walks.curvature_at(self, module, batch, names).dense().double().cpu()
            values = torch.linalg.eigvalsh(matrix)
            floor = -1e-6 * float(values.abs().max())
            rows.append({
                "snapshot": snapshot.number, "steps": snapshot.steps,
                "tensors": ", ".join(names), "parameters": len(matrix),
                "trace": float(matrix.trace()), "frobenius": float(matrix.norm()),
                "least": float(values[0]), "largest": float(values[-1]),
                "negative": int((values < floor).sum()),
            })  # fmt: skip
            blocks.append(matrix.numpy())
            spectra.append(values.numpy())
            steps.append(snapshot.steps)
        arrays = {
            "block": np.stack(blocks), "eigenvalues": np.stack(spectra), "steps": np.asarray(steps),
        }  # fmt: skip
        return HessianBlocks(
            Table({name: [row[name] for row in rows] for name in rows[0]}),
            Arrays(
                arrays,
                {
                    "block": ("snapshot", "row", "column"),
                    "eigenvalues": ("snapshot", "row"),
                    "steps": ("snapshot",),
                },
            ),
        )

    def _names(self, sizes: dict[str, int]) -> list[str]:
        """Return the tensors of the block."""
        names = list(sizes)
        if self.block == "last_layer":
            prefix = names[-1].rpartition(".")[0]
            names = [name for name in names if name.rpartition(".")[0] == prefix]
        elif self.block != "all":
            names = [name for name in names if name.startswith(self.block)]
        if not names:
            raise RunnerError(
                f"hessian_block: no tensor's name begins with {self.block!r}; there are "
                f"{listed(sizes, 12)}, or block = 'last_layer' and 'all'"
            )
        if (rows := sum(sizes[name] for name in names)) > MOST:
            raise RunnerError(
                f"hessian_block: {rows} rows are too many to write out, {MOST} the most; choose a "
                "smaller block, or hessian_eigen for the ends of the spectrum"
            )
        return names
