import pytest
import torch

from plugins.maths.chains import effective_size, halves, standard_error


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
