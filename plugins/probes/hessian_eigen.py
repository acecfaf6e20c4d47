"""The eigenpairs of the Hessian at one network, or at each snapshot of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from plugins.maths.curvature.probing import CurvatureProbe
from runner.parameters import Real
from runner.types import Arrays, Circumstance, Network, Seed, Split, Table, Trained


@dataclass(frozen=True)
class Eigenpairs:
    """The pairs as a table, their vectors, and small arrays that stand for the dense matrix."""

    table: Table  # one row for each snapshot and pair
    vectors: Arrays  # vectors (snapshot, pair, parameter), eigenvalues, steps
    summary: Arrays  # projected V'HV, Lanczos alpha and beta, eigenvalues, residuals, converged


class HessianEigen(CurvatureProbe):
    """Find r eigenpairs of the mean loss's Hessian over fixed rows of data.

    Given a trainer, walks over its checkpoints in the order of training, the last network last,
    and starts each from the vectors of the one before (`warm`). The network stands in evaluation
    mode. A pair's residual is |H v - value v| / |value|, computed of itself and for every pair; a
    pair above `tolerance` when the products are spent is marked in `converged`. Negative values
    are kept: `magnitude` finds them among the rest, `smallest` and `both` ask for them.

    `lanczos`: full reorthogonalisation, thick restarts. `lobpcg`: block method, for comparison.
    `pyhessian`: that library's power iteration, a check on the others; it stops by its own
    rule, so that most of its pairs are not converged by this one.

    Reads:  model: a network, or all snapshots of a trainer; data.x, data.y. Vectors have the
            parameters in the order of the network's own, buffers left out.
    Raises: RunnerError when a run has no checkpoints, data has fewer rows than asked for or does
            not suit the loss, the loss is not finite, or there are fewer parameters than pairs.
    Source: Pearlmutter, Neural Computation 6 (1994) 147-160; Wu and Simon, SIAM J. Matrix Anal.
            Appl. 22 (2000) 602-616; Knyazev, SIAM J. Sci. Comput. 23 (2001) 517-541.
    """

    columns: ClassVar[dict[str, str]] = {
        "snapshot": "its place in the order of training, from 0",
        "steps": "optimizer steps that the snapshot has made; nan for a network given alone",
        "index": "of the pair, from 1, in the order of `which`",
        "eigenvalue": "Rayleigh quotient v'Hv, loss unit / weight unit^2",
        "residual": "|H v - value v| / |value|",
        "converged": "whether the residual is at most the tolerance",
        "hvps": "products spent on the snapshot, all pairs together",
        "warm": "started from the vectors of the snapshot before",
        "loss": "mean over the rows, nats or y's unit^2",
        "gradient_norm": "of the mean loss, loss unit / weight unit",
        "gradient_share": "of the squared gradient that lies along the vector",
    }

    pairs: int = Field(10, ge=1, description="r, the number of pairs")
    which: Literal["magnitude", "largest", "smallest", "both"] = Field(
        "magnitude", description="by |value|, from one end, or half of them from each end"
    )
    engine: Literal["lanczos", "lobpcg", "pyhessian"] = Field(
        "lanczos", description="how they are found"
    )
    tolerance: Real = Field(1e-3, gt=0, description="largest residual of a converged pair")
    max_products: int = Field(1000, ge=2, description="products allowed for each snapshot")
    basis: int | None = Field(
        None, ge=3, description="lanczos: vectors held before a restart; none: 2 r + 40"
    )
    recheck: int = Field(
        0, ge=0, description="lanczos: products to look for equal eigenvalues, from a new vector"
    )
    warm: bool = Field(True, description="start from the vectors of the snapshot before")

    def work(self) -> float:
        return float(self.pairs * (self.rows or 1))

    def check_parameters(self) -> str | None:
        if self.basis is not None and self.basis < self.pairs + 2:
            return f"basis = {self.basis} must be at least pairs + 2 = {self.pairs + 2}"
        if self.max_products < self.pairs:
            return f"max_products = {self.max_products} must be at least pairs = {self.pairs}"
        if self.engine == "pyhessian" and (
            (self.which, self.operator, self.precision) != ("magnitude", "hessian", "float32")
        ):
            return (
                "engine = 'pyhessian' knows which = 'magnitude', operator = 'hessian' and "
                "precision = 'float32' alone"
            )
        return None

    def run(
        self, model: Network | Trained, data: Split, seed: Seed, here: Circumstance
    ) -> Eigenpairs:
        from plugins.maths.curvature import eigen

        found = eigen.along_run(self, model, data, seed, here)
        return Eigenpairs(
            Table(eigen.columns_of(found)),
            Arrays(
                eigen.vectors_of(found),
                {
                    "vectors": ("snapshot", "pair", "parameter"),
                    "eigenvalues": ("snapshot", "pair"),
                    "steps": ("snapshot",),
                },
            ),
            Arrays(
                eigen.summary_of(found),
                dict.fromkeys(("eigenvalues", "residuals", "converged"), ("snapshot", "pair"))
                | dict.fromkeys(("alpha", "beta"), ("snapshot", "iteration"))
                | {"projected": ("snapshot", "pair", "other"), "steps": ("snapshot",)},
            ),
        )
