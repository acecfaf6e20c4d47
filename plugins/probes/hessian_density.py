"""The spectral density of the Hessian, by stochastic Lanczos quadrature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from plugins.maths.curvature.probing import CurvatureProbe
from runner.parameters import Real
from runner.types import Circumstance, Network, Seed, Split, Table, Trained


@dataclass(frozen=True)
class HessianDensities:
    """The density of each snapshot, what it is made of, and its moments."""

    density: Table  # one row for each snapshot and point
    nodes: Table  # one row for each snapshot, vector and node
    moments: Table  # one row for each snapshot


class HessianDensity(CurvatureProbe):
    """Estimate how the Hessian's eigenvalues are distributed.

    For each of some random vectors, Lanczos steps with full reorthogonalisation give a Gauss
    quadrature of the spectrum as that vector sees it; `nodes` holds it, and `density` is the mean
    over vectors with each node spread as a normal of standard deviation `width` times the range.
    A weight is a share of all eigenvalues: times the number of parameters, a count. The points
    of a run's snapshots are the same.

    Reads:  model: a network, or all snapshots of a trainer; data.x, data.y.
    Raises: RunnerError when a run has no checkpoints, data has fewer rows than asked for or does
            not suit the loss, or the loss is not finite.
    Source: Ghorbani et al., An Investigation into Neural Net Optimization via Hessian Eigenvalue
            Density, ICML 2019; Ubaru et al., SIAM J. Matrix Anal. Appl. 38 (2017) 1075-1099.
    """

    columns: ClassVar[dict[str, str]] = {
        "snapshot": "its place in the order of training, from 0",
        "steps": "optimizer steps that the snapshot has made; nan for a network given alone",
        "eigenvalue": "density, nodes: loss unit / weight unit^2",
        "density": "density: share of eigenvalues per unit, smoothed",
        "vector": "nodes: number of the random vector, from 0",
        "weight": "nodes: share of eigenvalues that the vector sees there",
        "mean": "moments: of the eigenvalues, which is trace / parameters",
        "mean_se": "moments: its standard error over vectors; nan for one",
        "mean_square": "moments: of the eigenvalues, which is |H|_F^2 / parameters",
        "mean_square_se": "moments: its standard error over vectors; nan for one",
        "negative": "moments: share of eigenvalues below -1e-6 of the largest |node|",
        "least": "moments: least node",
        "largest": "moments: largest node",
        "parameters": "moments: number of eigenvalues",
        "hvps": "moments: products spent on the snapshot",
    }

    vectors: int = Field(4, ge=1, description="random vectors, averaged over")
    lanczos_steps: int = Field(60, ge=2, description="products for each vector")
    points: int = Field(512, ge=2, description="where the density is given, evenly spaced")
    width: Real = Field(
        0.01, gt=0, description="standard deviation of a smoothed node, in ranges of the nodes"
    )

    def work(self) -> float:
        return float(self.vectors * self.lanczos_steps * (self.rows or 1))

    def run(
        self, model: Network | Trained, data: Split, seed: Seed, here: Circumstance
    ) -> HessianDensities:
        import torch

        from plugins.maths.curvature.quadrature import quadrature
        from plugins.maths.curvature.snapshots import walk

        found = []
        for snapshot, _, curvature in walk(self, model, data, seed, here):
            one = quadrature(
                curvature, seed, vectors=self.vectors, steps=self.lanczos_steps,
                watch=here.progress,
            )  # fmt: skip
            found.append((snapshot, one, curvature.size))
        low = min(one.ends()[0] for _, one, _ in found)
        high = max(one.ends()[1] for _, one, _ in found)
        width = self.width * ((high - low) or 1.0)
        at = torch.linspace(low - 4 * width, high + 4 * width, self.points, dtype=torch.float64)
        densities, nodes, moments = [], [], []
        for snapshot, one, size in found:
            here_is = {"snapshot": snapshot.number, "steps": snapshot.steps}
            values = one.density(at, width)
            densities += [
                here_is | {"eigenvalue": x, "density": y}
                for x, y in zip(at.tolist(), values.tolist(), strict=True)
            ]
            for number, (each, weights) in enumerate(zip(one.nodes, one.weights, strict=True)):
                nodes += [
                    here_is | {"vector": number, "eigenvalue": x, "weight": w}
                    for x, w in zip(each.tolist(), weights.tolist(), strict=True)
                ]
            least, largest = one.ends()
            mean, square = one.moment(1), one.moment(2)
            moments.append(here_is | {
                "mean": mean[0], "mean_se": mean[1],
                "mean_square": square[0], "mean_square_se": square[1],
                "negative": one.below(-1e-6 * max(abs(least), abs(largest))),
                "least": least, "largest": largest, "parameters": size, "hvps": one.products,
            })  # fmt: skip
        return HessianDensities(*map(_table, (densities, nodes, moments)))


def _table(rows: list[dict[str, Any]]) -> Table:
    return Table({name: [row[name] for row in rows] for name in rows[0]})
