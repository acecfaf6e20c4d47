"""The learning coefficient of an analytic network, by formula and at finite n, without Langevin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from runner.errors import RunnerError
from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Network, Seed, Split, Table

if TYPE_CHECKING:
    from torch import Tensor

    from plugins.maths.sampling.learning_coefficient import Coefficient
    from plugins.maths.sampling.local_posterior import Finite
    from plugins.models.analytic import Analytic


class LlcTheory(Probe):
    """State lambda by formula, and n*beta E[L(w) - L(w*)] at finite n, of an `analytic` network.

    The expectation is under exp(-n*beta L(w) - sum_t Lambda_t |w_t - w*_t|^2 / 2), L half the mean
    squared error: a closed form for one layer, quadrature for monomials (of data whose x'x / n is
    1), Metropolis-corrected Hamiltonian Monte Carlo for more layers.

    Reads:  model (architecture `analytic`, at its most singular minimum); data.x, data.y.
            Draws stream hamiltonian.
    Raises: RunnerError for another architecture, a network that is not at the stated minimum, or
            monomials of inputs whose mean square is not 1.
    Source: formulas and methods as named in `plugins/maths/sampling/learning_coefficient.py` and
            `plugins/maths/sampling/local_posterior.py`.
    """

    columns: ClassVar[dict[str, str]] = {
        "lambda": "learning coefficient by formula, the limit of large n, dimensionless",
        "multiplicity": "its multiplicity m: the finite value nears lambda like (m - 1) / log n",
        "finite": "n*beta E[L(w) - L(w*)] under the localised posterior, dimensionless",
        "finite_se": "standard error of `finite`; 0 where it is computed to rounding",
        "finite_rhat": "R-hat of the Hamiltonian chains; 1 where there are none",
        "accepted": "share of Hamiltonian proposals accepted; 1 where there are none",
        "n_beta": "n / ln n, or as given",
        "parameters": "number of weights, count",
    }

    localisation: Real = Field(1.0, gt=0, description="strength gamma of the pull to w*")
    localiser: Literal["euclidean", "metric"] = Field(
        "euclidean",
        description="Lambda = gamma, or gamma over the mean square of the tensor at w*",
    )
    n_beta: Real | None = Field(None, gt=0, description="n*beta; default n / ln n")
    chains: int = Field(128, ge=2, description="Hamiltonian chains")
    warm_up: int = Field(100, ge=1, description="draws of each that fit its step, not kept")
    draws: int = Field(200, ge=4, description="kept draws of each")

    def run(self, model: Network, data: Split, seed: Seed) -> Table:
        from plugins.models.analytic import Analytic

        net = model.architecture
        if not isinstance(net, Analytic):
            raise RunnerError(
                f"llc_theory: no formula is known for {type(net).__name__}; use model analytic"
            )
        layers = self.layers(net, model, data)
        known = coefficient(net, layers)
        found = self.finite(net, layers, self.stiffness(model), data, seed)
        row = {
            "lambda": float(known.value),
            "multiplicity": known.multiplicity,
            "finite": found.value,
            "finite_se": found.error,
            "finite_rhat": found.rhat,
            "accepted": found.accepted,
            "n_beta": self.inverse_temperature(data),
            "parameters": sum(layer.numel() for layer in layers),
        }
        return Table({name: [value] for name, value in row.items()})

    @staticmethod
    def layers(net: Analytic, model: Network, data: Split) -> list[Tensor]:
        """Return the tensors of the network less their origins, after a look at where it stands."""
        import torch

        wanted = net.minimum(data).weights
        for name, weight in model.weights.items():
            if not torch.allclose(weight.double(), wanted[name], rtol=1e-5, atol=1e-6):
                raise RunnerError(
                    f"llc_theory: {name} is not at the most singular minimum, which the formulas "
                    "are for; place the network with trainer closed_form"
                )
        moved = zip(wanted.values(), net.shifts, strict=True)
        return [weight - here for weight, here in moved]

    def inverse_temperature(self, data: Split) -> float:
        """Return n*beta."""
        return len(data) / math.log(len(data)) if self.n_beta is None else self.n_beta

    def stiffness(self, model: Network) -> list[float]:
        """Return Lambda of each tensor."""
        if self.localiser == "euclidean":
            return [self.localisation] * len(model.weights)
        sizes = [weight.double().square().mean().item() for weight in model.weights.values()]
        return [self.localisation / size for size in sizes]

    def finite(
        self, net: Analytic, layers: list[Tensor], stiffness: list[float], data: Split, seed: Seed
    ) -> Finite:
        """Return the value at finite n."""
        import numpy as np
        import torch

        from plugins.maths.sampling import local_posterior

        x = np.asarray(data["x"], dtype=np.float64)
        moments, n_beta = x.T @ x / len(x), self.inverse_temperature(data)
        if net.powers:
            if abs(moments.item() - 1) > 1e-6:
                raise RunnerError(
                    f"llc_theory: mean square input {moments.item():.4g}, not 1; set whiten = true"
                )
            return local_posterior.monomials(net.powers, stiffness, n_beta)
        if len(layers) == 1:
            outputs = net.widths[-1]
            one = local_posterior.quadratic(moments, np.full(len(moments), stiffness[0]), n_beta)
            return one._replace(value=outputs * one.value)
        return local_posterior.matrix_product(
            layers, torch.from_numpy(moments), stiffness, n_beta, seed,
            chains=self.chains, warm_up=self.warm_up, draws=self.draws,
        )  # fmt: skip


def coefficient(net: Analytic, layers: list[Tensor]) -> Coefficient:
    """Return lambda and its multiplicity at the network's minimum."""
    import torch

    from plugins.maths.networks.analytic import RANK_CUT
    from plugins.maths.sampling.learning_coefficient import deep_linear, monomials

    if net.powers:
        return monomials(net.powers)
    product = layers[0]
    for layer in layers[1:]:
        product = product @ layer
    size = torch.linalg.svdvals(product)
    return deep_linear(net.widths, int((size > RANK_CUT * max(1.0, size[0].item())).sum()))
