"""A loss surface as an npz of arrays, for programs that draw it themselves."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.parameters import Column
from runner.plugin import Renderer
from runner.types import Files, Table


class LossGrid(Renderer):
    """Write alpha (A,), beta (B,), loss (A, B), center_loss, resolution and seed.

    `loss[i, j]` lies at `alpha[i]`, `beta[j]`. Arrays of numbers only: reading needs no pickle.

    Reads:  table, one surface; centre, its one row.
    Raises: ValueError for missing columns, two rows at one point, or points that are no full grid.
    Source: none; names are those of the earlier system's files.
    """

    writes: ClassVar[tuple[str, ...]] = (".npz",)

    value: Column = Field("loss", description="column on the grid")

    def run(self, table: Table, centre: Table) -> Files:
        import numpy as np

        from plugins.maths.figures.grids import grid_of
        from plugins.maths.figures.views import check_columns
        from plugins.maths.files.grid_files import npz

        grid = grid_of(table.frame, "alpha", "beta", self.value)
        (panel,) = grid.panels
        if panel.rows != panel.values.size:
            raise ValueError(f"{panel.rows} points are no grid of {panel.values.size}")
        row = centre.frame
        check_columns(row, centre_loss="centre_loss", drawn_with="drawn_with")
        if len(row) != 1:
            raise ValueError(f"`centre` has {len(row)} rows; name `per` so that it has one")
        arrays = {
            "alpha": np.asarray(grid.x), "beta": np.asarray(grid.y), "loss": panel.values.T,
            "center_loss": np.float64(row["centre_loss"][0]),
            "resolution": np.int64(len(grid.x)), "seed": np.int64(row["drawn_with"][0]),
        }  # fmt: skip
        return Files({".npz": npz(arrays)})
