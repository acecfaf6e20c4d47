"""A linear layer alone: softmax regression once it is trained on classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from plugins.maths.networks.sizes import read_off
from runner.errors import RunnerError
from runner.plugin import Model
from runner.types import Dataset

if TYPE_CHECKING:
    from plugins.maths.networks.perceptron import Perceptron


class Linear(Model):
    """One affine map of the flattened row, x (B, ...) to (B, outputs); no activation.

    Reads:  data.about `inputs`, and `outputs` or `classes`, for sizes left open.
    Raises: RunnerError when a size is neither given nor known from the data.
    Source: the definition; initial weights as in torch.nn.Linear.
    """

    bias: bool = Field(True, description="the layer has a bias")
    inputs: int | None = Field(
        None, ge=1, description="entries of a row; default data.about['inputs']"
    )
    outputs: int | None = Field(
        None, ge=1, description="outputs; default data.about['outputs'], else its 'classes'"
    )

    def shaped_for(self, data: Dataset) -> Linear:
        """Return the architecture with inputs and outputs read off `data.about`."""
        return read_off(self, data, inputs="inputs", outputs=("outputs", "classes"))

    def build(self) -> Perceptron:
        """Return the module with freshly drawn weights."""
        from plugins.maths.networks.perceptron import Perceptron

        if self.inputs is None or self.outputs is None:
            raise RunnerError(
                "linear: inputs or outputs still open; set them or call shaped_for(data)"
            )
        return Perceptron((self.inputs, self.outputs), "identity", 1.0, self.bias)
