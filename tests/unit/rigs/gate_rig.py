"""A gate in front of a service, as environments have one: ends TLS, may refuse, and notes every request.

It shares nothing with the clients that it watches: plain sockets, HTTP and RESP read as far as the request's name.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme

HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})
Refusal = tuple[int, str]
Guard = Callable[[str, str, Mapping[str, str]], Refusal | None]
"""From method, path and headers (lower case) to what is answered instead of asking the service."""


def server_context(authority: trustme.CA, expired: bool = False) -> ssl.SSLContext:
    """For a server on 127.0.0.1, with a certificate of this authority; one that ended yesterday when asked for."""
    now = datetime.now(UTC)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_of(authority, expired, now).configure_cert(context)
    return context


def certificate_of(authority: trustme.CA, expired: bool, now: datetime) -> trustme.LeafCert:
    """A certificate for 127.0.0.1 and localhost."""
    ends = now - timedelta(days=1) if expired else now + timedelta(days=1)
    return authority.issue_cert("127.0.0.1", "localhost", not_before=now - timedelta(days=2), not_after=ends)


def authority_file(authority: trustme.CA, path: Path) -> Path:
    """The authority's own certificate, for clients."""
    authority.cert_pem.write_to_path(str(path))
    return path


@dataclass
class Gate:
    """Where clients connect, and what they asked for: `GET /path`, or a Redis command."""

    port: int
    seen: list[str] = field(default_factory=list)


@contextlib.contextmanager
def _serving(server: socketserver.TCPServer, tls: ssl.SSLContext | None) -> Iterator[int]:
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address, block_on_close = True, True, False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust us hangs up; that is what is tested."""


@contextlib.contextmanager
def http_gate(
    address: tuple[str, int], tls: ssl.SSLContext | None = None, guard: Guard | None = None
) -> Iterator[Gate]:
    """A gate in front of a service that speaks HTTP."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version, timeout = "HTTP/1.1", 10

        def pass_on(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length") or 0))
            gate.seen.append(f"{self.command} {self.path}")
            refused = guard(self.command, self.path, headers) if guard else None
            if refused:
                self.answer(refused[0], {}, refused[1].encode())
                return
            connection = http.client.HTTPConnection(*address, timeout=10)
            with contextlib.closing(connection):
                kept = {name: value for name, value in headers.items() if name not in HOP}
                connection.request(self.command, self.path, body or None, kept)
                response = connection.getresponse()
                self.answer(response.status, dict(response.getheaders()), response.read())

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = pass_on  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    gate = Gate(0)
    with _serving(_Server(("127.0.0.1", 0), Handler), tls) as gate.port:
        yield gate


@contextlib.contextmanager
def redis_gate(address: tuple[str, int], tls: ssl.SSLContext | None = None) -> Iterator[Gate]:
    """A gate in front of a Redis: notes the name of each command, subcommands with theirs."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(address, timeout=10) as server:
                back = threading.Thread(target=_copy, args=(server, self.request), daemon=True)
                back.start()
                reader = self.request.makefile("rb")
                while command := _command(reader):
                    raw, words = command
                    gate.seen.append(_named(words))
                    server.sendall(raw)
                server.shutdown(socket.SHUT_WR)
                back.join(5)

    gate = Gate(0)
    with _serving(_Server(("127.0.0.1", 0), Handler), tls) as gate.port:
        yield gate


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


def _command(reader: Any) -> tuple[bytes, list[str]] | None:
    """One RESP array of bulk strings, raw and as words; None at the end."""
    head = reader.readline()
    if not head.startswith(b"*"):
        return None
    raw, words = head, []
    for _ in range(int(head[1:])):
        length = reader.readline()
        text = reader.read(int(length[1:]) + 2)
        raw += length + text
        words.append(text[:-2].decode(errors="replace"))
    return raw, words


def _named(words: list[str]) -> str:
    grouped = words[0].upper() in {"CLIENT", "ACL", "CONFIG", "SCRIPT", "FUNCTION", "MEMORY"}
    return " ".join(word.upper() for word in words[: 2 if grouped else 1])
