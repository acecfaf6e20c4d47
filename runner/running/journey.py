"""From a spec's path to its views: the steps that `runner run` takes, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.language.spec import Spec, load
from runner.planning.plan import Plan
from runner.planning.planner import build, check
from runner.registry import Registry, find_project, settings
from runner.storage.store import Store

if TYPE_CHECKING:
    from runner.sharing.shared import Shared


@dataclass(frozen=True)
class Wish:
    """What the command line asks of a spec."""

    path: Path
    profile: str | None = None
    sets: Sequence[str] = ()
    sweeps: Sequence[str] = ()
    artifacts: Path | None = None
    allow_stale: Sequence[str] = ()
    store: str | None = None  # URL of a shared store, `none` for none; None: the project's


@dataclass
class Journey:
    """A spec with all it needs to run: its project's plugins and its store."""

    spec: Spec
    registry: Registry
    plan: Plan
    store: Store
    artifacts: Path
    wish: Wish | None = None
    shared: Shared | None = None

    @property
    def views(self) -> Path:
        """The folder of the spec's views."""
        return self.artifacts / self.spec.name


def prepare(wish: Wish, keyed: bool = True) -> Journey:
    """Return the plan of a spec and the store it would use; validation needs no keys.

    Raises: SpecError, PluginError, UsageError, StoreError; nothing is computed or written but
    the memo of code digests.
    """
    spec = load(wish.path, wish.profile, wish.sets, wish.sweeps)
    project = find_project(wish.path)
    artifacts = (wish.artifacts or project / "artifacts").resolve()
    registry = Registry.of(project)
    store = Store(artifacts / ".store")
    memo = store.folder / "code.json" if store.folder.is_dir() else None
    if wish.allow_stale:
        store.refresh()
    stale = tuple(wish.allow_stale)
    if keyed:
        plan = build(spec, registry, memo, _stale_keys(store), stale)
    else:
        plan = check(spec, registry, stale)
    return Journey(
        spec, registry, plan, store, artifacts, wish, shared_behind(store, wish, project)
    )


def shared_behind(store: Store, wish: Wish, project: Path) -> Shared | None:
    """Return the shared store that the command line asks for, or else the project.

    Raises: UsageError when that is no URL.
    """
    if wish.store is None and "store" not in settings(project):
        return None  # most have none, and need nothing imported for it
    from runner.sharing.shared import Shared, url_of

    url = url_of(wish.store, project)
    return None if url is None else Shared(url, store)


def _stale_keys(store: Store) -> Any:
    def key_of(recipe: str) -> str | None:
        record = store.stale(recipe)
        return record["key"] if record else None

    return key_of
