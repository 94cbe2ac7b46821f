"""One HTTP request of an emulated server to somebody else, with failures in the words of Go's net and net/http."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import httptools

DIAL_ERRORS = {errno.ECONNREFUSED: "connect: connection refused", errno.EHOSTUNREACH: "connect: no route to host"}


class Unreachable(Exception):
    """No answer: refused, unknown host, or cut off. The text is Go's."""


class TimedOut(Unreachable):
    """No answer in time."""


@dataclass
class Response:
    """What came back, whole. Header names are in lower case."""

    status: int = 0
    reason: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = False


class _Collector:
    """The callbacks httptools' parser wants."""

    def __init__(self, method: str) -> None:
        self.response, self.headed, self._bodyless = Response(), False, method == "HEAD"

    def on_status(self, reason: bytes) -> None:
        self.response.reason += reason.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.response.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self.headed, self.response.complete = True, self._bodyless

    def on_body(self, body: bytes) -> None:
        self.response.body += body

    def on_message_complete(self) -> None:
        self.response.complete = True


async def dial(host: str, port: int, *, tls: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection. Raises Unreachable."""
    try:
        return await asyncio.open_connection(host, port, ssl=tls or None)
    except OSError as error:
        number = error.errno or 0
        if number < 0:  # getaddrinfo's own numbers
            raise Unreachable(f"dial tcp: lookup {host}: no such host") from None
        text = DIAL_ERRORS.get(number) or (os.strerror(number).lower() if number else str(error))
        raise Unreachable(f"dial tcp {host}:{port}: {text}") from None


async def fetch(
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    timeout: float = 30.0,
    dial_timeout: float = 10.0,
) -> Response:
    """Ask once, without redirects or retries; timeouts in seconds. Raises TimedOut and Unreachable."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    name = f'{method.title()} "{url}"'
    try:
        async with asyncio.timeout(timeout):
            async with asyncio.timeout(dial_timeout):
                reader, writer = await dial(parts.hostname or "", port, tls=parts.scheme == "https")
            try:
                writer.write(_request(method, parts, dict(headers or {}), body))
                await writer.drain()
                return await _response(reader, method)
            finally:
                writer.close()
    except TimeoutError:
        raise TimedOut(f"{name}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)") from None
    except Unreachable as error:
        raise Unreachable(f"{name}: {error}") from None
    except (OSError, EOFError, httptools.HttpParserError) as error:
        raise Unreachable(f"{name}: {'EOF' if isinstance(error, EOFError) else error}") from None


def _request(method: str, parts: SplitResult, headers: dict[str, str], body: bytes) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = {"Host": parts.netloc.rpartition("@")[2]} | headers | {"Connection": "close"}
    if body or method in {"POST", "PUT", "PATCH"}:
        sent["Content-Length"] = str(len(body))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


async def _response(reader: asyncio.StreamReader, method: str) -> Response:
    collector = _Collector(method)
    parser, response = httptools.HttpResponseParser(collector), collector.response
    while not response.complete:
        chunk = await reader.read(65536)
        if not chunk:
            framed = {"content-length", "transfer-encoding"} & {name for name, _ in response.headers}
            if collector.headed and not framed:
                break  # a body without a length ends with the connection
            raise EOFError
        parser.feed_data(chunk)
        response.status = parser.get_status_code()
    return response
