"""The emulators' own HTTP client against servers that answer, cut off, stay silent, or are not there."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

import pytest

from harness.emulators.http_client import Response, TimedOut, Unreachable, fetch

SILENT = b""


def ask(raw: bytes, method: str = "GET", path: str = "/a?b=1", **more: Any) -> tuple[Response, bytes]:
    """The answer of a server that writes `raw` and closes (or, for nothing, waits), and what it was sent."""
    seen = bytearray()

    async def run() -> Response:
        over = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.extend(await reader.readuntil(b"\r\n\r\n"))
            if raw == SILENT:
                await reader.read()
            writer.write(raw)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            over.set()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            try:
                return await fetch(method, f"http://127.0.0.1:{port}{path}", **more)
            finally:
                await over.wait()

    return asyncio.run(run()), bytes(seen)


def test_a_request_and_its_answer() -> None:
    raw = b"HTTP/1.1 418 I'm a teapot\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    answer, seen = ask(raw, "POST", headers={"X-Two": "2"}, body=b"body")
    assert (answer.status, answer.reason, answer.body) == (418, "I'm a teapot", b"abc")
    assert ("x-one", "1") in answer.headers
    assert seen.startswith(b"POST /a?b=1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nX-Two: 2\r\nConnection: close\r\nContent-Length: 4\r\n\r\n" in seen


def test_head_has_no_body_and_a_body_without_length_ends_with_the_connection() -> None:
    assert ask(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD")[0].body == b""
    assert ask(b"HTTP/1.1 200 OK\r\n\r\nabc")[0].body == b"abc"


@pytest.mark.parametrize("raw", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", b"HTTP/1.1 200"])
def test_an_answer_that_is_cut_off_is_none(raw: bytes) -> None:
    with pytest.raises(Unreachable, match=r'^Get "http://127.0.0.1:\d+/a\?b=1": EOF$'):
        ask(raw)


def test_an_answer_that_is_not_http_is_none() -> None:
    with pytest.raises(Unreachable, match=r'^Get "http'):
        ask(b"hello\r\n\r\n")


def test_silence_ends_with_the_timeout() -> None:
    with pytest.raises(TimedOut, match="context deadline exceeded"):
        ask(SILENT, timeout=0.05)


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound and not listening: nobody else takes it
        port = free.getsockname()[1]
        with pytest.raises(Unreachable, match=f": dial tcp 127.0.0.1:{port}: connect: connection refused$"):
            asyncio.run(fetch("GET", f"http://127.0.0.1:{port}/"))
    with pytest.raises(Unreachable, match=r": dial tcp: lookup nobody\.invalid: no such host$"):
        asyncio.run(fetch("GET", "http://nobody.invalid/"))
