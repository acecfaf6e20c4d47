"""Where in a TOML file a key stands: loaded only once something is wrong."""

from __future__ import annotations

from typing import Any

from runner.errors import Where

Place = tuple[int, int]  # line and column, both counted from 1, the column in characters


class Places:
    """Positions of tables, keys and values of one TOML text."""

    def __init__(self, text: str) -> None:
        import tree_sitter_toml
        from tree_sitter import Language, Parser

        self._bytes = text.encode()
        self._lines = self._bytes.split(b"\n")
        self._keys: dict[Where, Any] = {}
        self._values: dict[Where, Any] = {}
        self._tables: dict[Where, Any] = {}
        tree = Parser(Language(tree_sitter_toml.language())).parse(self._bytes)
        counts: dict[Where, int] = {}
        for node in tree.root_node.children:
            if node.type == "pair":
                self._pair(node, ())
            elif node.type in ("table", "table_array_element"):
                self._table(node, counts)

    def find(self, where: Where, at: str = "value") -> Place:
        """Return the place of a key, value or table; of the nearest parent where it has none."""
        for end in range(len(where), -1, -1):
            part = where[:end]
            exact = end == len(where)
            order = (
                [self._keys, self._tables] if at == "key" or not exact else
                [self._tables, self._keys] if at == "table" else
                [self._values, self._tables]
            )  # fmt: skip
            for places in order:
                if part in places:
                    return self._place(places[part])
            child = next((w for w in self._keys if len(w) > end and w[:end] == part and end), None)
            if child is not None:
                return self._place(self._keys[child])
        return 1, 1

    def _place(self, node: Any) -> Place:
        row, column = node.start_point
        return row + 1, len(self._lines[row][:column].decode(errors="replace")) + 1

    def _table(self, node: Any, counts: dict[Where, int]) -> None:
        header = next(c for c in node.children if c.type.endswith("key"))
        where: Where = tuple(self._parts(header))
        if node.type == "table_array_element":
            position = counts.get(where, 0)
            counts[where] = position + 1
            where = (*where, position)
        self._tables.setdefault(where, header)
        for end in range(1, len(where)):
            self._tables.setdefault(where[:end], header)
        for child in node.children:
            if child.type == "pair":
                self._pair(child, where)

    def _pair(self, node: Any, base: Where) -> None:
        key, value = [c for c in node.children if c.is_named and c.type != "comment"][:2]
        where = (*base, *self._parts(key))
        for end in range(len(base) + 1, len(where) + 1):
            self._keys.setdefault(where[:end], key)
        self._value(value, where)

    def _value(self, node: Any, where: Where) -> None:
        self._values.setdefault(where, node)
        if node.type == "inline_table":
            for child in node.children:
                if child.type == "pair":
                    self._pair(child, where)
        elif node.type == "array":
            items = [c for c in node.children if c.is_named and c.type != "comment"]
            for position, child in enumerate(items):
                self._value(child, (*where, position))

    def _parts(self, node: Any) -> list[str]:
        if node.type == "dotted_key":
            return [part for c in node.children if c.is_named for part in self._parts(c)]
        text = self._bytes[node.start_byte : node.end_byte].decode()
        return [text.strip("\"'")]
