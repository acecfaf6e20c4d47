"""What the probes of curvature have in common: which loss, on which rows, in what precision."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runner.plugin import Probe


class CurvatureProbe(Probe):
    """Base of probes that multiply with the Hessian; it has no `run` of its own."""

    operator: Literal["hessian", "ggn"] = Field(
        "hessian", description="second derivative, or its generalised Gauss-Newton part J'HJ"
    )
    loss: Literal["cross_entropy", "mse"] = Field(
        "cross_entropy",
        description="whose mean over the rows is differentiated; nats, or y's unit^2",
    )
    rows: int | None = Field(
        None, ge=1, description="rows of data drawn by the seed, the same for all snapshots; all"
    )
    fresh: bool = Field(
        False, description="other rows for each snapshot: mixes the noise of sampling in"
    )
    precision: Literal["float32", "float64"] = Field("float32", description="of all products")
    chunk: int = Field(64, ge=1, description="rows in one pass; for memory, and order of sums")
    memory: int = Field(2048, ge=0, description="MiB of graphs kept between products; speed alone")
