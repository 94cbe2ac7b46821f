"""Bodies in pieces, packed, cut off, and packed so that little becomes much."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import pytest

from harness.emulators.bodies import CutOffError, TooLargeError, inflate, read_body


def read(*chunks: bytes, limit: int) -> bytes:
    """A body that arrives in these pieces."""
    left = list(chunks)

    async def receive() -> dict[str, Any]:
        return {"body": left.pop(0), "more_body": bool(left)}

    return asyncio.run(read_body(receive, limit))


def test_a_body_is_read_whole_up_to_its_limit() -> None:
    assert read(b"ab", b"", b"cd", limit=4) == b"abcd"
    with pytest.raises(TooLargeError):
        read(b"ab", b"cd", limit=3)


def test_a_body_whose_client_leaves_is_not_taken_for_whole() -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    with pytest.raises(CutOffError):
        asyncio.run(read_body(receive, 10))


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"plain", ""),
        (gzip.compress(b"plain"), "gzip"),
        (gzip.compress(b"pl") + gzip.compress(b"ain"), "gzip"),
        (zlib.compress(b"plain"), "deflate"),
    ],
    ids=["none", "gzip", "gzip in two parts", "deflate"],
)
def test_known_encodings_are_unpacked(body: bytes, encoding: str) -> None:
    assert inflate(body, encoding, 100) == b"plain"


@pytest.mark.parametrize(
    ("body", "encoding", "message"),
    [
        (b"x", "br", "unsupported Content-Encoding: br"),
        (b"x", "identity", "unsupported Content-Encoding: identity"),
        (b"", "gzip", "EOF"),
        (b"short", "gzip", "unexpected EOF"),
        (b"not packed at all", "gzip", "gzip: invalid header"),
        (gzip.compress(b"plain")[:-4], "gzip", "unexpected EOF"),
        (gzip.compress(b"plain")[:-8] + bytes(8), "gzip", "gzip: invalid checksum"),
        (gzip.compress(b"plain") + b"something else", "gzip", "gzip: invalid header"),
    ],
    ids=["unknown", "identity", "empty", "short", "other", "cut off", "changed", "followed"],
)
def test_what_cannot_be_unpacked_is_refused(body: bytes, encoding: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inflate(body, encoding, 100)


def test_little_that_becomes_much_is_too_large() -> None:
    with pytest.raises(TooLargeError):
        inflate(gzip.compress(bytes(1_000_000)), "gzip", 1000)
    with pytest.raises(TooLargeError):
        inflate(gzip.compress(bytes(600)) * 2, "gzip", 1000)
