"""A linear layer."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runner.plugin import Model


class Line(Model):
    """One linear layer from one number to `width` numbers.

    Reads: nothing. Raises: nothing. Source: the definition.
    """

    width: int = Field(1, ge=1, description="outputs")

    def build(self) -> Any:
        import torch

        return torch.nn.Linear(1, self.width)
