"""A linear layer alone: softmax regression once it is trained on classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from runner.errors import RunnerError
from runner.plugin import Model
from runner.types import Dataset

if TYPE_CHECKING:
    from plugins.maths.perceptron import Perceptron


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
        found = {}
        for size, sources in (("inputs", ("inputs",)), ("outputs", ("outputs", "classes"))):
            if getattr(self, size) is None:
                known = [data.about[name] for name in sources if name in data.about]
                if not known:
                    raise RunnerError(
                        f"linear: {size} is open and the data does not state {sources[0]!r}; "
                        f"set {size} in the model's table"
                    )
                found[size] = known[0]
        return type(self).model_validate({**self.model_dump(), **found})

    def build(self) -> Perceptron:
        """Return the module with freshly drawn weights."""
        from plugins.maths.perceptron import Perceptron

        if self.inputs is None or self.outputs is None:
            raise RunnerError(
                "linear: inputs or outputs still open; set them or call shaped_for(data)"
            )
        return Perceptron((self.inputs, self.outputs), "identity", 1.0, self.bias)
