"""A fully connected network: regression of functions, small classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from plugins.maths.networks.sizes import read_off
from runner.errors import RunnerError
from runner.parameters import Real
from runner.plugin import Model
from runner.types import Dataset

if TYPE_CHECKING:
    from plugins.maths.networks.perceptron import Perceptron

Activation = Literal["softplus", "relu", "tanh", "gelu", "silu", "sigmoid", "elu", "identity"]


class Mlp(Model):
    """Linear layers with an activation between them, drawn as torch draws linear layers.

    Maps x (B, ...), flattened to (B, inputs), to (B, outputs). softplus is
    log(1 + exp(beta x)) / beta: smooth for small beta, relu in the limit of large beta; beta is a
    buffer of the network (`in_buffers`), so that networks of several beta are computed together.

    Reads:  data.about `inputs`, and `outputs` or `classes`, for sizes left open.
    Raises: RunnerError when a size is neither given nor known from the data.
    Source: the definition; initial weights as in torch.nn.Linear.
    """

    in_buffers: ClassVar[tuple[str, ...]] = ("beta",)

    hidden: tuple[int, ...] = Field((100,), description="width of each hidden layer")
    activation: Activation = Field("softplus", description="between layers")
    beta: Real = Field(1.0, gt=0, description="of softplus alone: sharpness, 1 / unit of its input")
    bias: bool = Field(True, description="layers have biases")
    inputs: int | None = Field(
        None, ge=1, description="entries of a row; default data.about['inputs']"
    )
    outputs: int | None = Field(
        None, ge=1, description="outputs; default data.about['outputs'], else its 'classes'"
    )

    def check_parameters(self) -> str | None:
        if any(width < 1 for width in self.hidden):
            return f"hidden = {list(self.hidden)}: each width must be at least 1"
        if self.activation != "softplus" and self.beta != 1.0:
            return f"beta = {self.beta} has no meaning for {self.activation}; only softplus has it"
        return None

    def shaped_for(self, data: Dataset) -> Mlp:
        """Return the architecture with inputs and outputs read off `data.about`."""
        return read_off(self, data, inputs="inputs", outputs=("outputs", "classes"))

    def build(self) -> Perceptron:
        """Return the module with freshly drawn weights."""
        from plugins.maths.networks.perceptron import Perceptron

        if self.inputs is None or self.outputs is None:
            raise RunnerError("mlp: inputs or outputs open; set them or call shaped_for(data)")
        sizes = (self.inputs, *self.hidden, self.outputs)
        return Perceptron(sizes, self.activation, self.beta, self.bias)
