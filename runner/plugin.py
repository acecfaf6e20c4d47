"""What a plugin is: a frozen pydantic model whose `run` names its ports and its output.

Fields are parameters; the arguments of `run` are ports; its return annotation is the output.
A port annotated `Seed` receives the step's seed, one annotated `Circumstance` the place of
execution; every other port is filled by a reference in the spec.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import Any, ClassVar, Union

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from runner.errors import PluginError, listed
from runner.parameters import Text
from runner.types import (
    Arrays,
    Circumstance,
    Dataset,
    Files,
    Network,
    Seed,
    Split,
    Table,
    Trained,
    Verdict,
)


class Plugin(BaseModel):
    """Base of all plugins. Subclass one of the six families below, not this class.

    Class attributes a plugin may set:
        persist: False for a cheap step that is recomputed where needed and never written.
        varies: parameters and ports, the seed's too, that may differ between the nodes of one
            `run_batch` call.
        columns: name -> meaning (with unit) of the columns of its table, for `show` and `validate`.
        modules: dotted names of project modules that `run` reaches only through strings.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )

    family: ClassVar[str] = ""
    persist: ClassVar[bool] = True
    varies: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[Mapping[str, str]] = {}
    run: ClassVar[Callable[..., Any]]

    def batch_size(self) -> int:
        """Return how many nodes one `run_batch` call may hold (memory is the usual reason)."""
        return 64

    def work(self) -> float:
        """Return how much work a node is, above 0, in a unit of the plugin's own.

        What nodes with other parameters took is scaled by it where a plan estimates time.
        """
        return 1.0

    def check_parameters(self) -> str | None:
        """Return what is wrong with the parameters together, or None. Imports nothing heavy."""
        return None


class Data(Plugin):
    """Makes or reads a `Dataset`. `splits` names the splits it always has."""

    family: ClassVar[str] = "data"
    splits: ClassVar[tuple[str, ...]] = ("train", "test")


class Model(Plugin):
    """An architecture. Its value between steps is the plugin object itself: `run` returns it."""

    family: ClassVar[str] = "models"
    persist: ClassVar[bool] = False

    def run(self) -> Model:
        """Return the architecture; weights come from `initialise` or from a trainer."""
        return self

    def shaped_for(self, data: Dataset) -> Model:
        """Return the architecture with every size left open (None) read off the data."""
        del data
        return self

    def build(self) -> Any:
        """Return a `torch.nn.Module` with freshly drawn weights; every size must be known."""
        raise PluginError(f"{type(self).__name__} has no build()")

    def initialise(self, seed: Seed) -> Network:
        """Return a network with weights drawn from the stream `weights` of `seed`."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed.integer("weights"))
            module = self.build()
        state = {name: value.detach().clone() for name, value in module.state_dict().items()}
        return Network(self, state)


class Trainer(Plugin):
    """Turns a model and data into a `Trained`."""

    family: ClassVar[str] = "trainers"

    def checkpoints(self) -> tuple[int, ...]:
        """Return the optimizer steps whose networks are kept, besides `best` and `last`."""
        return ()


class Perturbation(Plugin):
    """Changes data or a network in a controlled way."""

    family: ClassVar[str] = "perturbations"


class Probe(Plugin):
    """Measures; never trains."""

    family: ClassVar[str] = "probes"


class Renderer(Plugin):
    """Turns tables and arrays into `Files`, one content for each of `suffixes()`.

    Class attributes a renderer may set, besides those of all plugins:
        writes: suffixes of the files that it can write; empty: any.
    """

    family: ClassVar[str] = "renderers"
    writes: ClassVar[tuple[str, ...]] = ()

    path: Text = Field(description="file name of the view; its suffix is the format")
    formats: tuple[str, ...] = Field((), description="further suffixes to write, such as .pdf")

    @field_validator("path")
    @classmethod
    def _path_can_be_written(cls, path: str) -> str:
        suffix = PurePosixPath(path).suffix
        if suffix and cls.writes and suffix not in cls.writes:  # without one it is no view's path
            message = "must have a suffix out of {known}"
            raise PydanticCustomError("suffix", message, {"known": listed(cls.writes)})
        return path

    @field_validator("formats")
    @classmethod
    def _formats_can_be_written(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        if cls.writes and not set(formats) <= set(cls.writes):
            message = "must hold suffixes out of {known}"
            raise PydanticCustomError("suffix", message, {"known": listed(cls.writes)})
        return formats

    def suffixes(self) -> tuple[str, ...]:
        """Return the suffixes of the files to make, that of `path` first."""
        return tuple(dict.fromkeys([PurePosixPath(self.path).suffix, *self.formats]))


FAMILIES: dict[str, type[Plugin]] = {
    cls.family: cls for cls in (Data, Model, Trainer, Perturbation, Probe, Renderer)
}
TRAVELLING: tuple[type, ...] = (
    Dataset, Split, Model, Network, Trained, Table, Arrays, Files, Verdict,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Port:
    """A named input and the types it takes: travelling types, Seed or Circumstance."""

    name: str
    takes: tuple[type, ...]
    required: bool


@dataclasses.dataclass(frozen=True)
class Signature:
    """The ports of a plugin and its outputs; a single unnamed output has the name ''."""

    ports: Mapping[str, Port]
    outputs: Mapping[str, type]

    @property
    def references(self) -> dict[str, Port]:
        """The ports that a spec fills."""
        hidden = {Seed, Circumstance}
        return {name: port for name, port in self.ports.items() if not hidden & set(port.takes)}

    def port_of(self, kind: type) -> str | None:
        """Return the name of the port that takes `kind` (Seed or Circumstance), if there is one."""
        return next((name for name, port in self.ports.items() if kind in port.takes), None)


@cache
def signature(cls: type[Plugin]) -> Signature:
    """Read ports and outputs off the annotations of `cls.run`.

    Raises: PluginError naming the plugin when an annotation is missing or does not travel.
    """
    name = f"{cls.__module__}.{cls.__name__}"
    if not hasattr(cls, "run"):
        raise PluginError(f"{name} has no run(); give it one whose arguments are its ports")
    try:
        hints = typing.get_type_hints(cls.run)
    except NameError as error:
        raise PluginError(f"{name}.run: annotation not importable at load: {error}") from error
    ports = {}
    for parameter in list(inspect.signature(cls.run).parameters.values())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PluginError(f"{name}.run takes *{parameter.name}; name its ports")
        if parameter.name in cls.model_fields:
            raise PluginError(f"{name}: {parameter.name!r} is both a parameter and a port")
        takes, optional = _members(hints.get(parameter.name))
        known = (*TRAVELLING, Seed, Circumstance)
        if not takes or not all(kind in known for kind in takes):
            raise PluginError(
                f"{name}.run: port {parameter.name!r} needs an annotation out of "
                + ", ".join(kind.__name__ for kind in known)
            )
        required = not optional and parameter.default is parameter.empty
        ports[parameter.name] = Port(parameter.name, takes, required)
    return Signature(ports, _outputs(name, hints.get("return")))


def _members(hint: Any) -> tuple[tuple[type, ...], bool]:
    """Return the non-None members of an annotation, and whether None was among them."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        parts = typing.get_args(hint)
        return tuple(p for p in parts if p is not type(None)), type(None) in parts
    return ((hint,) if isinstance(hint, type) else ()), False


def _outputs(name: str, hint: Any) -> dict[str, type]:
    if hint in TRAVELLING:
        return {"": hint}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        fields = typing.get_type_hints(hint)
        if fields and all(kind in TRAVELLING for kind in fields.values()):
            return fields
    raise PluginError(
        f"{name}.run must return one of {', '.join(t.__name__ for t in TRAVELLING)} "
        f"or a frozen dataclass of these, and say so in its annotation; it says {hint!r}"
    )
