"""A store shared by a team, behind the local one: what others made is taken, what is made is given.

The local store stays the one that is read and written. Records of the remote are admitted beside
its own, their objects are fetched when something reads them, and whatever is new is sent while the
run goes on. Nothing about it is fatal: without the remote a run goes on with what is here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.planning.plan import sources
from runner.registry import settings
from runner.sharing.outbox import Outbox
from runner.sharing.pusher import Pusher
from runner.sharing.remote import Remote
from runner.storage.records import Entry, entries_of
from runner.storage.store import Store

if TYPE_CHECKING:
    from runner.planning.plan import Node


class Shared:
    """A remote behind a local store.

    Raises: UsageError when the text is no URL.
    """

    def __init__(self, url: str, store: Store) -> None:
        self.store = store
        self.remote = Remote(url, store.folder, store.aside)
        self.outbox = Outbox(self.remote, store.logs.folder, store.object_path)
        self.pusher: Pusher | None = None
        self.pulled: dict[str, Entry] = {}  # what the remote knew and this store did not

    # -- taking ----------------------------------------------------------------------------------

    def pull(self) -> None:
        """Admit the records that others have sent; their objects count as there, though far."""
        store = self.store
        for line in self.remote.pull():
            for key, entry in entries_of(line) or []:
                if not store.has(key):  # what was made here is whole here
                    store.records.add(key, entry)
                    self.pulled[key] = entry
                    store.far.update(store.records.objects(key) or {})

    def bring(self, nodes: Iterable[Node]) -> None:
        """Fetch what the missing ones of some nodes read, and what finished ones show.

        What cannot be had is not there: the nodes that made it are missing then, and so is what
        they read, until everything needed is here.
        """
        nodes = list(nodes)
        while self.store.far and self._fetched(nodes):
            pass  # each time less counts as far, so this ends

    def _fetched(self, nodes: list[Node]) -> set[str]:
        """Fetch what is needed as things stand; return what could not be had."""
        store = self.store
        wanted: dict[str, int] = {}
        for node in nodes:
            if store.has(node.key):
                keys = [node.key] if node.views else []
            else:
                keys = [source.key for source in sources(node) if store.has(source.key)]
            for key in keys:
                objects = store.records.objects(key) or {}
                wanted |= {d: s for d, s in objects.items() if not store.is_here(d, s)}
        lost = self.remote.fetch(wanted, store.object_path) if wanted else set()
        for digest in lost:
            store.far.pop(digest, None)
        return lost

    def fetch(self, objects: dict[str, int]) -> None:
        """Fetch objects that are about to be read."""
        for digest in self.remote.fetch(objects, self.store.object_path):
            self.store.far.pop(digest, None)

    def keep(self, nodes: Iterable[Node]) -> None:
        """Keep the records of nodes that are wholly here by now: they need the remote no more.

        Raises: StoreError when the local store cannot be written.
        """
        store = self.store
        here = [
            (node.key, self.pulled.pop(node.key))
            for node in nodes
            if node.key in self.pulled
            and all(
                store.is_here(*item) for item in (store.records.objects(node.key) or {}).items()
            )
        ]
        lines: dict[bytes, list[tuple[str, Entry]]] = {}
        for key, entry in here:
            lines.setdefault(entry[0], []).append((key, entry))
        for made, entries in lines.items():
            store.write_entries(made, entries)
        if lines:
            store.sync()

    # -- giving ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Send what is new from now on, in a thread of its own."""
        if self.pusher is None:
            self.pusher = Pusher(self.outbox)

    def offer(self) -> None:
        """Say that something may be new."""
        if self.pusher is not None:
            self.pusher.offer()

    def end(self) -> None:
        """Send what is left, also of earlier runs."""
        if self.pusher is None and self.outbox.outstanding():
            self.begin()
        if self.pusher is not None:
            self.pusher.close()
            self.pusher = None


def url_of(asked: str | None, project: Path) -> str | None:
    """Return the URL of the shared store: what the command line says, else the project's.

    `none` on the command line stands for none.

    Raises: UsageError when the project's setting is no text.
    """
    url = asked if asked is not None else settings(project).get("store")
    if url is not None and not isinstance(url, str):
        raise UsageError(f"{project / 'pyproject.toml'}: tool.runner.store must be a URL in quotes")
    return None if url == "none" else url
