"""State dicts as files of other programs, written and read; nothing that is read can execute."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plugins.maths.files.plain_pickle import loads
from runner.errors import RunnerError, listed

READ = (".pth", ".pt", ".ckpt", ".pkl", ".safetensors")


def dumped(weights: Mapping[str, Tensor], rename: Mapping[str, str], suffix: str) -> bytes:
    """Return a state dict as a file's bytes.

    Raises: ValueError when two tensors would share a name.
    """
    state = renamed(weights, rename)
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in state.items()}
    if suffix == ".safetensors":
        from safetensors.torch import save

        return bytes(save(tensors))
    stream = io.BytesIO()
    torch.save(tensors, stream)
    return stream.getvalue()


def renamed(weights: Mapping[str, Any], rename: Mapping[str, str]) -> dict[str, Any]:
    """Return tensors with the longest fitting beginning of each name replaced.

    Raises: ValueError when two would share a name.
    """
    found: dict[str, Any] = {}
    for name, value in weights.items():
        fitting = max((old for old in rename if name.startswith(old)), key=len, default=None)
        new = name if fitting is None else rename[fitting] + name[len(fitting) :]
        if new in found:
            raise ValueError(f"two tensors would be called {new!r}; see rename")
        found[new] = value
    return found


def read_state(path: Path, state_key: str) -> dict[str, Tensor]:
    """Return the tensors of a state dict in a file.

    Args:
        path: .safetensors, a file of torch.save, or a pickle of a dict of arrays.
        state_key: where in the file's dict it lies, names joined by points; empty: the top.

    Raises: RunnerError when the file holds anything but plain values, or no tensors at the key.
    """
    try:
        found: Any = _content(path)
    except Exception as error:  # each format has errors of its own
        raise RunnerError(f"{path.name} cannot be read as plain weights: {error}") from error
    for key in filter(None, state_key.split(".")):
        if not isinstance(found, Mapping) or key not in found:
            there = listed(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
            raise RunnerError(f"{path.name} has no {key!r} (state_key); it has {there}")
        found = found[key]
    tensors = {
        str(name): torch.as_tensor(value)
        for name, value in (found.items() if isinstance(found, Mapping) else ())
        if isinstance(value, Tensor | np.ndarray)
    }
    if not tensors:
        raise RunnerError(f"{path.name} holds no tensors here; name their dict by state_key")
    return tensors


def _content(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if path.suffix == ".pkl":
        return loads(path.read_bytes())
    return torch.load(path, map_location="cpu", weights_only=True)
