"""Loss surfaces by each path, against one plain forward pass for each point."""

import pytest
import torch
from torch.nn import functional as F

from plugins.maths.landscape import calls, cuts, directions, landscapes
from plugins.maths.landscape.cuts import Cut
from plugins.maths.landscape.landscapes import Manner, surface
from plugins.maths.landscape.planes import Plane
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
TARGETS = torch.randn(6, 5, generator=torch.Generator().manual_seed(2))
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


def plainly(
    network: Network, along: dict[str, torch.Tensor], x: torch.Tensor, loss: str = "cross_entropy"
) -> torch.Tensor:
    """Return losses (N, A, B), a module loaded and asked anew for each point."""
    found = torch.zeros(len(x), len(ALPHAS), len(BETAS))
    for i, a in enumerate(ALPHAS):
        for j, b in enumerate(BETAS):
            moved = {n: v + a * along[n][0] + b * along[n][1] for n, v in network.weights.items()
                     if n in along}  # fmt: skip
            module = Network(network.architecture, {**network.weights, **moved}).module()
            with torch.no_grad():
                out = module(x)
            if loss == "mse":
                found[:, i, j] = F.mse_loss(out, TARGETS, reduction="none").mean(1)
            else:
                found[:, i, j] = F.cross_entropy(out, LABELS, reduction="none")
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
def test_squared_losses_are_those_of_a_forward_pass_for_each_point(path: str) -> None:
    model, x = CASES[path]
    network = model.initialise(Seed(0))
    plane, along = plane_of(network)
    wanted = plainly(network, along, x, "mse")
    for general in (False, True):
        manner = Manner("mse", general)
        each = surface(plane, x, TARGETS, ALPHAS, BETAS, manner=manner, each=True)
        torch.testing.assert_close(each.losses.float(), wanted, rtol=1e-5, atol=1e-5)
        mean = surface(plane, x, TARGETS, ALPHAS, BETAS, manner=manner)
        torch.testing.assert_close(mean.losses.float(), wanted.mean(0), rtol=1e-5, atol=1e-5)
        if path == "factorised":
            assert each.path == ("mapped" if general else "quadratic")


@pytest.mark.parametrize("path", CASES)
def test_the_general_path_agrees_with_the_quick_one(path: str) -> None:
    model, x = CASES[path]
    plane, _ = plane_of(model.initialise(Seed(0)))
    quick = surface(plane, x, LABELS, ALPHAS, BETAS, each=True).losses
    general = surface(plane, x, LABELS, ALPHAS, BETAS, each=True, manner=Manner(general=True))
    assert general.path in ("mapped", "stacked")
    torch.testing.assert_close(quick, general.losses, rtol=0, atol=1e-5)


@pytest.mark.parametrize("path", CASES)
def test_a_row_does_not_depend_on_those_beside_it(path: str) -> None:
    model, x = CASES[path]
    plane, _ = plane_of(model.initialise(Seed(0)))
    together = surface(plane, x, LABELS, ALPHAS, BETAS, each=True).losses
    alone = surface(plane, x[2:3], LABELS[2:3], ALPHAS, BETAS, each=True).losses
    torch.testing.assert_close(together[2:3], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("rows", "points"), [(6, 170), (120, 8), (300, 1), (1200, 1)])
def test_few_points_are_computed_one_by_one(rows: int, points: int) -> None:
    plane, _ = plane_of(CASES["affine first layer"][0].initialise(Seed(0)))
    x = PICTURES.repeat(rows // len(PICTURES), 1, 1, 1)
    cut = Cut.of(plane, x)
    assert cut is not None
    assert cuts.AffineFirst(cut, x, 256).points == points


@pytest.mark.parametrize("path", CASES)
def test_chunks_of_rows_and_points_change_nothing(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = CASES[path]
    plane, _ = plane_of(model.initialise(Seed(0)))
    whole = surface(plane, x, LABELS, ALPHAS, BETAS).losses
    monkeypatch.setattr(landscapes, "ROWS", 4)
    for module in (calls, cuts):
        monkeypatch.setattr(module, "TOGETHER", 8)
    monkeypatch.setattr(calls, "NARROW", 200)  # 2 rows of the residual network, 8 of the rest
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
    cut = Cut.of(Plane(module, layout, flat, torch.stack([flat, flat]), {}), PICTURES)
    assert cut is None


def test_directions_of_another_network_are_refused() -> None:
    one = Linear(inputs=36, outputs=5).initialise(Seed(0))
    _, along = plane_of(Linear(inputs=36, outputs=4).initialise(Seed(0)))
    with pytest.raises(ValueError, match="not those of this network"):
        Plane.of(one, along)


def test_progress_rises_to_the_number_of_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landscapes, "ROWS", 4)
    for model, x in CASES.values():
        plane, _ = plane_of(model.initialise(Seed(0)))
        told: list[tuple[float, float, str]] = []
        surface(plane, x, LABELS, ALPHAS, BETAS, watch=lambda *what, t=told: t.append(what))
        done = [one for one, _, _ in told]
        assert done == sorted(done)
        assert told[-1] == (pytest.approx(12), 12, "point")


def test_half_precision_is_near_and_only_when_asked() -> None:
    model, x = CASES["mapped"]
    plane, _ = plane_of(model.initialise(Seed(0)))
    fine = surface(plane, x, LABELS, ALPHAS, BETAS).losses
    coarse = surface(plane, x, LABELS, ALPHAS, BETAS, manner=Manner(precision="bfloat16")).losses
    assert not torch.equal(fine, coarse)
    torch.testing.assert_close(fine, coarse, rtol=0.1, atol=0.05)
