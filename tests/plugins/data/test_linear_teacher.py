import numpy as np
import pytest

from plugins.data.linear_teacher import LinearTeacher
from runner.types import Seed


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_targets_are_a_teacher_of_equal_singular_values(rank):
    data = LinearTeacher(inputs=4, outputs=3, rank=rank, strength=0.7, points=50).run(Seed(0))
    x, y = data["train"]["x"], data["train"]["y"]
    teacher = np.linalg.lstsq(x, y, rcond=None)[0]
    size = np.linalg.svd(teacher, compute_uv=False)
    assert size[:rank] == pytest.approx([0.7] * rank)
    assert abs(size[rank:]).max(initial=0.0) < 1e-12
    assert np.abs(x @ teacher - y).max() < 1e-12
    assert data.about == {"inputs": 4, "outputs": 3, "rank": rank}


def test_inputs_are_standard_normal_and_whitened_ones_exactly_so():
    x = LinearTeacher(inputs=3, points=20_000).run(Seed(1))["train"]["x"]
    moments = x.T @ x / len(x)
    assert np.abs(moments - np.eye(3)).max() < 5 * (2 / 20_000) ** 0.5
    assert np.mean(x**4) == pytest.approx(3.0, rel=0.05)
    x = LinearTeacher(inputs=3, points=50, whiten=True).run(Seed(1))["train"]["x"]
    np.testing.assert_allclose(x.T @ x / 50, np.eye(3), atol=1e-13)


def test_seeds_differ_and_the_inputs_do_not_depend_on_the_teacher():
    one, two = (LinearTeacher(inputs=3, rank=rank).run(Seed(0))["train"] for rank in (0, 1))
    assert np.array_equal(one["x"], two["x"])
    assert not np.array_equal(one["x"], LinearTeacher(inputs=3).run(Seed(1))["train"]["x"])


def test_impossible_sizes_are_named():
    assert "above" in LinearTeacher(rank=2).check_parameters()
    assert "at least 5 points" in LinearTeacher(inputs=5, points=3, whiten=True).check_parameters()
