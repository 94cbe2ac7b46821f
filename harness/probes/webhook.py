"""A webhook receiver of a test's own: refuses as often as it is told to, and keeps what it took."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Protocol


@dataclass
class Webhook:
    """Where it listens, how many requests it refuses with 503 before it takes one, and what it took: headers (names in
    lower case) and the JSON body of each request."""

    url: str = ""
    refuse: int = 0
    got: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)


class Callers(Protocol):
    """Whoever sends: a stack of the harness."""

    @property
    def callback_host(self) -> str:
        """What a receiver binds."""
        ...

    def called_at(self, port: int) -> AbstractContextManager[str]:
        """Where they reach it."""
        ...


@contextmanager
def listening(callers: Callers) -> Iterator[Webhook]:
    """A receiver on a free port, where the services of a stack reach it."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            refused, hook.refuse = hook.refuse > 0, hook.refuse - 1
            if not refused:
                hook.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(503 if refused else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with (
        ThreadingHTTPServer((callers.callback_host, 0), Handler) as server,
        callers.called_at(server.server_port) as address,
    ):
        hook.url = f"http://{address}/hook"
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield hook
        finally:
            server.shutdown()
