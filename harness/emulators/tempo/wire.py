"""Plain ASGI: requests read whole, responses written whole, gzip where Tempo gives it."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

GZIP_FROM = 1400
"""Bytes from which an answer is worth compressing."""

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names in lower case, the last of repeated query parameters never wins, as in Go."""

    method: str
    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. `varies` marks the query routes, which compress and say so."""

    status: int
    body: bytes
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=())
    varies: bool = False


def text(status: int, body: str, *, varies: bool = False) -> Response:
    """Plain text with a charset, as Go's http.Error and friends write it."""
    headers = () if varies else (("X-Content-Type-Options", "nosniff"),)
    return Response(status, body.encode(), "text/plain; charset=utf-8", headers, varies=varies)


NOT_FOUND = text(404, "404 page not found\n")


def request_of(scope: Scope) -> Request:
    """The request line and headers of an ASGI scope."""
    parameters: dict[str, str] = {}
    for key, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        parameters.setdefault(key, value)
    headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
    return Request(scope["method"], unquote(scope["path"]), parameters, headers)


async def respond(send: Send, response: Response, request: Request) -> None:
    """Write an answer."""
    body = response.body
    headers = [(key.encode(), value.encode()) for key, value in response.headers]
    if response.content_type:
        headers.append((b"Content-Type", response.content_type.encode()))
    if response.varies:
        headers.append((b"Vary", b"Accept-Encoding"))
        if len(body) >= GZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, 1)
            headers.append((b"Content-Encoding", b"gzip"))
    headers.append((b"Content-Length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})
