"""A small pre-LayerNorm decoder, the network of the grokking studies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from plugins.maths.networks.sizes import read_off
from runner.errors import RunnerError
from runner.parameters import Real
from runner.plugin import Model
from runner.types import Dataset

if TYPE_CHECKING:
    from plugins.maths.networks.transformer import Decoder


class Transformer(Model):
    """Decoder with learned positions, causal attention and an untied, bias-free head.

    Maps tokens x, int64 of shape (B, T), to logits of shape (B, outputs) at the last position.
    Pre-LayerNorm, x + W_O attention(LN x) + b_O, then x + W_2 act(W_1 LN x + b_1) + b_2, a final
    LayerNorm, no dropout. The constant inside each LayerNorm is a buffer (`norm.eps`), so that a
    rescaling of the residual stream can rescale it too.

    Reads:  data.about `vocabulary`, `length` and `classes`, for sizes left open.
    Raises: RunnerError when a size is neither given nor known from the data.
    Source: Vaswani et al. 2017; pre-LayerNorm as in Xiong et al. 2020.
    """

    layers: int = Field(2, ge=1, description="number of blocks, attention and feed-forward each")
    heads: int = Field(4, ge=1, description="attention heads; must divide width")
    width: int = Field(128, ge=1, description="width of the residual stream")
    hidden: int | None = Field(None, ge=1, description="feed-forward width; default 4 * width")
    activation: Literal["relu", "gelu"] = Field(
        "relu", description="feed-forward nonlinearity; only relu is invariant to rescaling"
    )
    vocabulary: int | None = Field(
        None, ge=1, description="number of tokens; default data.about['vocabulary']"
    )
    length: int | None = Field(
        None, ge=1, description="rows of the position table; default data.about['length']"
    )
    outputs: int | None = Field(
        None, ge=1, description="number of logits; default data.about['classes']"
    )
    eps: Real = Field(1e-5, gt=0, description="constant added to the variance in LayerNorm")

    def check_parameters(self) -> str | None:
        if self.width % self.heads:
            return f"width = {self.width} must be a multiple of heads = {self.heads}"
        return None

    def shaped_for(self, data: Dataset) -> Transformer:
        """Return the architecture with vocabulary, length and outputs read off `data.about`."""
        return read_off(self, data, vocabulary="vocabulary", length="length", outputs="classes")

    def build(self) -> Decoder:
        """Return the module with freshly drawn weights."""
        from plugins.maths.networks.transformer import Decoder

        sizes = {name: getattr(self, name) for name in ("vocabulary", "length", "outputs")}
        if missing := [name for name, value in sizes.items() if value is None]:
            raise RunnerError(
                f"transformer: {', '.join(missing)} still open; set them or call shaped_for(data)"
            )
        return Decoder(
            layers=self.layers,
            heads=self.heads,
            width=self.width,
            hidden=self.hidden or 4 * self.width,
            activation=self.activation,
            eps=self.eps,
            **sizes,
        )

    def rescalings(self, scale_eps: bool = True) -> dict[str, tuple[int, int]]:
        """Return how tensors scale, name -> (power of alpha, power of beta), logits unchanged.

        alpha multiplies every tensor that writes to the residual stream, and alpha^2 every
        LayerNorm constant (left out when `scale_eps` is False: then the logits do change). beta
        multiplies the way into the feed-forward layer and divides the way out of it; this needs
        the positive homogeneity of relu.
        """
        powers = {"token.weight": (1, 0), "position.weight": (1, 0)}
        for block in (f"blocks.{layer}" for layer in range(self.layers)):
            powers |= {
                f"{block}.out.weight": (1, 0),
                f"{block}.out.bias": (1, 0),
                f"{block}.up.weight": (0, 1),
                f"{block}.up.bias": (0, 1),
                f"{block}.down.weight": (1, -1),
                f"{block}.down.bias": (1, 0),
            }
            if scale_eps:
                powers |= {f"{block}.norm1.eps": (2, 0), f"{block}.norm2.eps": (2, 0)}
        return powers | ({"norm.eps": (2, 0)} if scale_eps else {})
