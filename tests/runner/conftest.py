"""A real S3 server on loopback, and a proxy before it that does what networks do."""

from __future__ import annotations

import functools
import http.client
import re
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Proxy:
    """Relays requests to a server; `fail` says what goes wrong with which of them.

    Faults: a status code such as "500"; "drop" (closed without an answer), "hang" (no answer),
    "cut" (half of the answer's body), "spoil" (a wrong byte in it), "cut upload" (closed amid the
    request's body, which never reaches the server).
    """

    port: int
    faults: list[list[Any]] = field(default_factory=list)  # [method, pattern, fault, times left]
    requests: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, method: str, pattern: str, fault: str, times: int = 1) -> None:
        self.faults.append([method, pattern, fault, times])

    def take(self, method: str, path: str) -> str | None:
        with self.lock:
            self.requests.append((method, path))
            for rule in self.faults:
                if rule[3] and re.fullmatch(rule[0], method) and re.search(rule[1], path):
                    rule[3] -= 1
                    return str(rule[2])
        return None

    def asked(self, method: str, pattern: str = "") -> list[str]:
        """Return the paths of the requests so far that match."""
        return [p for m, p in self.requests if m == method and re.search(pattern, p)]


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:  # noqa: C901
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def relay(self) -> None:
            self.close_connection = True
            fault = proxy.take(self.command, self.path) or ""
            if fault == "drop":
                return
            if fault == "cut upload":
                self.rfile.read(int(self.headers["Content-Length"]) // 2)
                return
            body = self.body()
            if fault == "hang":
                self.connection.settimeout(20)
                self.rfile.read(1)  # until the other side gives up
            elif fault.isdigit():
                self.answer(int(fault), {}, b"", 0)
            else:
                self.pass_on(body, fault)

        def pass_on(self, body: bytes, fault: str) -> None:
            server = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
            names = ("transfer-encoding", "connection", "expect")
            kept = {k: v for k, v in self.headers.items() if k.lower() not in names}
            server.request(self.command, self.path, body, kept)
            answer = server.getresponse()
            content = answer.read()
            length = int(answer.headers.get("Content-Length", len(content)))
            if fault == "cut":
                content = content[: len(content) // 2]
            if fault == "spoil":
                content = content[:-1] + bytes([content[-1] ^ 1])
            self.answer(answer.status, dict(answer.headers), content, length)
            server.close()

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = relay  # noqa: N815

        def body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def answer(self, status: int, headers: dict[str, str], body: bytes, length: int) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "connection", "server", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

    return Handler


@dataclass(frozen=True)
class Bucket:
    """A fresh bucket of the S3 server. `options` go straight to it, `faulty` through the proxy."""

    name: str
    options: dict[str, Any]
    faulty: dict[str, Any]
    proxy: Proxy

    @property
    def url(self) -> str:
        return f"s3://{self.name}/team/store"

    def files(self) -> Any:
        """Return an fsspec file system that goes straight to the server."""
        import fsspec

        return fsspec.filesystem("s3", skip_instance_cache=True, **self.options)


@functools.cache
def _session() -> Any:
    """Return what all clients share: the description of S3 takes longer to read than any test."""
    from aiobotocore.session import get_session

    return get_session()


def _options(port: int) -> dict[str, Any]:
    endpoint = f"http://127.0.0.1:{port}"
    return {"key": "test", "secret": "test", "endpoint_url": endpoint, "session": _session()}


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """Start an S3 server in a process of its own; return its port."""
    pytest.importorskip("moto")
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stderr is not None
    try:
        found = next(filter(None, (re.search(r"127\.0\.0\.1:(\d+)", s) for s in server.stderr)))
        # its log is read to the end, else the server blocks once the pipe is full
        drain = threading.Thread(target=server.stderr.read, daemon=True)
        drain.start()
        yield int(found[1])
    finally:
        server.terminate()
        server.wait(10)
        drain.join(10)
        server.stderr.close()


@pytest.fixture
def bucket(s3_port: int) -> Iterator[Bucket]:
    """Return a new bucket, and a proxy without faults before it."""
    import urllib.request

    name = f"b{uuid.uuid4().hex[:12]}"
    request = urllib.request.Request(f"http://127.0.0.1:{s3_port}/{name}", method="PUT")
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
    proxy = Proxy(s3_port)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield Bucket(name, _options(s3_port), _options(server.server_address[1]), proxy)
    server.shutdown()
    server.server_close()


# -- a study that was run --------------------------------------------------------------------------

EVERY_TYPE = """
title = "every type that travels"
[axes]
k = [1, 2, 3]
[data.points]
use = "points"
[models.net]
use = "line"
[trainers.fit]
use = "descent"
model = "@net"
data = "@points"
save_at = [2]
[probes.early]
use = "size"
model = "@fit@2"
[probes.matrix]
use = "matrix"
scale = "$k"
[probes.pair]
use = "pair"
scale = 2.0
[probes.value]
use = "value"
k = "$k"
[renderers.page]
use = "page"
table = "@value"
path = "page.txt"
[expect.small]
table = "@value"
check = "max(value) < 10"
[hypotheses.growing]
claim = "values grow"
table = "@value"
check = "min(value) < max(value)"
[profiles.wide.axes]
k = [1, 2, 3, 4]
"""


@pytest.fixture(scope="session")
def _ran(shared_world: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    world = type(shared_world)(tmp_path_factory.mktemp("ran") / "world", shared_world.package)
    shutil.copytree(shared_world.plugins, world.plugins)
    shutil.copy(shared_world.folder / "pyproject.toml", world.folder)
    world.spec(EVERY_TYPE)
    done = world.run_cli("run", "study.toml", "-n", 1)
    assert done.code == 0, done.out + done.err
    return world


@pytest.fixture
def studied(_ran: Any, tmp_path: Path) -> Any:
    """Return a world of the test's own in which a study with every type was run."""
    folder = tmp_path / "studied"
    shutil.copytree(_ran.folder, folder)
    return type(_ran)(folder, _ran.package)
