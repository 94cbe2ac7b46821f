"""ASGI answers as Go's net/http writes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


async def answer(send: Send, status: int, content_type: str, body: bytes, **headers: str) -> None:
    """One complete answer. Header names are given with `_` for `-`."""
    pairs = {"content-type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    pairs["content-length"] = str(len(body))
    raw = [(name.encode(), value.encode()) for name, value in pairs.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def not_found(send: Send) -> None:
    """What Go's mux says of a path it has not."""
    await answer(send, 404, "text/plain; charset=utf-8", b"404 page not found\n", x_content_type_options="nosniff")


def header(scope: Scope, name: bytes) -> str:
    """A request header's value, or an empty text."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
