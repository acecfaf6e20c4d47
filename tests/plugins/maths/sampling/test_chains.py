import numpy as np
import pytest
import torch
from scipy.stats import norm, rankdata

from plugins.maths.sampling.chains import effective_size, halves, split_rhat, standard_error


def autoregression(rho: float, cells: int, chains: int, length: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(cells, chains, length, generator=generator, dtype=torch.float64)
    draws = noise.clone()
    for step in range(1, length):
        draws[..., step] = rho * draws[..., step - 1] + (1 - rho**2) ** 0.5 * noise[..., step]
    return draws


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_effective_size_is_that_of_an_autoregression(rho):
    """Known: n (1 - rho) / (1 + rho); estimated within 10 % over 100 cells of 4 x 2000 draws."""
    found = effective_size(autoregression(rho, 100, 4, 2000)).median().item()
    assert found == pytest.approx(8000 * (1 - rho) / (1 + rho), rel=0.1)


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_standard_error_is_the_spread_of_means(rho):
    draws = autoregression(rho, 400, 2, 500)
    spread = draws.mean((1, 2)).std().item()
    assert standard_error(draws).median().item() == pytest.approx(spread, rel=0.15)


def test_chains_that_disagree_raise_the_error():
    draws = autoregression(0.0, 1, 2, 500)
    apart = draws + torch.tensor([0.0, 10.0])[:, None]
    assert standard_error(apart) > 2.0
    assert effective_size(apart) < 10


def test_constant_and_single_draws_say_nothing():
    assert effective_size(torch.ones(1, 2, 10)).isnan().all()
    assert standard_error(torch.ones(2, 1, 1)).isnan().all()


def test_halves_split_every_chain_in_the_middle():
    draws = torch.arange(8.0).reshape(1, 2, 4)
    first, second = halves(draws)
    assert (first.item(), second.item()) == (2.5, 4.5)


@pytest.mark.parametrize(("chains", "length"), [(1, 2000), (4, 500), (256, 60)])
def test_two_standard_errors_hold_the_mean_as_often_as_they_should(chains, length):
    """400 cells of known mean 0, correlation 0.8: a share of 0.954, 4 binomial sd apart at most.

    The estimated time is itself uncertain, most with one chain: a few percent are granted.
    """
    draws = autoregression(0.8, 400, chains, length)
    inside = (draws.mean((1, 2)).abs() < 2 * standard_error(draws)).double().mean().item()
    assert abs(inside - 0.954) < 4 * (0.954 * 0.046 / 400) ** 0.5 + 0.01


def written_out(draws: torch.Tensor) -> float:
    """The rank-normalised split R-hat by the formulas of its authors."""

    def plain(z: np.ndarray) -> float:
        n = z.shape[1]
        between = n * z.mean(1).var(ddof=1)
        within = z.var(1, ddof=1).mean()
        return (((n - 1) / n * within + between / n) / within) ** 0.5

    def scores(x: np.ndarray) -> np.ndarray:
        rank = rankdata(x).reshape(x.shape)
        return norm.ppf((rank - 3 / 8) / (x.size + 1 / 4))

    half = draws.shape[1] // 2
    split = np.concatenate([draws[:, :half], draws[:, -half:]])
    folded = np.abs(split - np.sort(split, axis=None)[(split.size - 1) // 2])
    return max(plain(scores(split)), plain(scores(folded)))


@pytest.mark.parametrize("shape", [(1, 40), (4, 101), (30, 16)])
def test_rhat_is_the_published_formula_also_with_ties(shape):
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    draws[1] = draws[1].round(decimals=1)  # many equal draws
    draws[2, 0] += 2.0
    for found, one in zip(split_rhat(draws), draws, strict=True):
        assert found.item() == pytest.approx(written_out(one.numpy()), rel=1e-12)


def test_rhat_is_one_for_chains_that_agree_and_sees_each_way_to_disagree():
    good = autoregression(0.5, 1, 4, 2000)
    assert split_rhat(good).item() == pytest.approx(1.0, abs=0.01)
    apart, wider, trend, infinite = (good.clone() for _ in range(4))
    apart[:, 0] += 1.0
    wider[:, 0] *= 3.0  # same mean: only the distances from the median tell
    trend += torch.linspace(0, 2, 2000)
    # A tail without a mean does not hide a shift, because ranks alone count.
    infinite = torch.tan(torch.pi * (torch.special.ndtr(infinite) - 0.5)) * 1e6
    infinite[:, 0] += 4e6
    for bad in (apart, wider, trend, trend[:, :1], infinite):
        assert split_rhat(bad).item() > 1.05


def test_rhat_of_constant_short_or_broken_chains_is_nan():
    assert split_rhat(torch.ones(2, 3, 10)).isnan().all()
    assert split_rhat(torch.randn(1, 2, 3)).isnan().all()
    broken = torch.randn(1, 2, 10)
    broken[0, 0, 0] = torch.inf
    assert split_rhat(broken).isnan().all()
