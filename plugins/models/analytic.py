"""Networks whose learning coefficient is known: deep linear networks and monomials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from runner.errors import RunnerError
from runner.parameters import Real
from runner.plugin import Model
from runner.types import Network, Split

if TYPE_CHECKING:
    from plugins.maths.networks.analytic import LinearInInputs


class Analytic(Model):
    """A network f(x) = x M(w): a product of matrices, or monomials of single weights.

    Maps x (B, inputs) to (B, outputs), without biases. With `widths` M is a product of matrices
    (one of them: linear regression, a quadratic form; two: reduced-rank regression). With `powers`
    there is one input, and output o is sqrt(2) prod_j w_j^k_oj: against targets of zero and inputs
    of unit mean square the squared loss is then K(w) = sum_o prod_j w_j^(2 k_oj).

    `origin` shifts each tensor: W - origin stands in the place of W. This moves the minimum and
    changes nothing else; a sampler whose metric is the norm of w* cannot move a tensor that is
    zero there.

    Reads:  nothing but its parameters; `minimum` reads x and y of a split.
    Raises: RunnerError when the data does not fit the shape.
    Source: Watanabe, Algebraic Geometry and Statistical Learning Theory (2009), for the cases.
    """

    widths: tuple[int, ...] = Field((), description="inputs, hidden widths, outputs")
    powers: tuple[tuple[int, ...], ...] = Field(
        (), description="for each output the power of each weight"
    )
    origin: tuple[Real, ...] = Field(
        (), description="what is taken from each tensor, in order; none: zero"
    )

    def check_parameters(self) -> str | None:
        if bool(self.widths) == bool(self.powers):
            return "give either widths or powers"
        if self.widths and (len(self.widths) < 2 or min(self.widths) < 1):
            return f"widths = {list(self.widths)} must be two or more, each at least 1"
        lengths = {len(row) for row in self.powers}
        if self.powers and (len(lengths) > 1 or 0 in lengths):
            return "every row of powers needs one number for each weight"
        if any(power < 0 for row in self.powers for power in row):
            return "powers must be 0 or more"
        if self.origin and len(self.origin) != self.tensors:
            return f"origin needs {self.tensors} numbers, one for each tensor"
        return None

    @property
    def tensors(self) -> int:
        """Number of weight tensors: layers, or single weights."""
        return len(self.widths) - 1 if self.widths else len(self.powers[0])

    @property
    def shifts(self) -> tuple[float, ...]:
        """The origin of each tensor."""
        return self.origin or (0.0,) * self.tensors

    def build(self) -> LinearInInputs:
        """Return the module with freshly drawn weights."""
        from plugins.maths.networks.analytic import MatrixProduct, Monomials

        if self.widths:
            return MatrixProduct(self.widths, self.shifts)
        return Monomials(self.powers, self.shifts)

    def minimum(self, data: Split) -> Network:
        """Return the network at its most singular minimum of the squared loss, in fp64."""
        import torch

        from plugins.maths.networks.analytic import balanced_factors

        x, y = (torch.as_tensor(data[name]) for name in "xy")
        ends = (self.widths[0], self.widths[-1]) if self.widths else (1, len(self.powers))
        if (x.shape[1], y.shape[1]) != ends:
            raise RunnerError(
                f"analytic: data of {x.shape[1]} inputs and {y.shape[1]} outputs "
                f"for a network of {ends[0]} and {ends[1]}"
            )
        if self.widths:
            parts = balanced_factors(x, y, self.widths)
        elif y.any():
            raise RunnerError("analytic: monomials are placed at zero, which needs targets of zero")
        else:
            parts = [torch.zeros((), dtype=torch.float64)] * self.tensors
        moved = zip(parts, self.shifts, strict=True)
        return Network(self, {f"tensors.{at}": w + here for at, (w, here) in enumerate(moved)})
