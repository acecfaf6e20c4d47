"""A folder behind an fsspec URL: bounded reads and whole writes."""

from __future__ import annotations

import errno
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from runner.errors import UsageError
from runner.sharing.parallel import within
from runner.sharing.patience import AbsentError, Patience, RefusedError

T = TypeVar("T")

LIMIT = 30.0  # seconds for a request, besides those for its content
SLOWEST = 20e3  # bytes per second: a request that is slower is not waited for
CHUNK = 8 * 2**20  # bytes of one request: bounds memory and what a cut connection costs

# A put is whole or absent here; everywhere else content is sent aside and moved into place.
_ATOMIC = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"}
_S3 = {"connect_timeout": 5, "read_timeout": 20, "max_pool_connections": 32}


class Transport:
    """The files below one URL. Light until the first request; any thread may use it.

    `shown` is the URL as it may be printed. Every request may raise RefusedError and
    UnreachableError.

    Raises: UsageError when the text is no URL of the form `protocol://place`.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        if not re.match(r"[a-z][a-z0-9+.-]*://.", url) or "::" in url:
            given = "this text" if "@" in url else f'"{url}"'
            example = f"file://{url}" if url.startswith("/") else "s3://bucket/prefix"
            raise UsageError(f"{given} is no URL of a shared store; give one such as {example}")
        self.url = url.rstrip("/")
        self.shown, secrets = _shown(self.url)
        self._patience = Patience(self.shown, secrets)
        self._protocol = url.split(":", 1)[0]
        self._options = dict(options or {})
        self._opening = threading.Lock()
        self._files: Any = None
        self._root = ""
        self._folders: set[str] = set()  # those that were made

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size in bytes of each file of a folder; a folder not there has none."""

        def call() -> list[dict[str, Any]]:
            self._files.invalidate_cache()
            return list(self._files.ls(self._at(folder), detail=True))

        try:
            entries = self._ask(f"list {folder}/", call)
        except AbsentError:
            return {}
        files = [e for e in entries if e.get("type") == "file" and type(e.get("size")) is int]
        return {str(e["name"]).rsplit("/", 1)[-1]: e["size"] for e in files}

    def size(self, path: str) -> int | None:
        """Return the size in bytes of a file, or None when it is not there."""

        def call() -> int:
            self._files.invalidate_cache()
            return int(self._files.info(self._at(path))["size"])

        try:
            return self._ask(f"look for {path}", call)
        except AbsentError:
            return None

    def read(self, path: str, size: int) -> Iterator[bytes]:
        """Yield a file's content in pieces, at most `size` + 1 bytes: one more means longer.

        Raises: AbsentError when it is not there.
        """
        for start in range(0, size + 1, CHUNK):
            end = min(start + CHUNK, size + 1)

            def call(start: int = start, end: int = end) -> bytes:
                return self._piece(path, start, end)

            piece = self._ask(f"read {path}", call, end - start)
            yield piece
            if len(piece) < end - start:
                return

    def write(self, path: str, content: bytes | Path) -> None:
        """Put a whole file in place, over one that is there; no reader sees a part of it."""
        put = self._put if self._protocol in _ATOMIC else self._put_aside
        length = len(content) if isinstance(content, bytes) else content.stat().st_size
        try:
            self._ask(f"write {path}", lambda: put(self._at(path), content), length)
        except AbsentError as error:  # no such bucket
            raise RefusedError(str(error)) from error

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is no error."""
        with suppress(AbsentError):
            self._ask(f"remove {path}", lambda: self._files.rm_file(self._at(path)))

    def _piece(self, path: str, start: int, end: int) -> bytes:
        try:
            return bytes(self._files.cat_file(self._at(path), start=start, end=end))
        except OSError as error:
            if error.errno == errno.EINVAL:  # "range not satisfiable": it ends before `start`
                return b""
            raise

    def _put(self, target: str, content: bytes | Path) -> None:
        if isinstance(content, bytes):
            self._files.pipe_file(target, content)
        else:
            self._files.put_file(str(content), target)

    def _put_aside(self, target: str, content: bytes | Path) -> None:
        aside = self._at(f"aside/{uuid.uuid4().hex}")
        for folder in {path.rsplit("/", 1)[0] for path in (aside, target)} - self._folders:
            self._files.makedirs(folder, exist_ok=True)
            self._folders.add(folder)
        try:
            self._put(aside, content)
            if self._protocol == "file":  # fsspec's own move may turn into a copy
                with Path(aside).open("rb") as stream:
                    os.fsync(stream.fileno())
                Path(aside).replace(target)
            else:
                self._files.mv(aside, target)
        except BaseException:
            self._folders.clear()  # they may have been removed meanwhile
            with suppress(Exception):  # what is left aside is never read
                self._files.rm_file(aside)
            raise

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _ask(self, what: str, call: Callable[[], T], length: int = 0) -> T:
        """Make a request, with `length` bytes of content, for as long as Patience has it."""

        def opened() -> T:
            self._open()
            return within(LIMIT + length / SLOWEST, call)

        return self._patience.ask(what, opened)

    def _open(self) -> None:
        with self._opening:
            if self._files is not None:
                return
            try:
                from fsspec.core import url_to_fs

                options = {**_defaults(self._protocol), **self._options}
                files, root = url_to_fs(self.url, skip_instance_cache=True, **options)
            except ImportError as error:
                cure = "pip install 'runner[remote]' brings S3, others have packages of their own"
                raise RefusedError(f"{self.shown}: {self._patience.told(error)}; {cure}") from error
            if self._protocol in ("s3", "s3a"):
                files.retries = 1  # asking again is done here, with one measure for all protocols
            self._root = root.rstrip("/")
            self._files = files


def _defaults(protocol: str) -> dict[str, Any]:
    """Return options that bound how long a request may take, beneath a person's own."""
    if protocol not in ("s3", "s3a"):
        return {}
    from fsspec.config import conf

    own = conf.get(protocol, {}).get("config_kwargs", {})
    retries = {"total_max_attempts": 1}
    return {"max_concurrency": 3, "config_kwargs": {**_S3, "retries": retries, **own}}


def _shown(url: str) -> tuple[str, list[str]]:
    """Return a URL as it may be printed, and the parts of it that may not."""
    parts = urlsplit(url)
    hidden = [part for part in (parts.password, parts.query) if part]
    secrets = [*hidden, *map(unquote, hidden)]
    netloc = parts.netloc
    if parts.password:
        netloc = netloc.replace(f":{parts.password}@", ":***@")
    return f"{parts.scheme}://{netloc}{parts.path}" + ("?***" if parts.query else ""), secrets
