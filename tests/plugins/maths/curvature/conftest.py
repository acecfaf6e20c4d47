"""Small networks whose whole Hessian can be written out, and operators that are matrices."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian, hvp
from torch.func import functional_call, jacrev
from torch.nn import functional as F

from plugins.maths.curvature.operators import exact
from plugins.models.mlp import Mlp
from plugins.models.resnet import Resnet
from plugins.models.transformer import Transformer
from runner.types import Seed


class Matrix:
    """A symmetric matrix that is asked for products alone."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix, self.size, self.products = matrix, len(matrix), 0
        self.dtype, self.device = matrix.dtype, matrix.device

    def __call__(self, vectors: Tensor) -> Tensor:
        self.products += len(vectors) if vectors.ndim == 2 else 1
        return vectors @ self.matrix


@dataclass
class World:
    """A network in double precision with rows, and its whole matrices by another way."""

    module: nn.Module
    x: Tensor
    y: Tensor
    loss: str
    name: str

    def mean_loss(self, weights: dict[str, Tensor]) -> Tensor:
        outputs = functional_call(self.module, weights, (self.x,))
        return F.cross_entropy(outputs, self.y) if self.loss == "cross_entropy" else F.mse_loss(
            outputs, self.y
        )  # fmt: skip

    def loss_at(self, flat: Tensor) -> Tensor:
        parts = zip(self.weights.items(), flat.split(self.sizes), strict=True)
        return self.mean_loss({name: part.view(old.shape) for (name, old), part in parts})

    @property
    def flat(self) -> Tensor:
        return torch.cat([value.reshape(-1) for value in self.weights.values()])

    @property
    def sizes(self) -> list[int]:
        return [value.numel() for value in self.weights.values()]

    @property
    def weights(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self.module.named_parameters()}

    def hessian(self) -> Tensor:
        return dense(self.name, "hessian")

    def gauss_newton(self) -> Tensor:
        return dense(self.name, "gauss_newton")

    def dense_hessian(self) -> Tensor:
        """Row by row: torch.func's nested derivatives of attention are not those of its loss."""
        with exact(self.x.device):
            return hessian(self.loss_at, self.flat)

    def hessian_along(self, vector: Tensor) -> Tensor:
        """Return a product of the Hessian that is not written out."""
        with exact(self.x.device):
            return hvp(self.loss_at, self.flat, vector)[1]

    def dense_gauss_newton(self) -> Tensor:
        def outputs(weights: dict[str, Tensor]) -> Tensor:
            return functional_call(self.module, weights, (self.x,))

        parts = jacrev(outputs)(self.weights)
        slopes = torch.cat([part.flatten(2) for part in parts.values()], 2)  # (N, C, d)
        found = outputs(self.weights).detach()
        if self.loss == "mse":
            return 2 / found.numel() * torch.einsum("ncd,nce->de", slopes, slopes)
        likely = found.softmax(1)
        inner = torch.diag_embed(likely) - likely[:, :, None] * likely[:, None]
        return torch.einsum("ncd,nck,nke->de", slopes, inner, slopes) / len(found)


@functools.cache
def dense(name: str, kind: str) -> Tensor:
    """Return a matrix of a world as it was made: written out once for all tests."""
    found: Tensor = getattr(WORLDS[name](), f"dense_{kind}")()
    return found


def perceptron() -> World:
    """51 parameters, five rows of which are hard to tell apart."""
    g = torch.Generator().manual_seed(1)
    module = Mlp(hidden=(6,), activation="tanh", inputs=4, outputs=3).initialise(Seed(3)).module()
    x = torch.randn(20, 4, generator=g, dtype=torch.float64)
    return World(
        module.double(), x, torch.randint(0, 3, (20,), generator=g), "cross_entropy", "perceptron"
    )


def regression() -> World:
    """The same, with real targets."""
    one = perceptron()
    y = torch.randn(20, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return World(one.module, one.x, y, "mse", "regression")


def convolutions() -> World:
    """A small residual network whose batch norms have statistics of their own."""
    g = torch.Generator().manual_seed(4)
    network = Resnet(depth=8, width=1, channels=1, outputs=3).initialise(Seed(5))
    module = network.module().double()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for value in (part.running_mean, part.weight.data, part.bias.data):
                value.add_(0.3 * torch.randn(value.shape, generator=g))
            part.running_var.add_(torch.rand(part.running_var.shape, generator=g))
    x = torch.randn(6, 1, 8, 8, generator=g, dtype=torch.float64)
    return World(module, x, torch.randint(0, 3, (6,), generator=g), "cross_entropy", "convolutions")


def attention() -> World:
    """A small transformer."""
    g = torch.Generator().manual_seed(6)
    model = Transformer(layers=1, heads=2, width=4, hidden=4, vocabulary=5, length=3, outputs=5)
    module = model.initialise(Seed(7)).module().double()
    x = torch.randint(0, 5, (10, 3), generator=g)
    return World(module, x, torch.randint(0, 5, (10,), generator=g), "cross_entropy", "attention")


WORLDS: dict[str, Callable[[], World]] = {
    f.__name__: f for f in (perceptron, regression, convolutions, attention)
}


SLOW = {"convolutions": [pytest.mark.slow]}  # a product takes ten times that of the others


@pytest.fixture(params=[pytest.param(name, marks=SLOW.get(name, [])) for name in WORLDS])
def world(request: pytest.FixtureRequest) -> World:
    """Return each small network."""
    return WORLDS[request.param]()


@pytest.fixture
def small() -> World:
    """Return the smallest network."""
    return perceptron()


@pytest.fixture
def residual() -> World:
    """Return the network with batch norm."""
    return convolutions()


@pytest.fixture
def as_operator() -> type[Matrix]:
    """Return the class of operators that are matrices."""
    return Matrix


@pytest.fixture
def with_spectrum() -> Callable[[Tensor, int], Matrix]:
    """Return what makes an operator with given eigenvalues and random vectors."""

    def make(values: Tensor, seed: int = 0) -> Matrix:
        g = torch.Generator().manual_seed(seed)
        square = torch.randn(len(values), len(values), generator=g, dtype=values.dtype)
        turn = torch.linalg.qr(square)[0]
        return Matrix((turn * values) @ turn.T)

    return make
