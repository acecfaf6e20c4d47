"""A network's weights as a file for other programs."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, ClassVar

from pydantic import Field

from plugins.maths.training.optimisers import Optimizer
from runner.language.expression import ExpressionError, evaluate, parse
from runner.parameters import Real
from runner.plugin import Renderer
from runner.types import Files, Network, Table


class Weights(Renderer):
    """Write a network's tensors as a state dict: .pth and .pt by torch.save, or .safetensors.

    Files of torch.save are pickles: read them with `torch.load(path, weights_only=True)`. They can
    hold more: the tensors under `state_key`, numbers `beside` them, and under
    `optimizer_state_dict` what torch writes of an optimizer. Moments are not stored anywhere, so
    that only an optimizer without any, sgd without momentum, can be written.

    Reads:  model, its weights and buffers; history, the columns that `beside` names.
    Raises: ValueError for two tensors of one name, more than tensors in a .safetensors file, an
            expression that cannot be evaluated, or an optimizer with moments.
    Source: none.
    """

    writes: ClassVar[tuple[str, ...]] = (".safetensors", ".pth", ".pt")

    rename: dict[str, str] = Field(
        {}, description="beginning of a tensor's name -> what stands there in the file"
    )
    buffers: bool = Field(True, description="whether buffers (a sharpness) are written too")
    state_key: str = Field("", description="name in the file under which the tensors lie; or none")
    beside: dict[str, str | int | Real] = Field(
        {}, description='name -> number, or expression over history: { loss = "last(test_loss)" }'
    )
    optimizer: Optimizer | None = Field(None, description="what the network was trained with")

    def check_parameters(self) -> str | None:
        if (self.beside or self.optimizer) and not self.state_key:
            return "state_key is empty: name what the tensors lie under, as model_state_dict"
        if self.state_key and ".safetensors" in (PurePosixPath(self.path).suffix, *self.formats):
            return "a .safetensors file holds tensors alone: leave state_key out, or write .pth"
        if self.state_key in self.beside:
            return f"{self.state_key!r} stands in beside and is state_key"
        if self.optimizer and not (self.optimizer.sgd and not self.optimizer.sgd.momentum):
            return "optimizer has moments, which are not stored; only sgd without momentum has none"
        return None

    def run(self, model: Network, history: Table | None = None) -> Files:
        from plugins.maths.files import state_files

        if problem := self.check_parameters():
            raise ValueError(problem)
        weights = dict(model.weights)
        if not self.buffers:
            own = {name for name, _ in model.module().named_buffers()}
            weights = {name: value for name, value in weights.items() if name not in own}
        content: dict[str, Any] = state_files.plain(weights, self.rename)
        if self.state_key:
            content = {**self._numbers(history), self.state_key: content}
        if self.optimizer:
            content["optimizer_state_dict"] = state_files.fresh_state(self.optimizer, model)
        return Files({suffix: state_files.dumped(content, suffix) for suffix in self.suffixes()})

    def _numbers(self, history: Table | None) -> dict[str, Any]:
        import numpy as np

        columns = history.columns if history is not None else {}
        arrays = {str(name): np.asarray(values) for name, values in columns.items()}
        found: dict[str, Any] = {}
        for name, wish in self.beside.items():
            try:
                value = evaluate(parse(wish), arrays) if isinstance(wish, str) else wish
            except ExpressionError as error:
                raise ValueError(f"beside.{name} = {wish!r}: {error}") from error
            if np.ndim(value):
                raise ValueError(f"beside.{name} = {wish!r} has {np.size(value)} values; take one")
            found[name] = value.item() if isinstance(value, np.generic) else value
        return found
