"""The directions along which a loss landscape is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from runner.errors import RunnerError
from runner.plugin import Probe
from runner.types import Arrays, Network, Seed, Table, Trained

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Plane:
    """Two directions at a network, what is known of them, and where checkpoints lie."""

    directions: Arrays  # each parameter's name -> (2, *its shape), in its own precision
    table: Table  # one row for each direction
    trajectory: Table  # one row for each checkpoint of `trained`


class Directions(Probe):
    """Draw or derive two directions in parameter space: a plane through `model`.

    `random`: normal entries, each filter (row of a linear layer, output filter of a convolution)
    scaled to the norm of the network's own; biases and the parameters of norm layers stay out.
    Gram-Schmidt makes the second orthogonal to the first, over all parameters or filter by filter;
    as a whole it moves the filters' norms, so that they are normalised again, which leaves a cosine
    of some 1e-5; filter by filter both hold exactly. `between`: from `model` to `towards`, and to
    `second` where that is given, else a random direction as above, orthogonal to the way to
    `towards`; at 1 lies the other network, biases and all. `trajectory`: the principal components
    of the checkpoints of `trained` about `model`, each as long as the farthest checkpoint along it.

    Reads:  parameters of the networks; checkpoints of `trained`, for the trajectory in any plane.
    Raises: RunnerError when a port is missing that `kind` needs, or given that it does not, when
            networks differ in architecture, or what is given spans no plane.
    Source: Li et al., Visualizing the Loss Landscape of Neural Nets, NeurIPS 2018.
    """

    columns: ClassVar[dict[str, str]] = {
        "direction": "1 or 2",
        "kind": "how the direction was made",
        "gram_schmidt": "what made the random direction orthogonal: global, per_filter or none",
        "renormalised": "whether its filters were normalised again after Gram-Schmidt",
        "norm": "length over all parameters (unit of the weights)",
        "cosine": "cosine between the two directions",
        "filter_cosine": "largest |cosine| between filters of the two directions",
        "filter_drift": "largest relative deviation of a filter's norm from the network's",
        "explained": "share of the checkpoints' squared distance along it (trajectory), else nan",
        "direction_seed": "the seed that random entries were drawn from",
        "step": "trajectory: optimizer steps of the checkpoint",
        "alpha": "trajectory: coordinate along direction 1",
        "beta": "trajectory: coordinate along direction 2",
        "distance": "trajectory: distance from the plane (unit of the weights)",
    }

    kind: Literal["random", "between", "trajectory"] = Field(
        "random", description="what the directions are made of"
    )
    gram_schmidt: Literal["global", "per_filter", "none"] = Field(
        "global", description="orthogonal over all parameters, filter by filter, or not at all"
    )
    renormalise: bool = Field(
        True, description="normalise filters again after Gram-Schmidt; false shows the drift"
    )

    def run(
        self,
        model: Network,
        seed: Seed,
        towards: Network | None = None,
        second: Network | None = None,
        trained: Trained | None = None,
    ) -> Plane:
        from plugins.maths.landscape import directions as maths

        self._check_ports(model, towards, second, trained)
        weights = maths.parameters_of(model)
        explained = [float("nan")] * 2
        try:
            steps = {
                step: maths.difference(network, model)
                for step, network in sorted(trained.checkpoints.items() if trained else ())
            }
            if self.kind == "trajectory":
                pair, explained = maths.principal(list(steps.values()))
            elif towards is not None and second is not None:
                pair = [maths.difference(one, model) for one in (towards, second)]
            else:
                first = maths.difference(towards, model) if towards else None
                pair = maths.random_pair(
                    weights, seed, self.gram_schmidt, renormalise=self.renormalise, first=first
                )
            maths.check_plane(pair)
        except ValueError as error:
            raise RunnerError(f"directions: {error}") from error
        kinds = [self.kind, self.kind if self.kind == "trajectory" or second else "random"]
        random = kinds[1] == "random"
        rows = [
            (
                k + 1, kinds[k], self.gram_schmidt if random else "none",
                random and self.gram_schmidt != "none" and self.renormalise,
                maths.inner(one, one) ** 0.5, maths.cosine(*pair), maths.filter_cosine(*pair),
                maths.filter_drift(one, weights), explained[k], int(seed),
            )
            for k, one in enumerate(pair)
        ]  # fmt: skip
        placed = {step: maths.coordinates(one, pair) for step, one in steps.items()}
        path = [(step, *at, away) for step, (at, away) in placed.items()]
        names = list(self.columns)
        return Plane(stored(pair, model), _table(names[:10], rows), _table(names[10:], path))

    def _check_ports(
        self,
        model: Network,
        towards: Network | None,
        second: Network | None,
        trained: Trained | None,
    ) -> None:
        if (self.kind == "between") != (towards is not None):
            raise RunnerError("directions: kind = 'between' and the port `towards` need each other")
        if second is not None and towards is None:
            raise RunnerError("directions: the port `second` goes with `towards`")
        if self.kind == "trajectory" and trained is None:
            raise RunnerError("directions: kind = 'trajectory' needs trained = '@trainer'")
        if trained is not None and trained.last.architecture != model.architecture:
            raise RunnerError("directions: `trained` has networks of another architecture")


def stored(pair: Sequence[Mapping[str, Tensor]], model: Network) -> Arrays:
    """Return two directions as arrays, each parameter's in its own precision."""
    import torch

    found = {
        name: torch.stack([one[name] for one in pair]).to(model.weights[name].dtype).numpy()
        for name in pair[0]
    }
    dimensions = {
        name: ("direction", *(f"axis{i}" for i in range(value.ndim - 1)))
        for name, value in found.items()
    }
    return Arrays(found, dimensions)


def _table(names: list[str], rows: list[tuple[object, ...]]) -> Table:
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return Table({name: list(column) for name, column in zip(names, columns, strict=True)})
