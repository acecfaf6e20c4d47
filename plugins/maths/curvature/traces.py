"""Traces of an operator known by its products, whole and tensor by tensor, with standard errors.

Shapes: d parameters, n samples, k vectors of the sketch, L tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from plugins.maths.curvature.pairs import Operator, Watch
from runner.types import Seed, print_nothing


@dataclass(frozen=True)
class Traces:
    """A known part of the trace and samples whose mean is the rest, for each tensor (L)."""

    known: Tensor  # (L,) float64; zero for Hutchinson
    samples: Tensor  # (n, L) float64; independent, equally distributed
    products: int

    @property
    def totals(self) -> Tensor:
        """Estimates of the whole trace, one for each sample, (n,)."""
        return self.known.sum() + self.samples.sum(1)

    def layers(self) -> tuple[Tensor, Tensor]:
        """Return each tensor's trace and its standard error, (L,) each."""
        return self.known + self.samples.mean(0), standard_error(self.samples)


def standard_error(samples: Tensor) -> Tensor:
    """Return the standard error of the mean along axis 0; nan for a single sample."""
    if len(samples) < 2:
        return torch.full(samples.shape[1:], torch.nan, dtype=samples.dtype)
    return samples.std(0) / len(samples) ** 0.5


def signs(operator: Operator, seed: Seed, *stream: str | int) -> Tensor:
    """Return a vector of random signs, (d,); every device draws the same."""
    generator = seed.torch(*stream)
    found = torch.randint(0, 2, (operator.size,), generator=generator, dtype=torch.int8)
    return (2 * found - 1).to(operator.device, operator.dtype)


def hutchinson(
    operator: Operator,
    sizes: Sequence[int],
    seed: Seed,
    *,
    samples: int,
    known: Tensor | None = None,
    watch: Watch = print_nothing,
) -> Traces:
    """Return traces by z'Hz over random signs z; a tensor's part is z_l'(Hz)_l.

    `sizes` are the entries of each tensor, in order. The part of the trace along the orthonormal
    vectors `known` (k, d) is computed exactly, and samples are projected away from them.
    """
    before, exact = operator.products, torch.zeros(len(sizes), dtype=torch.float64)
    total = samples + (0 if known is None else len(known))
    for vector in () if known is None else known:
        exact += blocks(vector, operator(vector), sizes)
        watch(operator.products - before, total, "product")
    rows = []
    for number in range(samples):
        z = signs(operator, seed, "trace", number)
        if known is not None:
            z = z - (known @ z) @ known
        rows.append(blocks(z, operator(z), sizes))
        watch(operator.products - before, total, "product")
    return Traces(exact, torch.stack(rows), operator.products - before)


def hutchpp(
    operator: Operator,
    sizes: Sequence[int],
    seed: Seed,
    *,
    samples: int,
    sketch: int,
    watch: Watch = print_nothing,
) -> Traces:
    """Return traces exact on the span of a sketch of H, by samples outside of it (Hutch++).

    With orthonormal Q from H times random signs, tr(E H) = tr(E H Q Q') + tr(E H (1 - Q Q')) for
    the projection E on a tensor's entries; the second part has the mean of (Pz)_l'(HPz)_l, P being
    1 - QQ'. Where few eigenvalues are large, it is small, and so is its standard error.
    """
    before = operator.products
    found = torch.stack(
        [operator(signs(operator, seed, "sketch", number)) for number in range(sketch)]
    )
    basis = torch.linalg.qr(found.T)[0].T.contiguous()
    traces = hutchinson(operator, sizes, seed, samples=samples, known=basis, watch=watch)
    return Traces(traces.known, traces.samples, operator.products - before)


def blocks(left: Tensor, right: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return the inner product of two vectors (d,) over each tensor, (L,) float64 on the CPU."""
    parts = (left.double() * right.double()).split(list(sizes))
    return torch.stack([part.sum() for part in parts]).cpu()
