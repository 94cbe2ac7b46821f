"""A backend of a test's own: takes OTLP over HTTP, answers as it is told, and keeps what it took."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness.model import Endpoint

OK = 200
MESSAGES = {
    "/v1/traces": ("trace", "Trace", "resource_spans", "scope_spans", "spans"),
    "/v1/metrics": ("metrics", "Metrics", "resource_metrics", "scope_metrics", "metrics"),
    "/v1/logs": ("logs", "Logs", "resource_logs", "scope_logs", "log_records"),
}
"""By path: package and name of the service, and the fields that lead to the items."""


@dataclass(frozen=True)
class Taken:
    """One request: when it came (monotonic seconds), its path, the message, and the status it was answered with."""

    at: float
    path: str
    message: Any
    status: int

    @property
    def items(self) -> list[Any]:
        """Its spans, metrics or log records."""
        _, _, groups, scopes, leaves = MESSAGES[self.path]
        return [
            item for group in getattr(self.message, groups) for scope in getattr(group, scopes)
            for item in getattr(scope, leaves)
        ]  # fmt: skip


@dataclass
class OtlpSink:
    """Listens on `endpoint` between `open` and `close`; use it as a context manager.

    `answers` is used up one per request: a status, or a status with headers. After that everything is taken.
    While `hold` is set, requests wait for their answer.
    """

    endpoint: Endpoint
    answers: list[int | tuple[int, Mapping[str, str]]] = field(default_factory=list)
    requests: list[Taken] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def items(self, path: str = "/v1/traces") -> list[Any]:
        """All that was taken (answered 200) at a path, in order of arrival, duplicates included."""
        return [item for one in list(self.requests) if (one.path, one.status) == (path, OK) for item in one.items]

    def open(self) -> None:
        """Start to listen. Harmless when it does."""
        if self._server is None:
            self._server = _Server((self.endpoint.host, self.endpoint.port), self)
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop listening: connections are refused from now on."""
        self.hold.clear()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> OtlpSink:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, path: str, body: bytes) -> tuple[int, Mapping[str, str]]:
        """What a request is answered with: called by the server, one at a time for the plan's sake."""
        with self._lock:
            planned = self.answers.pop(0) if self.answers else OK
            status, headers = (planned, {}) if isinstance(planned, int) else planned
            self.requests.append(Taken(time.monotonic(), path, _parse(path, body), status))
        while self.hold.is_set():
            time.sleep(0.01)
        return status, headers


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], sink: OtlpSink) -> None:
        self.sink = sink
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        sink: OtlpSink = self.server.sink  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        status, headers = sink.take(self.path, body)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Nothing: the test says what matters."""


def _parse(path: str, body: bytes) -> Any:
    import importlib

    package, name, *_ = MESSAGES[path]
    module = importlib.import_module(f"opentelemetry.proto.collector.{package}.v1.{package}_service_pb2")
    return getattr(module, f"Export{name}ServiceRequest").FromString(body)
