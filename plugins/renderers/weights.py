"""A network's weights as a file for other programs."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.plugin import Renderer
from runner.types import Files, Network


class Weights(Renderer):
    """Write a network's tensors as a state dict: .pth and .pt by torch.save, or .safetensors.

    Files of torch.save are pickles: read them with `torch.load(path, weights_only=True)`.

    Reads:  model, its weights and buffers.
    Raises: ValueError for another suffix, or two tensors that would share a name.
    Source: none.
    """

    writes: ClassVar[tuple[str, ...]] = (".safetensors", ".pth", ".pt")

    rename: dict[str, str] = Field(
        {}, description="beginning of a tensor's name -> what stands there in the file"
    )
    buffers: bool = Field(True, description="whether buffers (a sharpness) are written too")

    def run(self, model: Network) -> Files:
        from plugins.maths.files.state_files import dumped

        weights = dict(model.weights)
        if not self.buffers:
            own = {name for name, _ in model.module().named_buffers()}
            weights = {name: value for name, value in weights.items() if name not in own}
        return Files({suffix: dumped(weights, self.rename, suffix) for suffix in self.suffixes()})
