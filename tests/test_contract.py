"""What every plugin owes, tried on each plugin file that is found."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic.fields import FieldInfo

from runner.plugin import FAMILIES, Plugin, signature
from runner.registry import Registry, Root
from runner.types import Seed, Table, Trained

PLUGINS = Path(__file__).parent.parent / "plugins"
REGISTRY = Registry([Root("plugins", PLUGINS)])
FOUND = [(family, name) for family in FAMILIES for name in sorted(REGISTRY.names(family))]
HEAVY = ("torch", "numpy", "pandas", "matplotlib", "lightning", "scipy", "sklearn", "torchvision")


@pytest.fixture(params=FOUND, ids="/".join)
def plugin(request: pytest.FixtureRequest) -> type[Plugin]:
    """Return each plugin class; loading it checks that its file holds exactly one."""
    return REGISTRY.load(*request.param)


def test_there_are_plugins_to_try() -> None:
    assert {"data", "models", "trainers", "probes", "renderers"} <= {family for family, _ in FOUND}


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """Return what heavy packages are there after each plugin file was imported, in one process."""
    code = (
        "import importlib, json, sys\n"
        f"heavy = {HEAVY!r}\n"
        "found = {}\n"
        f"for family, name in {FOUND!r}:\n"
        "    importlib.import_module(f'plugins.{family}.{name}')\n"
        "    found[f'{family}/{name}'] = [h for h in heavy if h in sys.modules]\n"
        "print(json.dumps(found))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PLUGINS.parent, capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("found", FOUND, ids="/".join)
def test_it_imports_nothing_heavy(imported: dict[str, list[str]], found: tuple[str, str]) -> None:
    assert imported["/".join(found)] == []


def test_its_ports_and_output_are_annotated(plugin: type[Plugin]) -> None:
    found = signature(plugin)
    assert found.outputs
    assert all(port.takes for port in found.ports.values())


def test_its_docstring_says_what_it_reads_and_raises_and_where_it_comes_from(
    plugin: type[Plugin],
) -> None:
    assert plugin.__doc__
    lines = [line.strip() for line in plugin.__doc__.splitlines()]
    for word in ("Reads:", "Raises:", "Source:"):
        assert any(line.startswith(word) for line in lines), f"no line begins with {word}"
    module = sys.modules[plugin.__module__]
    assert (module.__doc__ or "").strip()


def models_of(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a model and every table of options below it."""
    seen: list[type[BaseModel]] = []
    waiting: list[Any] = [model]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if kind not in seen:
                seen.append(kind)
                waiting += [info.annotation for info in kind.model_fields.values()]
        else:
            waiting += typing.get_args(kind)
    yield from seen


def floats(annotation: Any, marks: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the marks that each float in an annotation has."""
    if annotation is float:
        yield marks
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *own = typing.get_args(annotation)
        yield from floats(inner, (*marks, *own))
    else:
        for part in typing.get_args(annotation):
            yield from floats(part)


def test_every_number_with_a_point_may_be_an_expression(plugin: type[Plugin]) -> None:
    for model in models_of(plugin):
        for name, info in model.model_fields.items():
            for marks in floats(info.annotation, tuple(info.metadata)):
                real = any(isinstance(mark, BeforeValidator) for mark in marks)
                assert real, f"{model.__name__}.{name} is a plain float; write Real"


def test_every_parameter_says_what_it_is(plugin: type[Plugin]) -> None:
    for model in models_of(plugin):
        for name, info in model.model_fields.items():
            assert isinstance(info, FieldInfo)
            assert info.description, f"{model.__name__}.{name} has no description"


def test_every_table_of_options_is_frozen_and_strict(plugin: type[Plugin]) -> None:
    for model in models_of(plugin):
        assert model.model_config.get("frozen"), model.__name__
        assert model.model_config.get("extra") == "forbid", model.__name__
        assert model.model_config.get("strict"), model.__name__
        assert model.model_config.get("allow_inf_nan") is False, model.__name__


def test_no_parameter_has_the_name_of_a_word_of_the_engine(plugin: type[Plugin]) -> None:
    from runner.planning.bind import WORDS

    names = {*plugin.model_fields, *signature(plugin).references}
    assert not names & {*WORDS, "use", "like"}


def test_its_table_declares_its_columns(plugin: type[Plugin]) -> None:
    kinds = signature(plugin).outputs.values()
    if Table in kinds and plugin.family != "data":  # what a file holds is not known beforehand
        assert plugin.columns, "declare columns: ClassVar, each with its meaning and unit"
    for name, meaning in plugin.columns.items():
        assert name.isidentifier()
        assert meaning.strip()
    if Trained not in kinds and Table not in kinds:
        assert not plugin.columns


def test_what_varies_is_there_and_a_batch_can_be_run(plugin: type[Plugin]) -> None:
    own = {*plugin.model_fields, *signature(plugin).references, signature(plugin).port_of(Seed)}
    assert set(plugin.varies) <= own
    assert bool(plugin.varies) == hasattr(plugin, "run_batch")


def test_its_schema_can_be_made(plugin: type[Plugin]) -> None:
    schema = plugin.model_json_schema()
    assert set(schema.get("properties", {})) == set(plugin.model_fields)
    json.dumps(schema, allow_nan=False)


def with_defaults(plugin: type[Plugin]) -> Plugin | None:
    """Return the plugin with nothing but what must be given, where that can be guessed."""
    required = {n: i for n, i in plugin.model_fields.items() if i.is_required()}
    guesses = {str: "x.png", int: 1, float: 1.0, bool: True}
    if not all(info.annotation in guesses for info in required.values()):
        return None
    try:
        return plugin(**{name: guesses[info.annotation] for name, info in required.items()})
    except ValidationError:
        return None


def test_it_can_be_pickled_to_a_worker_and_is_frozen(plugin: type[Plugin]) -> None:
    made = with_defaults(plugin)
    if made is None:
        assert pickle.loads(pickle.dumps(plugin)) is plugin
        return
    assert pickle.loads(pickle.dumps(made)) == made
    assert made.batch_size() >= 1
    for name in plugin.model_fields:
        with pytest.raises(ValidationError):
            setattr(made, name, getattr(made, name))


def test_its_parameters_survive_json(plugin: type[Plugin]) -> None:
    made = with_defaults(plugin)
    if made is not None:
        again = plugin.model_validate_json(json.dumps(made.model_dump(mode="json")), strict=True)
        assert again == made
