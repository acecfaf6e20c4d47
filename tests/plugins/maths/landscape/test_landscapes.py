"""Loss surfaces by each path, against one plain forward pass for each point."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from plugins.maths.landscape import directions, landscapes
from plugins.maths.landscape.factorised import Factorised
from plugins.maths.landscape.landscapes import Plane, Split, surface
from plugins.models.linear import Linear
from plugins.models.mlp import Mlp
from plugins.models.resnet import Resnet
from plugins.models.transformer import Transformer
from runner.plugin import Model
from runner.types import Network, Seed

ALPHAS, BETAS = [-1.0, -0.4, 0.0, 0.7], [-0.5, 0.0, 1.0]
PICTURES = torch.randn(6, 1, 6, 6, generator=torch.Generator().manual_seed(1))
TOKENS = torch.randint(0, 9, (6, 4), generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 3, 1, 4, 2, 2])
CASES: dict[str, tuple[Model, torch.Tensor]] = {
    "factorised": (Linear(inputs=36, outputs=5), PICTURES),
    "affine first layer": (Mlp(hidden=(8, 7), inputs=36, outputs=5, activation="tanh"), PICTURES),
    "mapped": (Resnet(depth=8, width=2, channels=1, outputs=5), PICTURES),
    "stacked": (
        Transformer(layers=1, heads=2, width=8, vocabulary=9, length=4, outputs=5), TOKENS,
    ),
}  # fmt: skip


def plane_of(network: Network) -> tuple[Plane, dict[str, torch.Tensor]]:
    """Return the plane of two random directions, biases moved too."""
    weights = directions.parameters_of(network)
    pair = [directions.drawn(weights, Seed(5), k) for k in (0, 1)]
    stacked = {n: 0.3 * torch.stack([one[n] for one in pair]).float() for n in weights}
    return Plane.of(network, stacked), stacked


def plainly(network: Network, along: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Return losses (N, A, B), a module loaded and asked anew for each point."""
    found = torch.zeros(len(x), len(ALPHAS), len(BETAS))
    for i, a in enumerate(ALPHAS):
        for j, b in enumerate(BETAS):
            moved = {n: v + a * along[n][0] + b * along[n][1] for n, v in network.weights.items()
                     if n in along}  # fmt: skip
            module = Network(network.architecture, {**network.weights, **moved}).module()
            with torch.no_grad():
                found[:, i, j] = F.cross_entropy(module(x), LABELS, reduction="none")
    return found


@pytest.mark.parametrize("path", CASES)
def test_each_path_gives_what_a_forward_pass_for_each_point_gives(path: str) -> None:
    model, x = CASES[path]
    network = model.initialise(Seed(0))
    plane, along = plane_of(network)
    wanted = plainly(network, along, x)
    each = surface(plane, x, LABELS, ALPHAS, BETAS, each=True)
    assert each.path == path
    # single precision, losses of some nats
    torch.testing.assert_close(each.losses.float(), wanted, rtol=1e-5, atol=1e-5)
    mean = surface(plane, x, LABELS, ALPHAS, BETAS)
    torch.testing.assert_close(mean.losses.float(), wanted.mean(0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("path", CASES)
def test_the_general_path_agrees_with_the_quick_one(path: str) -> None:
    model, x = CASES[path]
    plane, _ = plane_of(model.initialise(Seed(0)))
    quick = surface(plane, x, LABELS, ALPHAS, BETAS, each=True).losses
    general = surface(plane, x, LABELS, ALPHAS, BETAS, each=True, general=True)
    assert general.path in ("mapped", "stacked")
    torch.testing.assert_close(quick, general.losses, rtol=0, atol=1e-5)


@pytest.mark.parametrize("path", CASES)
def test_a_row_does_not_depend_on_those_beside_it(path: str) -> None:
    model, x = CASES[path]
    plane, _ = plane_of(model.initialise(Seed(0)))
    together = surface(plane, x, LABELS, ALPHAS, BETAS, each=True).losses
    alone = surface(plane, x[2:3], LABELS[2:3], ALPHAS, BETAS, each=True).losses
    torch.testing.assert_close(together[2:3], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("path", CASES)
def test_chunks_of_rows_and_points_change_nothing(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = CASES[path]
    plane, _ = plane_of(model.initialise(Seed(0)))
    whole = surface(plane, x, LABELS, ALPHAS, BETAS).losses
    monkeypatch.setattr(landscapes, "ROWS", 4)
    monkeypatch.setattr(landscapes, "TOGETHER", 8)
    torch.testing.assert_close(
        surface(plane, x, LABELS, ALPHAS, BETAS).losses, whole, rtol=0, atol=1e-5
    )


def test_a_network_that_reads_its_input_twice_is_not_cut() -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(36, 36)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.flatten(1)
            return self.first(x) + 0.5 * x

    module = Twice()
    plane, _ = plane_of(CASES["factorised"][0].initialise(Seed(0)))
    shapes = {name: value.shape for name, value in module.named_parameters()}
    flat = torch.cat([value.detach().reshape(-1) for value in module.parameters()])
    layout = type(plane.layout)(shapes)
    cut = Split.of(Plane(module, layout, flat, torch.stack([flat, flat]), {}), PICTURES)
    assert cut is None


def test_directions_of_another_network_are_refused() -> None:
    one = Linear(inputs=36, outputs=5).initialise(Seed(0))
    _, along = plane_of(Linear(inputs=36, outputs=4).initialise(Seed(0)))
    with pytest.raises(ValueError, match="not those of this network"):
        Plane.of(one, along)


def logits(scale: float, rows: int = 8) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [scale * torch.randn(rows, 5, generator=generator) for _ in range(3)]


def exactly(parts: list[torch.Tensor], y: torch.Tensor) -> torch.Tensor:
    z, zd, ze = (part.double() for part in parts)
    a, b = (torch.tensor(v, dtype=torch.float64)[:, None] for v in (ALPHAS, BETAS))
    found = z[:, None, None] + (a * zd[:, None])[:, :, None] + (b * ze[:, None])[:, None]
    return (
        found.logsumexp(3)
        - found.gather(3, y[:, None, None, None].expand(*found.shape[:3], 1))[..., 0]
    )


# 1: plain; 8: beyond products of four; 60: beyond single precision; 2000: beyond double
@pytest.mark.parametrize("scale", [1.0, 8.0, 60.0, 2000.0])
def test_logits_however_large_neither_overflow_nor_vanish(scale: float) -> None:
    parts, y = logits(scale), torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])
    wanted = exactly(parts, y)
    way: Any = Factorised(*parts)
    each = way.losses(y, ALPHAS, BETAS, each=True)
    torch.testing.assert_close(each, wanted, rtol=1e-9, atol=1e-9)
    total = way.losses(y, ALPHAS, BETAS, each=False)
    torch.testing.assert_close(total, wanted.sum(0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 3, 7, 8])
def test_any_number_of_rows_is_summed(rows: int) -> None:
    parts, y = logits(1.0, rows), torch.arange(rows) % 5
    total = Factorised(*parts).losses(y, ALPHAS, BETAS, each=False)
    torch.testing.assert_close(total, exactly(parts, y).sum(0), rtol=1e-5, atol=1e-5)


def test_the_centre_of_a_confident_network_is_not_rounded_away() -> None:
    """A loss of e^-12 beside logits of 40: differences to the label's logit keep it."""
    z = torch.tensor([[52.0, 40.0, 0.0, 0.0, 0.0]])
    flat = torch.zeros(1, 5)
    found = Factorised(z, flat, flat).losses(torch.tensor([0]), [0.0], [0.0], each=True)
    assert found.item() == pytest.approx(6.1442e-06, rel=1e-4)


def test_half_precision_is_near_and_only_when_asked() -> None:
    model, x = CASES["mapped"]
    plane, _ = plane_of(model.initialise(Seed(0)))
    fine = surface(plane, x, LABELS, ALPHAS, BETAS).losses
    coarse = surface(plane, x, LABELS, ALPHAS, BETAS, precision="bfloat16").losses
    assert not torch.equal(fine, coarse)
    torch.testing.assert_close(fine, coarse, rtol=0.1, atol=0.05)
