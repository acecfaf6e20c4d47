"""runner: experiments in deep-learning geometry, each one a TOML file.

The names below are loaded on first use, so that the command line starts fast.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from runner.errors import PluginError, RunnerError, SpecError
    from runner.parameters import Column, InputFile, Real, Text
    from runner.plugin import Data, Model, Perturbation, Plugin, Probe, Renderer, Trainer
    from runner.types import (
        Array,
        Arrays,
        Circumstance,
        Dataset,
        Files,
        Network,
        Seed,
        Split,
        Table,
        Trained,
        Weights,
    )

__version__ = "0.1.0"

__all__ = [
    "Array", "Arrays", "Circumstance", "Column", "Data", "Dataset", "Files", "InputFile", "Model",
    "Network", "Perturbation", "Plugin", "PluginError", "Probe", "Real", "Renderer",
    "RunnerError", "Seed", "SpecError", "Split", "Table", "Text", "Trained", "Trainer", "Weights",
    "__version__",
]  # fmt: skip

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "errors": ["PluginError", "RunnerError", "SpecError"],
        "parameters": ["Column", "InputFile", "Real", "Text"],
        "plugin": ["Data", "Model", "Perturbation", "Plugin", "Probe", "Renderer", "Trainer"],
        "types": [
            "Array", "Arrays", "Circumstance", "Dataset", "Files", "Network", "Seed", "Split",
            "Table", "Trained", "Weights",
        ],
    },
)  # fmt: skip
