"""Loss surfaces over a plane of parameters: of a data set, or of single samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from runner.errors import RunnerError
from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Arrays, Circumstance, Network, Seed, Split, Table


@dataclass(frozen=True)
class Landscape:
    """A surface, and what lies at its centre."""

    surface: Table  # one row for each point
    centre: Table  # one row


class LandscapeProbe(Probe):
    """Compute the loss at network + alpha * direction 1 + beta * direction 2 over a grid.

    The mean over all rows of the data, or, with `samples`, the loss of the row of rank `rank` among
    rows drawn without replacement; the draw depends on the seed alone, never on the directions,
    and fewer samples are the first of more. The loss is the cross-entropy in nats, logsumexp less
    the label's logit, or the mean squared difference. Networks linear in their parameters are
    computed exactly by a factorised sum or a quadratic form, those whose first layer is linear with
    its products made once, all others point by point, without gradients, batch norm in evaluation
    mode. `centre_error` compares the surface's value at the network itself with a plain forward
    pass and torch's own loss.

    Reads:  parameters of `model`; directions as the probe `directions` gives them; data.x, data.y.
    Raises: RunnerError when the directions belong to another network, the data has fewer rows than
            samples are drawn, or the targets do not suit the loss.
    Source: Li et al., Visualizing the Loss Landscape of Neural Nets, NeurIPS 2018; the factorised
            sum is ours.
    """

    varies: ClassVar[tuple[str, ...]] = ("rank",)
    columns: ClassVar[dict[str, str]] = {
        "alpha": "coordinate along direction 1",
        "beta": "coordinate along direction 2",
        "loss": "cross-entropy, nats; or mean squared difference, unit of the targets squared",
        "index": "centre: row of the data; -1 for all rows",
        "label": "centre: the sample's class; -1 for all rows and without classes",
        "prediction": "centre: class with the largest logit; -1 for all rows and without classes",
        "probability": "centre: of the true label; for all rows its mean; nan without classes",
        "accuracy": "centre: share of rows predicted right; nan without classes",
        "centre_loss": "centre: the surface's value at the network, unit of loss",
        "direct_loss": "centre: the same by a forward pass and torch's loss, unit of loss",
        "centre_error": "centre: |centre_loss - direct_loss|, unit of loss",
        "least_loss": "centre: least value on the surface, unit of loss",
        "greatest_loss": "centre: largest value on the surface, unit of loss",
        "rows": "centre: rows of data that the loss is a mean over",
        "resolution": "centre: points along direction 1",
        "ranges": "centre: ends of the grid along both directions",
        "computed": "centre: factorised, quadratic, affine first layer, stacked or mapped",
        "drawn_with": "centre: the seed that samples were drawn with",
        "shown": "centre: which data this is",
    }

    loss: Literal["cross_entropy", "mse"] = Field(
        "cross_entropy", description="nats for integer classes, or mean squared difference"
    )
    dimensions: Literal[1, 2] = Field(
        2, description="a grid, or only the lines along each direction through the network"
    )
    alpha: tuple[Real, Real] = Field((-1.0, 1.0), description="range along direction 1")
    beta: tuple[Real, Real] = Field((-1.0, 1.0), description="range along direction 2")
    points: int = Field(51, ge=2, description="points along each direction, both ends included")
    samples: int | None = Field(
        None, ge=1, description="rows drawn, one for each rank; none: the mean over all rows"
    )
    rank: int = Field(0, ge=0, description="which of the drawn rows, from 0")
    method: Literal["auto", "general"] = Field(
        "auto", description="the quickest exact way, or one call of the network for each point"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of matrix products; bfloat16 is quicker and some percent off"
    )
    memory: int = Field(256, ge=1, description="MiB for what is computed at once; memory alone")

    def check_parameters(self) -> str | None:
        for name, (low, high) in (("alpha", self.alpha), ("beta", self.beta)):
            if low >= high:
                return f"{name} = {[low, high]} must rise from its first end to its second"
        if self.rank >= (self.samples or 1):
            return f"rank = {self.rank} must lie below samples = {self.samples or 'none'}"
        return None

    def batch_size(self) -> int:
        return 256

    def work(self) -> float:
        return float(self.points**self.dimensions)

    def run(
        self, model: Network, directions: Arrays, data: Split, seed: Seed, here: Circumstance
    ) -> Landscape:
        return next(self.run_batch([self], model, directions, data, seed, here))

    @classmethod
    def run_batch(  # noqa: PLR0917  # ports are arguments
        cls,
        nodes: Sequence[LandscapeProbe],
        model: Network,
        directions: Arrays,
        data: Split,
        seed: Seed,
        here: Circumstance,
    ) -> Iterator[Landscape]:
        """Yield the landscape of each node: the samples of one network are computed at once."""
        from plugins.maths.landscape.sampled import landscapes

        one = nodes[0]
        if one.samples is not None and one.samples > len(data):
            raise RunnerError(
                f"landscape: {one.samples} samples of {len(data)} rows; draw fewer of them"
            )
        ranks = [node.rank for node in nodes]
        try:
            for surface, centre in landscapes(
                one, ranks, model=model, directions=directions, data=data, seed=seed, here=here
            ):
                yield Landscape(Table(surface), Table(centre))
        except ValueError as error:
            raise RunnerError(f"landscape: {error}") from error
