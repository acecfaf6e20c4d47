"""Rescaling of a network's weights that leaves its function as it is."""

from __future__ import annotations

from pydantic import Field

from runner.errors import RunnerError
from runner.parameters import Real
from runner.plugin import Perturbation
from runner.types import Network


class Rescale(Perturbation):
    """Multiply weights by powers of alpha and beta that cancel in the network's output.

    The architecture states the powers through its method `rescalings(scale_eps)`. In a
    pre-LayerNorm decoder alpha multiplies what writes to the residual stream and beta the way
    into each feed-forward layer. Exact in real numbers for relu; in floating point exact at
    powers of two. With gelu, or with `scale_eps = false`, the function changes.

    Reads:  the weights of `model`; its architecture's `rescalings`.
    Raises: RunnerError when the architecture states no rescalings.
    Source: positive homogeneity of relu; Dinh et al., ICML 2017, for its use on flatness.
    """

    persist = False

    alpha: Real = Field(1.0, gt=0, description="factor on every writer to the residual stream")
    beta: Real = Field(
        1.0, gt=0, description="factor into, and divisor out of, feed-forward layers"
    )
    scale_eps: bool = Field(
        True, description="scale the constants inside LayerNorm by alpha^2, which exactness needs"
    )

    def run(self, model: Network) -> Network:
        architecture = model.architecture
        rescalings = getattr(architecture, "rescalings", None)
        if rescalings is None:
            raise RunnerError(
                f"rescale: {type(architecture).__name__} states no rescalings; "
                "use a model that has them (transformer), or give it a method rescalings()"
            )
        powers = rescalings(self.scale_eps)
        weights = {
            name: value * (self.alpha ** powers[name][0] * self.beta ** powers[name][1])
            if name in powers
            else value
            for name, value in model.weights.items()
        }
        return Network(architecture, weights)
