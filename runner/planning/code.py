"""What a plugin's code is: its module and the project modules it reaches, as normalised syntax.

Found statically, so nothing is imported. Comments, docstrings, formatting and the descriptions of
fields do not count. A module named only in a string counts when the string is its dotted name.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.key import digest
from runner.storage.claims import owner_name

_MADE_BY = [1, *sys.version_info[:2]]  # a memo of another Python or of other rules is not ours
_SETTLED = 2 * 10**9  # ns; a file younger than this may change again within one tick of its clock


@dataclass
class CodeReader:
    """Reads the code of plugins. `packages` maps a package's name to its folder.

    `memo` is an advisory file that remembers digests by path, size and time of change.
    """

    packages: dict[str, Path]
    memo: Path | None = None
    _modules: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    _remembered: dict[str, Any] = field(default_factory=dict)
    _changed: bool = False

    def __post_init__(self) -> None:
        if self.memo is not None and self.memo.is_file():
            try:
                held = json.loads(self.memo.read_text("utf-8"))
                if held["by"] == _MADE_BY and held["check"] == digest(held["modules"]):
                    self._remembered = held["modules"]
            except (OSError, ValueError, KeyError, TypeError):
                self._remembered = {}  # it is advisory: read the files instead

    def reach(self, module: str) -> dict[str, str]:
        """Return file -> digest for a module and every project module it reaches."""
        found: dict[str, str] = {}
        waiting = [module]
        seen = set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            file = self._file(name)
            if file is None:
                continue
            code, imports = self._read(name, file)
            found[self._shown(name, file)] = code
            waiting += [*imports, *([name.rpartition(".")[0]] if "." in name else [])]
        return dict(sorted(found.items()))

    def save(self) -> None:
        """Write the memo, if there is one and it changed; a failure to write is harmless."""
        if self.memo is None or not self._changed:
            return
        aside = self.memo.parent / "aside" / f"{owner_name()}-code"  # an orphan is found there
        modules = self._remembered
        held = {"by": _MADE_BY, "check": digest(modules), "modules": modules}
        try:
            aside.parent.mkdir(exist_ok=True)
            aside.write_text(json.dumps(held), "utf-8")
            aside.replace(self.memo)
        except OSError:
            with suppress(OSError):
                aside.unlink(missing_ok=True)

    def _file(self, name: str) -> Path | None:
        package, *rest = name.split(".")
        if package not in self.packages:
            return None
        path = self.packages[package].joinpath(*rest)
        for file in (path.with_name(path.name + ".py") if rest else None, path / "__init__.py"):
            if file is not None and file.is_file():
                return file
        return None

    def _shown(self, name: str, file: Path) -> str:
        folder = self.packages[name.split(".", maxsplit=1)[0]]
        return file.relative_to(folder.parent).as_posix()

    def _read(self, name: str, file: Path) -> tuple[str, list[str]]:
        if name not in self._modules:
            stat = file.stat()
            stamp = [str(file), stat.st_size, stat.st_mtime_ns]
            known = self._remembered.get(name)
            if known is None or known[:3] != stamp:
                code, imports = self._parse(name, file)
                known = [*stamp, code, imports]
                if time.time_ns() - stat.st_mtime_ns > _SETTLED:
                    self._remembered[name] = known
                    self._changed = True
            self._modules[name] = (known[3], known[4])
        return self._modules[name]

    def _parse(self, name: str, file: Path) -> tuple[str, list[str]]:
        source = file.read_bytes()
        try:
            tree = ast.parse(source)
        except SyntaxError:  # importing it will say so; its bytes are its identity until then
            return hashlib.sha256(source).hexdigest(), []
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        imports = sorted(set(self._imports(tree, package)))
        return digest(ast.unparse(_normalised(tree))), imports

    def _imports(self, tree: ast.Module, package: str) -> Iterable[str]:
        for node in ast.walk(tree):
            match node:
                case ast.Import(names=names):
                    yield from (alias.name for alias in names)
                case ast.ImportFrom(module=module, names=names, level=level):
                    parts = package.split(".")
                    base = ".".join(parts[: len(parts) - level + 1]) if level else ""
                    stem = ".".join(part for part in (base, module or "") if part)
                    yield stem
                    yield from (f"{stem}.{alias.name}" for alias in names)
                case ast.Constant(value=str(text)) if _dotted(text):
                    yield text  # `reach` drops what is no module; it may become one later


def _dotted(text: str) -> bool:
    parts = text.split(".")
    return len(parts) > 1 and all(part.isidentifier() for part in parts)


def _normalised(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and any(_is_text(statement) for statement in block):
                kept = [statement for statement in block if not _is_text(statement)]
                setattr(node, name, kept or [ast.Pass()])
        if isinstance(node, ast.Call) and _name(node.func) == "Field":
            node.keywords = [k for k in node.keywords if k.arg != "description"]
    return tree


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is a text and nothing else: a docstring, of whatever it stands below."""
    return isinstance(statement, ast.Expr) and isinstance(
        getattr(statement.value, "value", None), str
    )


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
