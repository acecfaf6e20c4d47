"""How the eigenvectors of successive snapshots lie to each other: PCA, cosines, overlaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from runner.errors import RunnerError
from runner.plugin import Probe
from runner.types import Array, Arrays, Table


@dataclass(frozen=True)
class Subspaces:
    """What is known of all vectors together, of each, and of each pair of snapshots."""

    components: Table  # one row for each principal component
    projection: Table  # one row for each vector
    cosines: Table  # one row for each pair of vectors
    overlaps: Table  # one row for each pair of snapshots
    continuity: Table  # one row for each snapshot
    summary: Table  # one row
    scores: Arrays  # all coordinates: scores (vector, component), signs (vector,)


class Subspace(Probe):
    """Compare the eigenvectors of snapshots, as `hessian_eigen` gives them.

    A vector's sign means nothing: each is turned along the vector of the snapshot before that it
    is most parallel to, whose index may be another, for eigenvalues cross. Principal components
    are those of the vectors, never of the parameters, from the matrix of their inner products.
    Cosines are of single vectors, in magnitude, never of their means. The overlap of two spans is
    |Vi'Vj|_F^2 / r: 1 for equal ones, r / d for random ones.

    Reads:  vectors: `vectors` (snapshot, pair, parameter), `eigenvalues` and `steps`; cells of an
            axis that is gathered count as snapshots, in its order. Deterministic: takes no seed.
    Raises: RunnerError when arrays are missing, not finite, or rows are no unit vectors.
    Source: the definitions; Bjorck and Golub, Math. Comput. 27 (1973) 579-594, for angles.
    """

    columns: ClassVar[dict[str, str]] = {
        "component": "components: its number, from 1",
        "variance": "components: of the vectors along it (they have length 1)",
        "share": "components: of the whole variance",
        "cumulative": "components: share of this one and all before",
        "vector": "projection, cosines: number of the vector, from 0, snapshot by snapshot",
        "snapshot": "place in the order of training, from 0",
        "steps": "optimizer steps that the snapshot has made; nan where they are not known",
        "index": "of the pair in its snapshot, from 1",
        "eigenvalue": "projection: of the pair",
        "pc1": "projection: coordinate along the first component",
        "pc2": "projection: along the second; nan where there is none",
        "pc3": "projection: along the third; nan where there is none",
        "matched": "projection: largest |cosine| with a vector of the snapshot before, or nan",
        "other": "cosines: number of the other vector",
        "other_snapshot": "cosines, overlaps: the other one's place",
        "other_steps": "cosines, overlaps: the other one's steps",
        "other_index": "cosines: index of the other vector in its snapshot",
        "cosine": "cosines: |cosine| of the angle between the two",
        "overlap": "overlaps: |Vi'Vj|_F^2 / r",
        "overlap_before": "continuity: with the snapshot before; nan in the first",
        "overlap_first": "continuity: with the first snapshot",
        "matched_mean": "continuity: mean over its vectors of `matched`",
        "angle_before": "continuity: largest principal angle to the snapshot before, degrees",
        "snapshots": "summary: number of snapshots",
        "pairs": "summary: vectors of each, r",
        "parameters": "summary: entries of a vector, d",
        "participation": "summary: (sum of variances)^2 / sum of their squares",
        "components_90": "summary: components that hold 90 % of the variance",
        "components_95": "summary: components that hold 95 % of the variance",
        "overlap_adjacent": "summary: mean of overlap_before",
        "overlap_least": "summary: least overlap_before: the largest jump",
        "overlap_ends": "summary: of the first snapshot with the last",
        "overlap_within": "summary: mean |cosine|^2 of vectors of different snapshots",
        "overlap_chance": "summary: r / d, the overlap of random spans",
    }

    components: int = Field(20, ge=1, description="principal components to tell of")
    centre: bool = Field(True, description="take the mean vector off first, as PCA does")

    def run(self, vectors: Arrays) -> Subspaces:
        import numpy as np

        from plugins.maths.curvature import subspaces as maths

        rows, values, steps = self._read(vectors)
        count, r, d = rows.shape
        flat = rows.reshape(-1, d)
        inner = maths.gram(flat)
        if np.abs(np.diag(inner) - 1).max() > 1e-3:
            raise RunnerError("subspace: rows are no unit vectors; give hessian_eigen's `vectors`")
        signs = maths.aligned_signs(inner, rows[0], r)
        inner = inner * signs[:, None] * signs
        found = maths.components(inner, centred=self.centre)
        shares = found.variances / max(found.variances.sum(), 1e-300)
        some = min(self.components, len(inner))
        overlaps, matched = maths.overlaps(inner, r), maths.matches(inner, r)
        place, index = np.divmod(np.arange(count * r), r)
        here = {"vector": np.arange(count * r), "snapshot": place, "steps": steps[place]}
        before = np.concatenate([[np.nan], overlaps[np.arange(1, count), np.arange(count - 1)]])
        angles = [maths.largest_angle(inner, r, k, k - 1) for k in range(1, count)]
        a, b = (each.ravel() for each in np.indices(inner.shape))
        i, j = (each.ravel() for each in np.indices(overlaps.shape))
        padded = np.full((len(inner), 3), np.nan)
        padded[:, : min(3, len(inner))] = found.scores[:, :3]
        apart = place[:, None] != place
        return Subspaces(
            Table({
                "component": np.arange(1, some + 1),
                "variance": found.variances[:some],
                "share": shares[:some],
                "cumulative": shares.cumsum()[:some],
            }),
            Table(here | {
                "index": index + 1, "eigenvalue": values.ravel(), "matched": matched,
                **{f"pc{k + 1}": padded[:, k] for k in range(3)},
            }),
            Table({
                "vector": a, "snapshot": place[a], "steps": steps[place[a]], "index": index[a] + 1,
                "other": b, "other_snapshot": place[b], "other_steps": steps[place[b]],
                "other_index": index[b] + 1, "cosine": np.abs(inner).ravel(),
            }),
            Table({
                "snapshot": i, "steps": steps[i], "other_snapshot": j, "other_steps": steps[j],
                "overlap": overlaps.ravel(),
            }),
            Table({
                "snapshot": np.arange(count), "steps": steps,
                "overlap_before": before, "overlap_first": overlaps[:, 0],
                "matched_mean": matched.reshape(count, r).mean(1),
                "angle_before": np.asarray([np.nan, *angles]),
            }),
            Table({name: [value] for name, value in {
                "snapshots": count, "pairs": r, "parameters": d,
                "participation": maths.participation(found.variances),
                "components_90": int((shares.cumsum() < 0.9).sum()) + 1,
                "components_95": int((shares.cumsum() < 0.95).sum()) + 1,
                "overlap_adjacent": float(before[1:].mean()) if count > 1 else float("nan"),
                "overlap_least": float(before[1:].min()) if count > 1 else float("nan"),
                "overlap_ends": float(overlaps[0, -1]),
                "overlap_within": float((inner[apart] ** 2).mean()) if count > 1 else float("nan"),
                "overlap_chance": r / d,
            }.items()}),
            Arrays(
                {"scores": found.scores[:, :some], "signs": signs},
                {"scores": ("vector", "component"), "signs": ("vector",)},
            ),
        )  # fmt: skip

    @staticmethod
    def _read(vectors: Arrays) -> tuple[Array, Array, Array]:
        """Return vectors (B, r, d), eigenvalues (B, r) and steps (B,), cells gathered."""
        import numpy as np

        if missing := {"vectors", "eigenvalues", "steps"} - set(vectors.arrays):
            raise RunnerError(
                f"subspace: no array {min(missing)!r}; give vectors = '@step.vectors' of a "
                "hessian_eigen"
            )
        rows = np.asarray(vectors["vectors"])
        rows = rows.reshape(-1, *rows.shape[-2:])
        if not np.isfinite(rows).all():
            raise RunnerError("subspace: the vectors are not finite")
        values = np.asarray(vectors["eigenvalues"], np.float64).reshape(len(rows), -1)
        steps = np.asarray(vectors["steps"], np.float64).reshape(-1)
        return rows, values, steps
