"""State dicts as files of other programs, written and read; nothing that is read can execute."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plugins.maths.files.plain_pickle import loads
from plugins.maths.training.optimisers import Optimizer
from runner.errors import RunnerError, listed
from runner.types import Network

# How files of torch.save begin, whatever their suffix: a zip archive, or, before torch 1.6, a
# pickle of a number that no plain pickle begins with.
_TORCH = (b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")


def plain(weights: Mapping[str, Tensor], rename: Mapping[str, str]) -> dict[str, Tensor]:
    """Return tensors that lie on the CPU and share no memory, under other names.

    Raises: ValueError when two tensors would share a name.
    """
    state = renamed(weights, rename)
    return {name: value.detach().cpu().clone().contiguous() for name, value in state.items()}


def dumped(content: Mapping[str, Any], suffix: str) -> bytes:
    """Return tensors, for .pth and .pt also numbers and dicts of both, as a file's bytes."""
    if suffix == ".safetensors":
        from safetensors.torch import save

        return bytes(save(dict(content)))
    stream = io.BytesIO()
    torch.save(dict(content), stream)
    return stream.getvalue()


def fresh_state(optimizer: Optimizer, model: Network) -> dict[str, Any]:
    """Return the state dict of an optimizer without moments over a network's parameters."""
    state = optimizer.build(model.module().parameters()).state_dict()
    for group in state["param_groups"]:
        group["fused"] = None  # how it was computed here: no matter of the reader's
    return state


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


def common_prefix(names: Iterable[str]) -> str:
    """Return the first part of the names, with its point, if all share it: `module.`; else ""."""
    heads = {name.partition(".")[0] if "." in name else "" for name in names}
    return f"{heads.pop()}." if len(heads) == 1 and "" not in heads else ""


def _content(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if path.suffix == ".pkl" and not (content := path.read_bytes()).startswith(_TORCH):
        return loads(content)
    return torch.load(path, map_location="cpu", weights_only=True)
