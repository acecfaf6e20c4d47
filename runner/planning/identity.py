"""Who a node is: its recipe (parameters, inputs, seed) and its key (the recipe, made by this code).

The recipe leaves code out all the way up, so that a record of the same recipe under another key
is known to be stale rather than strange.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runner.key import FORMAT, digest
from runner.planning.code import CodeReader
from runner.planning.plan import Binding, Node, One, Part, Plan, Planned, Rows, Stack
from runner.registry import Registry

CHECK = "runner.language.check"


def assign(
    plan: Plan,
    registry: Registry,
    memo: Path | None = None,
    stale_key: Callable[[str], str | None] | None = None,
    allow_stale: Sequence[str] = (),
) -> None:
    """Give every step its code and every node its recipe and key.

    The steps named by `allow_stale` keep the key that `stale_key` finds for their recipe: what
    other code made of it is used on purpose, here and by all that depends on it.
    """
    modules = [p.bound.cls.__module__ for p in plan.steps.values() if not p.bound.is_check]
    plugins = CodeReader(registry.packages(modules), memo)
    engine = CodeReader({"runner": Path(__file__).parents[1]})
    for name, planned in plan.steps.items():
        bound = planned.bound
        reader, module = (engine, CHECK) if bound.is_check else (plugins, bound.cls.__module__)
        planned.code = reader.reach(module)
        code = digest(planned.code)
        for node in planned.nodes.values():
            node.recipe = _recipe(planned, node)
            # What is required counts: a verdict must not outlive the check it was allowed by.
            sources = [source.key for source in [*node.inputs(), *node.requires]]
            node.key = digest([node.recipe, code, sources])
            if stale_key is not None and name in allow_stale:
                node.key = stale_key(node.recipe) or node.key
    plugins.save()


def _by_recipe(node: Node, output: str, checkpoint: Any) -> str:
    del output, checkpoint
    return node.recipe


def _recipe(planned: Planned, node: Node) -> str:
    use = f"{node.family}/{planned.bound.step.use}"
    inputs = {name: identity(binding) for name, binding in node.ports.items()}
    return digest([FORMAT, use, node.parameters, inputs, node.seed])


def identity(binding: Binding, name: Callable[[Node, str, Any], Any] = _by_recipe) -> Any:
    """Return what a binding contributes to an identity: its nodes' names and its selections.

    Nodes are named by their recipes, or by what `name` says of a node, an output and a checkpoint.
    """
    match binding:
        case One(node, output, checkpoint):
            return [name(node, output, checkpoint), output, checkpoint]
        case Stack(part):
            return _part_identity(part, name)
        case Rows(parts, where, derive):
            steps = [part.step for part in parts] if len(parts) > 1 else []  # they name columns
            members = [_part_identity(part, name) for part in parts]
            return [members, steps, dict(where), dict(derive)]


def _part_identity(part: Part, name: Callable[[Node, str, Any], Any]) -> Any:
    members = [[list(cell), name(n, part.output, part.checkpoint)] for cell, n in part.members]
    return [list(part.axes), members, part.output, part.checkpoint]
