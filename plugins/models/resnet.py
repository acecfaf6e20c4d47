"""Residual networks for small images: ResNet20 and its like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from runner.errors import RunnerError
from runner.plugin import Model
from runner.types import Dataset

if TYPE_CHECKING:
    from plugins.maths.networks.resnet import ResidualNetwork


class Resnet(Model):
    """The residual network for CIFAR: three stages of blocks, 6 blocks + 2 layers deep.

    Maps images x (B, channels, h, w) to logits (B, outputs). Depth 20 at width 16 has 272,474
    parameters with shortcuts B (1 x 1 convolutions) and 269,722 with A (zeros for the new
    channels), for three channels and ten classes. Weights are drawn as He et al. draw them. Names
    of tensors are those of the published ResNet20 files, less a prefix `module.`.

    Reads:  data.about `shape` (channels first) and `classes`, for sizes left open.
    Raises: RunnerError when a size is neither given nor known from the data.
    Source: He et al., Deep Residual Learning for Image Recognition, CVPR 2016, section 4.2.
    """

    depth: int = Field(20, ge=8, description="layers with weights: 6 n + 2 (20, 32, 44, 56, 110)")
    width: int = Field(16, ge=1, description="channels of the first stage; the others have 2x, 4x")
    shortcut: Literal["A", "B"] = Field(
        "B", description="where channels grow: zeros (A) or a 1 x 1 convolution (B)"
    )
    channels: int | None = Field(
        None, ge=1, description="of the images; default data.about['shape'][0]"
    )
    outputs: int | None = Field(
        None, ge=1, description="number of logits; default data.about['classes']"
    )

    def check_parameters(self) -> str | None:
        if self.depth % 6 != 2:
            return f"depth = {self.depth} must be 6 n + 2, such as 20, 32 or 56"
        return None

    def shaped_for(self, data: Dataset) -> Resnet:
        """Return the architecture with channels and outputs read off `data.about`."""
        found = {}
        if self.channels is None and len(data.about.get("shape", ())) == 3:
            found["channels"] = data.about["shape"][0]
        if self.outputs is None and "classes" in data.about:
            found["outputs"] = data.about["classes"]
        return type(self).model_validate({**self.model_dump(), **found})

    def build(self) -> ResidualNetwork:
        """Return the module with freshly drawn weights."""
        from plugins.maths.networks.resnet import ResidualNetwork

        sizes = {"channels": self.channels, "outputs": self.outputs}
        if missing := [name for name, value in sizes.items() if value is None]:
            raise RunnerError(
                f"resnet: {', '.join(missing)} still open; set them or give data whose `about` "
                "states shape and classes"
            )
        blocks = (self.depth - 2) // 6
        return ResidualNetwork(
            blocks, self.width, self.channels or 0, self.outputs or 0, self.shortcut
        )
