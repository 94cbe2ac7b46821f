"""Starting the emulator for a test, and a running query without a server."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from harness.emulators.arangodb.aql.context import Context, Limits
from harness.emulators.arangodb.aql.query import Answer, execute
from harness.emulators.arangodb.defects import DEFECTS
from harness.emulators.arangodb.log import Log
from harness.emulators.arangodb.options import Options
from harness.emulators.arangodb.server import Server
from harness.emulators.arangodb.wire.app import App
from harness.emulators.runner import Defects

PASSWORD = "pw"


@dataclass
class Running:
    """One emulator process."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def client(self) -> Any:
        """A python-arango client that does not retry."""
        from arango.client import ArangoClient
        from arango.http import DefaultHTTPClient

        return ArangoClient(hosts=self.url, http_client=DefaultHTTPClient(retry_attempts=0), resolver_max_tries=1)

    def database(self, name: str = "_system") -> Any:
        """A database as root."""
        return self.client().db(name, username="root", password=PASSWORD)

    def call(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """A plain request as root."""
        kwargs.setdefault("auth", ("root", PASSWORD))
        return requests.request(method, self.url + path, timeout=30, **kwargs)

    def stop(self, *, kill: bool = False) -> None:
        """End the process: SIGTERM, or SIGKILL with `kill`."""
        if self.process.poll() is None:
            self.process.kill() if kill else self.process.terminate()
        self.process.wait(10)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def launch(log: Path, *args: str, env: dict[str, str] | None = None) -> Running:
    """Start an emulator and wait until it answers."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "harness.emulators.arangodb",
        "--server.endpoint",
        f"tcp://127.0.0.1:{port}",
        *args,
    ]
    environment = {**os.environ, **(env or {"ARANGO_ROOT_PASSWORD": PASSWORD})}
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    running = Running(f"http://127.0.0.1:{port}", process, log)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(running.url + "/_admin/server/availability", timeout=5).ok:
                return running
        except requests.ConnectionError:
            time.sleep(0.02)
    process.kill()
    raise AssertionError(f"emulator did not start: {log.read_text()}")


Launch = Callable[..., Running]


@pytest.fixture
def arangod(tmp_path: Path) -> Iterator[Launch]:
    """Starts emulators and stops them afterwards."""
    started: list[Running] = []

    def start(*args: str, env: dict[str, str] | None = None) -> Running:
        started.append(launch(tmp_path / "log", *args, env=env))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One emulator for the tests that do not mind each other."""
    running = launch(tmp_path_factory.mktemp("arangodb") / "log", "--ttl.frequency", "300")
    yield running
    running.stop()


def make_server(*defects: str, log: Log | None = None, **options: Any) -> Server:
    """A server's state without sockets."""
    return Server(Options(**options), Defects(DEFECTS, frozenset(defects)), log)


@dataclass
class Aql:
    """Runs queries over one database in memory."""

    server: Server = field(default_factory=make_server)

    def answer(self, text: str, *, full_count: bool = False, limits: Limits | None = None, **bind: Any) -> Answer:
        """The whole answer; the transaction is aborted when the query fails."""
        database = self.server.catalog.database("_system")
        trx = self.server.catalog.store.begin()
        graph = self.server.graphs
        ctx = Context(
            database, trx, self.server.documents, lambda *_: None, lambda name: graph.get(database, name),
            limits or Limits(),
        )  # fmt: skip
        try:
            answer = execute(ctx, text, bind, full_count=full_count)
        except BaseException:
            trx.abort()
            raise
        trx.commit()
        return answer

    def __call__(self, text: str, **bind: Any) -> list[Any]:
        """The rows."""
        return self.answer(text, **bind).rows

    def collection(self, name: str, kind: int = 2) -> None:
        """Create a collection."""
        database = self.server.catalog.database("_system")
        self.server.catalog.create_collection(database, {"name": name, "type": kind})


@pytest.fixture
def aql() -> Aql:
    """An empty database to query."""
    return Aql()


@dataclass
class InProcess:
    """The HTTP interface of a server without sockets."""

    server: Server

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and body of one request as root."""
        status, content = asyncio.run(self._send(method, path, body, headers))
        return status, json.loads(content) if content else None

    async def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, bytes]:
        raw, _, query = path.partition("?")
        sent: list[dict[str, Any]] = []
        given = {"authorization": "Basic " + base64.b64encode(b"root:").decode()}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"" if body is None else json.dumps(body).encode()}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope: dict[str, Any] = {
            "method": method,
            "path": raw,
            "raw_path": raw.encode(),
            "query_string": query.encode(),
        }
        scope["headers"] = [(name.encode(), value.encode()) for name, value in given.items()]
        await App(self.server)(scope, receive, send)
        return sent[0]["status"], sent[1]["body"]


@pytest.fixture
def servers() -> Callable[..., Server]:
    """Makes server states: `servers("defect", ...)`."""
    return make_server


@pytest.fixture
def http() -> Callable[[Server], InProcess]:
    """Makes the HTTP interface of a server state."""
    return InProcess


@pytest.fixture
def aql_on() -> Callable[[Server], Aql]:
    """Makes a query runner over a server state."""
    return Aql


@pytest.fixture
def make_aql() -> Callable[[], Aql]:
    """Makes empty databases to query."""
    return Aql
