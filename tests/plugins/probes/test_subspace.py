"""The probe that compares eigenvectors of snapshots: what it hands on and refuses."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.probes.subspace import Subspace, Subspaces
from runner.errors import RunnerError
from runner.types import Arrays


def spans(snapshots: int, pairs: int, parameters: int = 200, jump: int | None = None) -> Arrays:
    """Return slowly turning vectors, which leave for another span at `jump`."""
    g = np.random.default_rng(0)
    block = g.standard_normal((parameters, pairs))
    found = []
    for number in range(snapshots):
        block = block + 0.02 * g.standard_normal(block.shape)
        if number == jump:
            block = g.standard_normal(block.shape)
        found.append(np.linalg.qr(block)[0].T * g.choice([-1.0, 1.0], (pairs, 1)))
    values = np.arange(pairs, 0, -1.0) * np.ones((snapshots, 1))
    arrays = {
        "vectors": np.stack(found).astype(np.float32),
        "eigenvalues": values,
        "steps": 10.0 * np.arange(snapshots),
    }
    names = {
        "vectors": ("snapshot", "pair", "parameter"),
        "eigenvalues": ("snapshot", "pair"),
        "steps": ("snapshot",),
    }
    return Arrays(arrays, names)


def made(vectors: Arrays, **wish: object) -> Subspaces:
    return Subspace(**wish).run(vectors)


def test_each_table_has_a_row_for_what_it_is_about() -> None:
    found = made(spans(5, 3))
    sizes = {n: len(getattr(found, n)) for n in Subspaces.__dataclass_fields__ if n != "scores"}
    assert sizes == {
        "components": 15, "projection": 15, "cosines": 225, "overlaps": 25, "continuity": 5,
        "summary": 1,
    }  # fmt: skip
    told = {name for n in sizes for name in getattr(found, n).columns}
    assert told == set(Subspace.columns)


def test_each_point_of_the_projection_is_a_vector() -> None:
    # BUG of earlier implementations: each point was a parameter
    frame = made(spans(5, 3)).projection.frame
    assert frame["snapshot"].tolist() == [k for k in range(5) for _ in range(3)]
    assert frame["steps"].tolist() == [10.0 * k for k in range(5) for _ in range(3)]
    assert frame["index"].tolist() == [1, 2, 3] * 5


def test_signs_do_not_split_what_belongs_together() -> None:
    frame = made(spans(6, 2), centre=False).projection.frame
    for _, own in frame.groupby("index"):
        assert own[["pc1", "pc2"]].to_numpy().std(0).max() < 0.1


def test_cosines_are_of_all_vectors_and_never_negative() -> None:
    frame = made(spans(4, 3)).cosines.frame
    assert frame["cosine"].between(0, 1 + 1e-6).all()
    same = frame[frame["vector"] == frame["other"]]
    np.testing.assert_allclose(same["cosine"], 1, atol=1e-6)
    own = frame[
        (frame["snapshot"] == frame["other_snapshot"]) & (frame["index"] != frame["other_index"])
    ]
    assert own["cosine"].max() < 1e-6


def test_a_jump_is_seen() -> None:
    frame = made(spans(6, 3, jump=4)).continuity.frame
    assert frame["overlap_before"].iloc[1:].idxmin() == 4
    assert frame["overlap_before"].iloc[4] < 0.1
    assert frame["overlap_before"].iloc[3] > 0.9
    assert frame["angle_before"].iloc[4] > 70
    assert frame["matched_mean"].iloc[5] > 0.9
    assert np.isnan(frame["overlap_before"].iloc[0])


def test_the_summary_tells_low_dimension_and_chance() -> None:
    row = made(spans(6, 3), centre=False).summary.frame.iloc[0]
    assert row["participation"] == pytest.approx(3, abs=0.2)
    assert row["components_90"] == 3
    assert row["overlap_chance"] == 3 / 200
    assert row["overlap_adjacent"] > row["overlap_ends"] > row["overlap_chance"]


def test_a_single_snapshot_has_no_neighbours() -> None:
    row = made(spans(1, 2)).summary.frame.iloc[0]
    assert np.isnan(row["overlap_adjacent"])
    assert row["overlap_ends"] == pytest.approx(1.0)


def test_gathered_cells_count_as_snapshots() -> None:
    one = spans(4, 3)
    stacked = Arrays(
        {name: value.reshape(4, 1, *value.shape[1:]) for name, value in one.arrays.items()},
        {name: ("cell", *names) for name, names in one.dimensions.items()},
    )
    assert made(stacked).overlaps.frame.equals(made(one).overlaps.frame)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {**a, "vectors": 2 * a["vectors"]}, "no unit vectors"),
        (lambda a: {**a, "vectors": np.nan * a["vectors"]}, "not finite"),
        (lambda a: {"vectors": a["vectors"]}, "no array 'eigenvalues'"),
    ],
)
def test_what_is_no_set_of_eigenvectors_is_refused(change, message: str) -> None:
    one = spans(2, 2)
    arrays = change(dict(one.arrays))
    with pytest.raises(RunnerError, match=message):
        made(Arrays(arrays, {name: one.dimensions[name] for name in arrays}))
