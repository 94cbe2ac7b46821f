"""HTTP: one span, one log line and one measurement for each request, none for probes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from opentelemetry import propagate
from opentelemetry.trace import Span, SpanKind

from .catalogue import Catalogue
from .errors import RequestError, Unknown
from .metrics_page import CONTENT_TYPE, MetricsPage
from .telemetry import Telemetry, mark_failed


class Server(ThreadingHTTPServer):
    """A thread per connection."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], catalogue: Catalogue, telemetry: Telemetry) -> None:
        self.catalogue, self.telemetry = catalogue, telemetry
        self.page = MetricsPage(telemetry.page_reader)
        super().__init__(address, Handler)


class Handler(BaseHTTPRequestHandler):
    """Routes and what they answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Probes, metrics, configuration, items."""
        path = urlsplit(self.path).path
        if path == "/health":
            self._answer(200, {"status": "alive"})
        elif path == "/ready":
            usable, states = self.server.catalogue.ready()
            self._answer(200 if usable else 503, states)
        elif path == "/metrics":
            self._send(200, self.server.page.render().encode(), CONTENT_TYPE)
        elif path == "/config":
            self._answer(200, self.server.catalogue.config())
        else:
            self._traced("GET")

    def do_PUT(self) -> None:
        """Write an item."""
        self._traced("PUT")

    def do_POST(self) -> None:
        """Count, or take this instance out of service."""
        if self.path == "/drain":
            self.server.catalogue.draining.set()
            self._answer(202, {"status": "draining"})
        else:
            self._traced("POST")

    def _traced(self, method: str) -> None:
        began, telemetry = time.perf_counter(), self.server.telemetry
        words = [word for word in urlsplit(self.path).path.split("/") if word]
        route = f"/{words[0]}" if words else "/"
        parent = propagate.extract(dict(self.headers.items()))
        about = {"http.request.method": method, "http.route": route}
        with telemetry.tracer.start_as_current_span(f"{method} {route}", parent, SpanKind.SERVER, about) as span:
            status, body = self._outcome(method, words, span)
            span.set_attribute("http.response.status_code", status)
            seconds = time.perf_counter() - began
            telemetry.duration.record(seconds, {**about, "http.response.status_code": status})
            telemetry.log("request", method=method, path=self.path, status=status, seconds=round(seconds, 6))
        self._answer(status, body)

    def _outcome(self, method: str, words: list[str], span: Span) -> tuple[int, Mapping[str, Any]]:
        try:
            sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            return 200, self._dispatch(method, words, json.loads(sent) if sent else None)
        except RequestError as error:
            if error.status >= 500:
                mark_failed(span, str(error))
            return error.status, {"error": str(error)}
        except Exception as error:  # a bug is an answer too, and one that is seen
            mark_failed(span, f"{type(error).__name__}: {error}")
            return 500, {"error": f"{type(error).__name__}: {error}"}

    def _dispatch(self, method: str, words: list[str], body: Any) -> Mapping[str, Any]:
        catalogue = self.server.catalogue
        match method, words:
            case "GET", ["items", key]:
                return catalogue.read(key)
            case "PUT", ["items", key]:
                return catalogue.write(key, body)
            case "POST", ["counts", key]:
                locked = "unlocked" not in parse_qs(urlsplit(self.path).query, keep_blank_values=True)
                return catalogue.count(key, locked)
            case "GET", ["through", service, key]:
                return catalogue.read_through(service, key)
        raise Unknown(f"no route {method} {self.path}")

    def _answer(self, status: int, body: Mapping[str, Any]) -> None:
        self._send(status, json.dumps(body).encode(), "application/json")

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self._headers_buffer.append(b"\r\n" + body)  # type: ignore[attr-defined]  # one segment, not two
        self.flush_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Nothing: the log has its own lines."""
