"""The trace of the Hessian, whole and tensor by tensor, with standard errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field

from plugins.maths.curvature.probing import CurvatureProbe
from runner.types import Arrays, Circumstance, Network, Seed, Split, Table, Trained


@dataclass(frozen=True)
class HessianTraces:
    """Traces of each snapshot, of its tensors, and the samples behind them."""

    table: Table  # one row for each snapshot
    layers: Table  # one row for each snapshot and tensor
    samples: Arrays  # totals (snapshot, sample), layers (snapshot, sample, tensor), steps


class HessianTrace(CurvatureProbe):
    """Estimate tr H and the traces of its diagonal blocks, one for each parameter tensor.

    `hutchinson`: mean of z'Hz over vectors z of random signs; a block's part is z_l'(Hz)_l.
    `hutch++`: the trace on the span of a sketch H S is computed exactly, what is left is sampled;
    quicker where few eigenvalues are large. Standard errors are those of the mean over samples.
    The vectors are the same for all snapshots of a run.

    Reads:  model: a network, or all snapshots of a trainer; data.x, data.y.
    Raises: RunnerError when a run has no checkpoints, data has fewer rows than asked for or does
            not suit the loss, or the loss is not finite.
    Source: Hutchinson, Commun. Stat. Simul. 18 (1989) 1059-1076; Meyer et al., Hutch++, SOSA 2021.
    """

    columns: ClassVar[dict[str, str]] = {
        "snapshot": "its place in the order of training, from 0",
        "steps": "optimizer steps that the snapshot has made; nan for a network given alone",
        "trace": "estimate, loss unit / weight unit^2",
        "trace_se": "its standard error; nan for a single sample",
        "parameters": "number of entries of the diagonal",
        "hvps": "products spent on the snapshot",
        "loss": "mean over the rows, nats or y's unit^2",
        "tensor": "layers: name of the tensor",
    }

    method: Literal["hutchinson", "hutch++"] = Field("hutchinson", description="how to estimate")
    samples: int = Field(32, ge=1, description="random vectors")
    sketch: int = Field(
        10, ge=1, description="hutch++: vectors of the sketch, which cost two products each"
    )

    def work(self) -> float:
        return float(self.samples * (self.rows or 1))

    def run(
        self, model: Network | Trained, data: Split, seed: Seed, here: Circumstance
    ) -> HessianTraces:
        import numpy as np

        from plugins.maths.curvature import traces as maths
        from plugins.maths.curvature.snapshots import walk

        rows: list[dict[str, Any]] = []
        layers: list[dict[str, Any]] = []
        totals, parts, steps = [], [], []
        for snapshot, _, curvature in walk(self, model, data, seed, here):
            sizes = [shape.numel() for shape in curvature.shapes.values()]
            draws = {"samples": self.samples, "watch": here.progress}
            if self.method == "hutchinson":
                found = maths.hutchinson(curvature, sizes, seed, **draws)
            else:
                sketch = min(self.sketch, curvature.size)
                found = maths.hutchpp(curvature, sizes, seed, sketch=sketch, **draws)
            here_is = {"snapshot": snapshot.number, "steps": snapshot.steps}
            rows.append(here_is | {
                "trace": float(found.totals.mean()),
                "trace_se": float(maths.standard_error(found.totals)),
                "parameters": curvature.size,
                "hvps": found.products,
                "loss": curvature.value,
            })  # fmt: skip
            values, errors = (each.tolist() for each in found.layers())
            layers += [
                here_is | {"tensor": n, "parameters": s, "trace": v, "trace_se": e}
                for n, s, v, e in zip(curvature.shapes, sizes, values, errors, strict=True)
            ]
            totals.append(found.totals.numpy())
            parts.append((found.known + found.samples).numpy())
            steps.append(snapshot.steps)
        arrays = {"totals": np.stack(totals), "layers": np.stack(parts), "steps": np.asarray(steps)}
        return HessianTraces(
            _table(rows),
            _table(layers),
            Arrays(
                arrays,
                {
                    "totals": ("snapshot", "sample"),
                    "layers": ("snapshot", "sample", "tensor"),
                    "steps": ("snapshot",),
                },
            ),
        )


def _table(rows: list[dict[str, Any]]) -> Table:
    return Table({name: [row[name] for row in rows] for name in rows[0]})
