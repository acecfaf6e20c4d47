"""A training run's state as one file: tensors and JSON, no pickle, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer


def write(path: Path, tensors: Mapping[str, Tensor], notes: Any) -> None:
    """Write tensors and JSON notes to `path`: aside, fsync, rename. A kill leaves old or new."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save(own, metadata={"notes": json.dumps(notes)})
    aside = path.with_name(path.name + ".aside")
    with aside.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path) -> tuple[dict[str, Tensor], Any] | None:
    """Return what `write` wrote, floats bit for bit, or None when there is no file."""
    if not path.exists():
        return None
    with safe_open(path, framework="pt") as stored:
        # clones, because the file may be replaced while the tensors live on
        tensors = {name: stored.get_tensor(name).clone() for name in stored.keys()}  # noqa: SIM118
        return tensors, json.loads(stored.metadata()["notes"])


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors under `prefix/`, named without it."""
    cut = len(prefix) + 1
    return {name[cut:]: value for name, value in tensors.items() if name.startswith(f"{prefix}/")}


def named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors named `prefix/name`."""
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the module's parameters and buffers on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's moments and counters, named `parameter index/name`."""
    return {
        f"{index}/{name}": value
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` returned; rates and the like stay the optimizer's own."""
    state: dict[int, dict[str, Tensor]] = {}
    for path, value in tensors.items():
        index, name = path.split("/", 1)
        state.setdefault(int(index), {})[name] = value.clone()  # torch would share it
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return the state of torch's global generators, which dropout and the like draw from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Put back what `random_state` returned."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
