"""A probe with tables of options, one of them a choice of two."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Table

from ..maths.tally import note

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Inner(BaseModel):
    """The innermost options."""

    model_config = _STRICT

    depth: int = Field(1, ge=1, le=9, description="how deep")
    tolerance: Real = Field(1e-3, gt=0, description="how exact")


class Choice(BaseModel):
    """Options with options."""

    model_config = _STRICT

    method: Literal["exact", "sketch"] = Field("exact", description="which way")
    inner: Inner = Field(Inner(), description="how deep and exact")
    weights: tuple[Real, ...] = Field((1.0,), description="weights")


class Nested(Probe):
    """Return the depth.

    Reads: nothing. Raises: nothing. Source: the definition.
    """

    columns: ClassVar[dict[str, str]] = {"depth": "how deep"}

    choice: Choice = Field(Choice(), description="which way, how deep")

    def run(self) -> Table:
        note("nested")
        return Table({"depth": [self.choice.inner.depth]})
