"""One HTTP request to a data source or webhook, on the event loop, with failures in the words of Go's net/http."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httptools

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length"})


class Unreachable(Exception):
    """No answer: refused, unknown host, or cut off. The text is Go's."""


class TimedOut(Unreachable):
    """No answer in time."""


@dataclass
class Response:
    """What came back, whole. Header names are in lower case."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = False


class _Collector:
    """The callbacks httptools' parser wants."""

    def __init__(self, method: str) -> None:
        self.response, self._bodyless = Response(), method == "HEAD"

    def on_headers_complete(self) -> None:
        self.response.complete = self._bodyless

    def on_header(self, name: bytes, value: bytes) -> None:
        self.response.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self.response.body += body

    def on_message_complete(self) -> None:
        self.response.complete = True


async def fetch(
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout: float = 30.0,
    dial: float = 10.0,
) -> Response:
    """Ask once, without redirects or retries. `timeout` and `dial` in seconds. Raises TimedOut and Unreachable."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    name = f'{method.title()} "{url}"'
    try:
        async with asyncio.timeout(timeout):
            async with asyncio.timeout(dial):
                reader, writer = await asyncio.open_connection(
                    parts.hostname, port, ssl=parts.scheme == "https" or None
                )
            try:
                return await _exchange(reader, writer, method, parts, dict(headers or {}), body)
            finally:
                writer.close()
    except TimeoutError:
        raise TimedOut(f"{name}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)") from None
    except socket.gaierror:
        raise Unreachable(f"{name}: dial tcp: lookup {parts.hostname}: no such host") from None
    except ConnectionRefusedError:
        raise Unreachable(f"{name}: dial tcp {parts.hostname}:{port}: connect: connection refused") from None
    except (OSError, EOFError, httptools.HttpParserError) as error:
        raise Unreachable(f"{name}: {'EOF' if isinstance(error, EOFError) else error}") from None


async def _exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    method: str,
    parts: Any,
    headers: dict[str, str],
    body: bytes,
) -> Response:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": "Grafana/13.2.3"} | headers | {"Connection": "close"}
    if body or method in {"POST", "PUT", "PATCH"}:
        sent["Content-Length"] = str(len(body))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
    await writer.drain()
    collector = _Collector(method)
    parser = httptools.HttpResponseParser(collector)
    while not collector.response.complete:
        chunk = await reader.read(65536)
        if not chunk:
            framed = {"content-length", "transfer-encoding"} & {name for name, _ in collector.response.headers}
            if collector.response.status and not framed:
                break  # a body without a length ends with the connection
            raise EOFError
        parser.feed_data(chunk)
        collector.response.status = parser.get_status_code()
    return collector.response
