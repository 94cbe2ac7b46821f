"""A Grafana without sockets on a clock that tests move, the emulator as a process, and the servers it calls."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from harness.emulators.grafana.config import load
from harness.emulators.grafana.errors import GrafanaError
from harness.emulators.grafana.grafana import Grafana
from harness.emulators.grafana.site import Site
from harness.emulators.grafana.store import Store

START = 1_700_000_000.0
REPOSITORY = Path(__file__).parents[4]


@dataclass
class Clock:
    """Seconds since the epoch, moved by hand."""

    now: float = START

    def __call__(self) -> float:
        return self.now


def make(*defects: str, clock: Clock | None = None, store: Store | None = None, **environ: str) -> Grafana:
    """A Grafana in memory with these seeded defects and this environment."""
    settings = load([], {"GF_PATHS_PROVISIONING": "/nonexistent", **environ})
    return Grafana(Site(store or Store(), settings, clock or Clock(), frozenset(defects)), environ)


def refused(call: Callable[..., Any], *arguments: Any) -> GrafanaError:
    """The error that this call raises."""
    with pytest.raises(GrafanaError) as caught:
        call(*arguments)
    return caught.value


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Server:
    """The emulator as a process."""

    def __init__(self, data: Path, environ: dict[str, str], arguments: tuple[str, ...] = ()) -> None:
        self.data, self.port = data, free_port()
        fixed = {"GF_SERVER_HTTP_ADDR": "127.0.0.1", "GF_SERVER_HTTP_PORT": str(self.port), "GF_PATHS_DATA": str(data)}
        fixed |= {"GF_PATHS_PROVISIONING": str(data / "none"), "GF_SECURITY_ADMIN_PASSWORD": "secret"}
        self.environ = {**os.environ, **fixed, "GF_DATABASE_WAL": "true", **environ}
        self.arguments, self.url = arguments, f"http://127.0.0.1:{self.port}"
        self.session = requests.Session()
        self.session.trust_env, self.session.auth = False, ("admin", "secret")
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "harness.emulators.grafana", "server", *self.arguments]
        self.process = subprocess.Popen(command, env=self.environ, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY)
        deadline = time.monotonic() + 5
        while True:
            try:
                requests.get(self.url + "/healthz", timeout=1).raise_for_status()
            except requests.ConnectionError:
                assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
                assert time.monotonic() < deadline, "not ready in 5 s"
                time.sleep(0.02)
            else:
                return

    def call(self, method: str, path: str, body: Any = None, **extra: Any) -> requests.Response:
        return self.session.request(method, self.url + path, json=body, timeout=10, **extra)

    def stop(self, kill: bool = False) -> int:
        assert self.process
        self.process.kill() if kill else self.process.terminate()
        code = self.process.wait(timeout=5)
        assert self.process.stderr
        self.process.stderr.close()
        return code


@contextmanager
def running(data: Path, *arguments: str, **environ: str) -> Iterator[Server]:
    """The emulator, started with these arguments and this environment, and ended with the block."""
    server = Server(data, environ, arguments)
    server.start()
    try:
        yield server
    finally:
        if server.process and server.process.poll() is None:
            server.stop(kill=True)


@dataclass
class Upstream:
    """A small HTTP server: `answers` by path, `calls` as they came."""

    answers: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    delay: float = 0.0
    url: str = ""

    def payloads(self) -> list[dict[str, Any]]:
        """The bodies received, as JSON."""
        return [json.loads(body) for _, _, _, body in self.calls]


@contextmanager
def serving() -> Iterator[Upstream]:
    """A fake Tempo or webhook receiver on loopback."""
    state = Upstream()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.calls.append((self.command, self.path, headers, body))
            time.sleep(state.delay)
            unknown = (404, "text/plain", b"not found")
            status, content_type, answer = state.answers.get(self.path.partition("?")[0], unknown)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Set-Cookie", "upstream=1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            with suppress(BrokenPipeError):  # the caller may have given up
                self.wfile.write(answer)

        do_POST = do_PUT = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def eventually(check: Callable[[], Any], seconds: float = 8.0) -> Any:
    """The first true value of `check`, asked again until `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.03)
    return found


def fires(uid: str = "always", **fields: Any) -> dict[str, Any]:
    """An alert rule that fires without any data source."""
    source = {"type": "__expr__", "uid": "__expr__"}
    model = {"refId": "A", "type": "math", "expression": "2 + 3 > 1", "datasource": source}
    rule = {"uid": uid, "title": f"Title {uid}", "folderUID": "f", "ruleGroup": "g", "orgID": 1, "condition": "A"}
    rule |= {"data": [{"refId": "A", "datasourceUid": "__expr__", "model": model}], "for": "0s"}
    return rule | {"noDataState": "NoData", "execErrState": "Error"} | fields
