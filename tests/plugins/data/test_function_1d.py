"""Samples of known functions: where points lie, and what moves them."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from plugins.data.function_1d import Function1d
from plugins.maths.functions.functions import FUNCTIONS, truth
from runner import Seed


def test_training_points_hold_both_ends_zero_and_multiples_of_pi_over_four() -> None:
    data = Function1d().run(Seed(0))
    x = data["train"]["x"][:, 0]
    assert x.shape == (17,)
    assert np.allclose(x, np.arange(-8, 9) * math.pi / 4, atol=1e-14)
    assert np.array_equal(data["train"]["y"], np.sin(x))


def test_test_points_are_sorted_inside_the_domain_and_follow_from_the_seed_alone() -> None:
    """BUG of earlier implementations: test points were drawn before any seed was set."""
    np.random.seed(1)  # noqa: NPY002  # what the global state holds may not matter
    first = Function1d().run(Seed(100))["test"]["x"]
    np.random.seed(2)  # noqa: NPY002
    again = Function1d(train=5, noise=0.1).run(Seed(100))["test"]["x"]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, Function1d().run(Seed(200))["test"]["x"])
    assert first.shape == (100, 1)
    assert (np.diff(first[:, 0]) > 0).all()
    assert np.abs(first).max() <= 2 * math.pi


def test_noise_moves_training_targets_only() -> None:
    clean, noisy = (Function1d(noise=n).run(Seed(3)) for n in (0.0, 0.5))
    assert np.array_equal(clean["train"]["x"], noisy["train"]["x"])
    assert np.array_equal(clean["test"]["y"], noisy["test"]["y"])
    error = noisy["train"]["y"] - clean["train"]["y"]
    assert 0.2 < error.std() < 1.0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_a_choice_and_is_found_again_by_what_the_data_state(name: str) -> None:
    data = Function1d(function=name, frequency=2.0, amplitude=3.0, low="-pi", high="pi").run(
        Seed(0)
    )
    function, domain = truth(data.about)
    assert domain == (-math.pi, math.pi)
    assert np.array_equal(function(data["test"]["x"][:, 0]), data["test"]["y"])


def test_a_domain_without_length_is_refused() -> None:
    assert "must lie below" in str(Function1d(low=1.0, high=1.0).check_parameters())
    with pytest.raises(ValidationError):
        Function1d(function="sine")


def test_data_without_a_function_have_no_truth() -> None:
    with pytest.raises(ValueError, match="use function_1d"):
        truth({"classes": 10})
