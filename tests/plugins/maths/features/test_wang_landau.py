"""The walk on systems whose density of states is known."""

import numpy as np
import pytest

from plugins.maths.features.wang_landau import (
    BLOCK,
    Bins,
    Rule,
    density_of_states,
    thermal,
)

RULE = Rule(reach=10, flatness=0.8, final=2e-4, most=5_000_000)


def walked(energies: np.ndarray, bins: int, rule: Rule = RULE, seed: int = 0):
    found = Bins.over(energies, bins)
    return found, density_of_states(found, rule, np.random.default_rng(seed))


def test_spins_in_a_field_have_binomial_densities() -> None:
    """Eight spins: 2^8 states in the order of their numbers, of which C(8, k) have k up."""
    states = np.arange(256)
    up = np.array([int(state).bit_count() for state in states], float)
    bins, found = walked(up, 9, Rule(64, 0.8, 2e-5, 5_000_000))
    wanted = np.log([1, 8, 28, 56, 70, 56, 28, 8, 1])
    assert found.converged
    # 50,000 visits a bin, some 40 of them in a row where one state has neighbours of large g
    assert np.abs(found.log_g - wanted).max() < 0.15
    assert bins.centres == pytest.approx((np.arange(9) + 0.5) * 8 / 9)


def test_a_loss_that_falls_and_rests_has_the_density_of_its_histogram() -> None:
    step = np.arange(300)
    energies = np.maximum(-step / 20, -10 + 0.5 * np.sin(step))
    bins, found = walked(energies, 40)
    counts = bins.counts()
    known = counts > 0
    assert np.abs(found.log_g[known] - np.log(counts[known])).max() < 0.3
    assert np.isnan(found.log_g[~known]).all()
    assert np.exp(found.log_g[known]).sum() == pytest.approx(300)


def test_the_walk_is_that_of_the_seed() -> None:
    energies = np.sin(np.arange(50.0))
    rule = Rule(5, 0.8, 1e-3, 10**6)
    one, again, other = (walked(energies, 10, rule, seed)[1] for seed in (1, 1, 2))
    assert np.array_equal(one.log_g, again.log_g, equal_nan=True)
    assert not np.array_equal(one.log_g, other.log_g, equal_nan=True)


def test_each_stage_ends_flat_and_halves_until_time_takes_over() -> None:
    _, found = walked(np.sin(np.arange(50.0)), 10)
    halving = found.stages[:-1]
    assert [stage.ln_f for stage in halving] == [2.0**-n for n in range(len(halving))]
    assert all(stage.flatness >= 0.8 for stage in halving)
    assert sum(stage.steps for stage in found.stages) == found.steps == found.visits.sum()
    assert found.steps == pytest.approx(10 / 2e-4, abs=2 * BLOCK)  # 1 / time: bins over ln f


def test_a_walk_that_cannot_become_flat_says_that_it_did_not_end() -> None:
    """Two far heaps of states that single moves cannot cross before the steps run out."""
    energies = np.concatenate([np.zeros(500), np.ones(500)])
    _, found = walked(energies, 2, Rule(1, 0.8, 1e-9, 4 * BLOCK))
    assert not found.converged
    assert found.steps == 4 * BLOCK


def test_bins_hold_every_state_and_equal_energies_are_one() -> None:
    bins = Bins.over(np.array([0.0, 0.5, 1.0, 1.0]), 4)
    assert bins.of.tolist() == [0, 2, 3, 3]
    assert Bins.over(np.full(3, 2.0), 4).of.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="of state 1 is not finite"):
        Bins.over(np.array([0.0, np.nan]), 4)


def test_canonical_averages_of_two_levels_are_their_closed_form() -> None:
    energies, log_g = np.array([0.0, 7.0, 1.0]), np.array([np.log(3), np.nan, 0.0])
    found = thermal(energies, log_g, [0.0, 2.0])
    partition = 3 + np.exp([0.0, -2.0])
    share = np.exp([0.0, -2.0]) / partition
    assert found.log_partition == pytest.approx(np.log(partition))
    assert found.mean_energy == pytest.approx(share)
    assert found.energy_variance == pytest.approx(share * (1 - share))
