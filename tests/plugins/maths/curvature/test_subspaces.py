"""What is said of eigenvectors of snapshots, and what earlier implementations got wrong."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from plugins.maths.curvature import subspaces


def orthonormal(rows: int, columns: int, seed: int) -> np.ndarray:
    square = np.random.default_rng(seed).standard_normal((columns, rows))
    return np.linalg.qr(square)[0].T


def drifting(snapshots: int = 5, pairs: int = 4, parameters: int = 300) -> np.ndarray:
    """Return vectors that turn a little from snapshot to snapshot, with signs at random."""
    g = np.random.default_rng(0)
    found = [orthonormal(pairs, parameters, 1)]
    for _ in range(snapshots - 1):
        moved = found[-1] + 0.03 * g.standard_normal((pairs, parameters)) / 3
        found.append(np.linalg.qr(moved.T)[0].T)
    signs = g.choice([-1.0, 1.0], (snapshots, pairs, 1))
    return np.stack(found) * signs


def test_components_are_those_of_the_vectors_not_of_the_parameters() -> None:
    # BUG of earlier implementations: PCA of the transposed matrix scattered parameters
    rows = drifting().reshape(20, 300)
    found = subspaces.components(subspaces.gram(rows), centred=True)
    theirs = PCA(10).fit(rows)
    assert found.scores.shape == (20, 20)
    np.testing.assert_allclose(
        found.variances[:10] * 20 / 19, theirs.explained_variance_, rtol=1e-8
    )
    np.testing.assert_allclose(
        np.abs(found.scores[:, :10]), np.abs(theirs.transform(rows)), atol=1e-8
    )


def test_without_centring_the_scores_keep_inner_products() -> None:
    rows = drifting().reshape(20, 300)
    inner = subspaces.gram(rows)
    found = subspaces.components(inner, centred=False)
    np.testing.assert_allclose(found.scores @ found.scores.T, inner, atol=1e-10)
    assert found.variances.sum() == pytest.approx(1.0)  # unit rows


def test_inner_products_are_summed_in_double_precision() -> None:
    rows = np.random.default_rng(0).standard_normal((3, 200_000)).astype(np.float32)
    wanted = rows.astype(np.float64) @ rows.astype(np.float64).T
    np.testing.assert_allclose(subspaces.gram(rows), wanted, rtol=1e-12)


def test_signs_follow_the_snapshot_before() -> None:
    # BUG of earlier implementations: signs were left as they fell, and means of vectors cancelled
    vectors = drifting()
    rows = vectors.reshape(20, 300)
    signs = subspaces.aligned_signs(subspaces.gram(rows), vectors[0], 4)
    turned = (rows * signs[:, None]).reshape(5, 4, 300)
    along = np.einsum("bkd,bkd->bk", turned[1:], turned[:-1])
    assert along.min() > 0.7
    assert np.einsum("bkd,bkd->bk", vectors[1:], vectors[:-1]).min() < -0.7
    first = turned[0]
    assert (first[np.arange(4), np.abs(first).argmax(1)] > 0).all()


def test_signs_follow_a_vector_whose_rank_has_changed() -> None:
    first = orthonormal(2, 50, 3)
    vectors = np.stack([first, -first[::-1]])
    inner = subspaces.gram(vectors.reshape(4, 50))
    signs = subspaces.aligned_signs(inner, first, 2)
    np.testing.assert_array_equal(signs[2:], -signs[:2][::-1])


def test_cosines_of_single_vectors_do_not_cancel() -> None:
    # BUG of earlier implementations: the heat map compared means of vectors of arbitrary sign
    one = orthonormal(3, 80, 5)
    vectors = np.stack([one, one * np.array([[1.0], [-1.0], [1.0]])])
    means = vectors.mean(1)
    by_means = means[0] @ means[1] / np.linalg.norm(means, axis=1).prod()
    assert abs(by_means) < 0.5  # two snapshots with the same eigenvectors look unlike
    inner = subspaces.gram(vectors.reshape(6, 80))
    np.testing.assert_allclose(np.abs(inner[:3, 3:]), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(subspaces.overlaps(inner, 3), np.ones((2, 2)), atol=1e-12)


def test_overlaps_are_one_for_equal_spans_and_zero_for_orthogonal_ones() -> None:
    both = orthonormal(6, 40, 7)
    turn = orthonormal(3, 3, 8)
    vectors = np.stack([both[:3], turn @ both[:3], both[3:]])
    inner = subspaces.gram(vectors.reshape(9, 40))
    wanted = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(subspaces.overlaps(inner, 3), wanted, atol=1e-12)
    assert subspaces.largest_angle(inner, 3, 0, 1) == pytest.approx(0.0, abs=1e-5)
    assert subspaces.largest_angle(inner, 3, 0, 2) == pytest.approx(90.0)


def test_random_spans_overlap_by_their_share_of_the_space() -> None:
    vectors = np.stack([orthonormal(5, 400, seed) for seed in range(20)])
    found = subspaces.overlaps(subspaces.gram(vectors.reshape(100, 400)), 5)
    apart = found[~np.eye(20, dtype=bool)]
    # 190 independent pairs; one has a standard deviation of about sqrt(2) / d = 0.0035
    assert apart.mean() == pytest.approx(5 / 400, abs=4 * 0.0036 / 190**0.5)


def test_matches_find_the_nearest_vector_of_the_snapshot_before() -> None:
    first = orthonormal(3, 60, 9)
    vectors = np.stack([first, first[[2, 0, 1]]])
    found = subspaces.matches(subspaces.gram(vectors.reshape(6, 60)), 3)
    assert np.isnan(found[:3]).all()
    np.testing.assert_allclose(found[3:], 1.0)


def test_participation_counts_components() -> None:
    assert subspaces.participation(np.array([2.0, 2.0, 2.0, 0.0])) == pytest.approx(3.0)
