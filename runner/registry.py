"""`probes/llc` -> class: names are listed by file without importing, a file is imported on use."""

from __future__ import annotations

import importlib
import inspect
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import imports
from runner.errors import PluginError, UsageError, listed, near

if TYPE_CHECKING:
    from runner.plugin import Plugin

imports.install()  # before any plugin, in each process that imports some

FAMILY_KEYS = ("data", "models", "trainers", "perturbations", "probes", "renderers")


@dataclass(frozen=True)
class Root:
    """A package with the six family folders: the built-in one, a project's, another package's."""

    package: str
    folder: Path


def find_project(start: Path) -> Path:
    """Return the nearest folder at or above `start` that holds a pyproject.toml, else `start`."""
    start = start.resolve()
    start = start if start.is_dir() else start.parent
    return next((f for f in (start, *start.parents) if (f / "pyproject.toml").is_file()), start)


def settings(project: Path) -> dict[str, Any]:
    """Return [tool.runner] of a project's pyproject.toml, empty where there is none.

    Raises: UsageError when the file cannot be read.
    """
    file = project / "pyproject.toml"
    if not file.is_file():
        return {}
    try:
        table = tomllib.loads(file.read_text("utf-8")).get("tool", {}).get("runner", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {error}") from error
    return dict(table)


def project_roots(project: Path) -> list[Root]:
    """Return the plugin folders that the project's pyproject.toml names, made importable.

    Raises: UsageError when the file cannot be read or names a folder that is not there.
    """
    file = project / "pyproject.toml"
    roots = []
    for name in settings(project).get("plugins", []):
        folder = project / str(name)
        if not folder.is_dir():
            raise UsageError(f"{file}: tool.runner.plugins names {name!r}; no such folder")
        if str(folder.parent) not in sys.path:
            sys.path.insert(0, str(folder.parent))
        roots.append(Root(folder.name, folder))
    return roots


@dataclass
class Registry:
    """The plugins that a project sees: its own folders first, then the built-in ones."""

    roots: list[Root]
    _classes: dict[tuple[str, str], type[Plugin]] = field(default_factory=dict)

    @classmethod
    def of(cls, project: Path) -> Registry:
        """Return the registry of a project folder."""
        builtin = Path(__file__).parent.parent / "plugins"
        return cls([*project_roots(project), Root("plugins", builtin)])

    def names(self, family: str) -> dict[str, Path]:
        """Return the plugin names of a family with their files; nothing is imported."""
        found: dict[str, Path] = {}
        for root in [*self.roots, *self._outside]:
            for file in sorted((root.folder / family).glob("*.py")):
                if not file.name.startswith("_"):
                    found.setdefault(file.stem, file)
        return found

    @cached_property
    def _outside(self) -> list[Root]:
        """Packages that other distributions offer under the entry-point group `runner.plugins`."""
        from importlib.metadata import entry_points
        from importlib.util import find_spec

        roots = []
        for point in entry_points(group="runner.plugins"):
            spec = find_spec(point.value)
            places = spec.submodule_search_locations if spec else None
            roots += [Root(point.value, Path(place)) for place in places or []]
        return roots

    def packages(self, modules: Iterable[str]) -> dict[str, Path]:
        """Return the folders of the packages whose code is the code of plugins.

        These are the plugin folders and the top package of each of `modules`, already imported:
        a plugin of another distribution may reach all of its own package.
        """
        found = {root.package: root.folder for root in self.roots}
        for top in {module.partition(".")[0] for module in modules} - set(found):
            found[top] = Path(next(iter(sys.modules[top].__path__)))
        return found

    def load(self, family: str, name: str) -> type[Plugin]:
        """Return the plugin class, importing its file.

        Raises: KeyError with a near miss when there is none; PluginError when the file is broken.
        """
        if (family, name) not in self._classes:
            self._classes[family, name] = self._import(family, name)
        return self._classes[family, name]

    def _import(self, family: str, name: str) -> type[Plugin]:
        from runner.plugin import FAMILIES  # listing names and completing them must not wait for it

        root = self._root_of(family, name)
        if root is None:
            known = self.names(family)
            hint = near(name, known)
            if other := next((f for f in FAMILY_KEYS if name in self.names(f)), None):
                hint = f"; it is in {other}: write [{other}.NAME]"
            raise KeyError(
                f'no such plugin in {family}: "{name}"{hint}'
                f" (there are: {listed(known, 12)}; runner list {family})"
            )
        file = root.folder / family / f"{name}.py"
        try:
            module = importlib.import_module(f"{root.package}.{family}.{name}")
        except Exception as error:
            raise PluginError(f"{file}: cannot be imported: {error!r}") from error
        classes = [
            value
            for value in vars(module).values()
            if inspect.isclass(value)
            and issubclass(value, FAMILIES[family])
            and value.__module__ == module.__name__
            and not value.__name__.startswith("_")
        ]
        if len(classes) != 1:
            found = listed(c.__name__ for c in classes)
            wanted = FAMILIES[family].__name__
            raise PluginError(f"{file}: must hold exactly one {wanted} class; it holds {found}")
        return classes[0]

    def _root_of(self, family: str, name: str) -> Root | None:
        if not name.isidentifier() or family not in FAMILY_KEYS:
            return None
        for root in self.roots:
            if (root.folder / family / f"{name}.py").is_file():
                return root
        return next(
            (r for r in self._outside if (r.folder / family / f"{name}.py").is_file()), None
        )


def use_of(cls: type[Plugin]) -> str:
    """Return the name by which a spec uses the plugin, `llc`."""
    return cls.__module__.rpartition(".")[2]
