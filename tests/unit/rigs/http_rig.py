"""An HTTP server on loopback that answers what a function says: what scripted services and registries are made of."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Seen:
    """A request that the server got; header names in small letters."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]


Reply = tuple[int, Mapping[str, str], bytes]


@contextmanager
def serving(reply: Callable[[Seen], Reply]) -> Iterator[int]:
    """The server, on a free port, which it gives."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, told, body = reply(Seen(self.command, self.path, self.rfile.read(length), headers))
            self.send_response(status)
            for name, value in {**told, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
