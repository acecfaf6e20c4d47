"""Identity by content: a node whose inputs have the same content needs no new result.

Keys follow from how inputs were made. When a step is made anew and comes to the same content, all
that reads it has other keys, but equal content keys: that is found here (early cutoff).
"""

from __future__ import annotations

from typing import Any

from runner.key import FORMAT, digest
from runner.planning.identity import identity
from runner.planning.plan import Node, Plan
from runner.storage.codec import part
from runner.storage.store import Store
from runner.types import Json


class Contents:
    """Content keys of the nodes of a plan whose inputs are stored."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.store = store
        self.uses = {
            name: [f"{p.bound.step.family}/{p.bound.step.use}", digest(p.code)]
            for name, p in plan.steps.items()
        }
        self.described: dict[str, Json] = {}
        self.known: dict[tuple[str, str, Any], str] = {}

    def key(self, node: Node) -> str:
        """Return the content key of a node, empty when it reads nothing: its key is that already.

        What it reads and requires must be stored.
        """
        if not node.ports and not node.requires:
            return ""
        return digest(["content", FORMAT, *self._parts(node)])

    def outputs(self, key: str) -> Json:
        """Return the description of what a stored node came to."""
        if key not in self.described:
            self.described[key] = self.store.records[key]["outputs"]
        return self.described[key]

    def _parts(self, node: Node) -> list[Any]:
        ports = {name: identity(binding, self._of) for name, binding in node.ports.items()}
        required = [self._of(source, "", None) for source in node.requires]
        return [*self.uses[node.step], node.parameters, node.seed, ports, required]

    def _of(self, node: Node, output: str, checkpoint: Any) -> str:
        """Return a digest of the content of one output of a node."""
        name = (node.key, output, checkpoint)
        if name not in self.known:
            if node.plugin.persist:
                self.known[name] = digest(part(self.outputs(node.key), output, checkpoint))
            else:
                self.known[name] = digest([self._parts(node), output, checkpoint])
        return self.known[name]
