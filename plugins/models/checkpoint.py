"""A network out of a file: weights that another program trained."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated

from pydantic import Field

from runner.errors import RunnerError, listed
from runner.parameters import Holes, InputFile, Obtained
from runner.plugin import Model
from runner.types import Dataset, Network

KNOWN = (".pth", ".pt", ".ckpt", ".pkl", ".safetensors")
MADE = "the renderer `weights` writes such files, as [renderers.base_models] does in our specs"


class Checkpoint(Model):
    """Put the tensors of a file into an architecture.

    The file is hashed, its name may have holes, `model_beta_{beta:.1f}_seed_{seed}.pth`. It is read
    as plain tensors: .safetensors, files of torch.save with `weights_only`, or a pickle of a dict
    of arrays by a reader that knows nothing else. Every parameter must be in the file and nothing
    else. Buffers of one number that are not in it (a sharpness, a count of batches) keep the
    architecture's values; others (running means) must be there, since they are learned.

    Reads:  model, an architecture; data for sizes it leaves open.
    Raises: RunnerError when the file holds anything but plain weights, a tensor is missing, is one
            too many or has another shape.
    Source: none.
    """

    file: Annotated[InputFile, Holes(variables=True), Obtained(MADE)] = Field(
        description="path of a .pth, .pt, .ckpt, .pkl or .safetensors file"
    )
    state_key: str = Field("", description="where in the file its state dict lies, as a.b")
    strip_prefix: str = Field("", description="taken off the beginning of names that have it")
    rename: dict[str, str] = Field(
        {}, description='beginning of a name -> the architecture\'s, { "net.0" = "layers.0" }'
    )

    def check_parameters(self) -> str | None:
        if (suffix := PurePath(self.file.path).suffix) not in KNOWN:
            return f"file: {suffix!r} is no suffix of weights; use {listed(KNOWN)}"
        return None

    def run(self, model: Model, data: Dataset | None = None) -> Network:  # type: ignore[override]
        from plugins.maths.files.state_files import common_prefix, read_state, renamed

        name = self.file.path.name
        design = model if data is None else model.shaped_for(data)
        state = read_state(self.file.path, self.state_key)
        state = {key.removeprefix(self.strip_prefix): value for key, value in state.items()}
        state = renamed(state, self.rename)
        module = design.build()
        wanted = module.state_dict()
        needed = {key for key, _ in module.named_parameters()}
        needed |= {key for key, buffer in module.named_buffers() if key in wanted and buffer.ndim}
        if missing := sorted(needed - set(state)):
            prefix = common_prefix(state)
            fits = prefix and needed <= {key.removeprefix(prefix) for key in state}
            cure = f"set strip_prefix = {prefix!r}" if fits else "see rename"
            raise RunnerError(
                f"{name} lacks {listed(missing)}; it has {listed(sorted(state))} ({cure})"
            )
        if more := sorted(set(state) - set(wanted)):
            raise RunnerError(f"{name} has {listed(more)}, which the architecture has not")
        for key, value in state.items():
            if value.shape != wanted[key].shape:
                raise RunnerError(
                    f"{name}: {key} is {tuple(value.shape)}, the architecture's is "
                    f"{tuple(wanted[key].shape)}"
                )
        weights = {k: state[k].to(v.dtype) if k in state else v for k, v in wanted.items()}
        return Network(design, {k: v.detach().clone() for k, v in weights.items()})
