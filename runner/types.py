"""The types that travel between steps. Nothing heavy is imported to define them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch
    from numpy.typing import NDArray

    from runner.plugin import Model

    Array = NDArray[Any]
    Weights = Mapping[str, torch.Tensor]  # named as in the module's state_dict, on the CPU
else:
    Array = Any
    Weights = Mapping

Json = Any  # null, bool, int, finite float, str, and lists and str-keyed dicts of these


@dataclass(frozen=True)
class Split:
    """One split of a data set: equally long named arrays, `x` inputs and `y` targets by convention.

    An array may be a `LazyArray` (`runner/arrays.py`), whose rows are read when asked for.

    `about` holds what a model must know of the data (vocabulary, classes, ...).
    """

    arrays: Mapping[str, Array]
    about: Mapping[str, Json] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]


@dataclass(frozen=True)
class Dataset:
    """Named splits of named arrays; `@data.train` in a spec is the split `train`."""

    splits: Mapping[str, Mapping[str, Array]]
    about: Mapping[str, Json] = field(default_factory=dict)

    def __getitem__(self, split: str) -> Split:
        return Split(self.splits[split], self.about)


@dataclass(frozen=True)
class Network:
    """A model plugin with every size resolved, and the weights and buffers of one network of it."""

    architecture: Model
    weights: Weights

    def module(self, device: str = "cpu") -> torch.nn.Module:
        """Return the network as a module in evaluation mode on `device`."""
        module: torch.nn.Module = self.architecture.build()
        module.load_state_dict(dict(self.weights))
        module.to(device).eval()
        return module


@dataclass(frozen=True)
class Table:
    """Equally long named columns: numbers, booleans, text. `frame` gives them as a pandas frame."""

    columns: Mapping[str, Sequence[Any] | Array]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    @property
    def frame(self) -> pd.DataFrame:
        """Return the columns as a new pandas frame with a plain range index."""
        import pandas as pd

        return pd.DataFrame({name: pd.Series(values) for name, values in self.columns.items()})

    @staticmethod
    def of(frame: pd.DataFrame) -> Table:
        """Return the table with the frame's columns, its index dropped."""
        return Table({str(name): frame[name].to_numpy() for name in frame.columns})


@dataclass(frozen=True)
class Arrays:
    """Named arrays with the names of their dimensions, `{"matrix": ("row", "column")}`."""

    arrays: Mapping[str, Array]
    dimensions: Mapping[str, tuple[str, ...]]

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]


@dataclass(frozen=True)
class Trained:
    """What a trainer leaves: networks by step, the best and the last one, and the training curve.

    `@step` in a spec is `last`, `@step@best` is `best`, `@step@1000` is the checkpoint after
    1000 optimizer steps, and `@step.history` is `history`.
    """

    checkpoints: Mapping[int, Network]
    best: Network
    last: Network
    history: Table


@dataclass(frozen=True)
class Files:
    """What a renderer leaves: one picture or document as bytes by suffix, `{".png": ...}`."""

    contents: Mapping[str, bytes]


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check: whether it holds, both sides' values and the cell that is worst.

    One over no rows has nothing to judge: it neither supports nor refutes.
    """

    holds: bool
    check: str
    detail: str  # for example `1.2e-05 < 0.001`
    worst: Mapping[str, Json] = field(default_factory=dict)  # row of the table that decides it
    judged: bool = True


class Seed(int):
    """The seed of a step. Every draw comes from a named stream of it, never from global state."""

    def integer(self, *stream: str | int) -> int:
        """Return a 63-bit integer that depends on the seed and the stream's name only."""
        text = "/".join([str(int(self)), *map(str, stream)])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def numpy(self, *stream: str | int) -> np.random.Generator:
        """Return a NumPy generator for the named stream."""
        import numpy as np

        return np.random.default_rng(self.integer(*stream))

    def torch(self, *stream: str | int, device: str = "cpu") -> torch.Generator:
        """Return a PyTorch generator on `device` for the named stream."""
        import torch

        return torch.Generator(device).manual_seed(self.integer(*stream))


def print_nothing(done: float, total: float, unit: str) -> None:
    """Ignore progress: what a node reports to when nobody watches."""
    del done, total, unit


@dataclass(frozen=True)
class Circumstance:
    """Where and how a node is computed. Nothing here may change its result (and none is in a key).

    `scratch` is a folder of the node's own that outlives a killed process; it is removed once the
    node is stored. `progress(done, total, unit)` may be called as often as is convenient.
    """

    device: str = "cpu"
    threads: int = 1
    scratch: Path = Path()
    progress: Callable[[float, float, str], None] = print_nothing
