"""Request bodies: read whole up to a limit, and unpacked up to the same limit, with the errors of Go's receivers."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

NOT_UNPACKED = frozenset({"zstd", "snappy", "x-snappy-framed", "lz4"})
"""Encodings that Go's receivers read and these do not: not emulated, which is no fault of the sender."""
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
SHORTEST_GZIP = 10
"""Bytes of a gzip header: fewer are a body that was cut off, not one of another format."""


class TooLargeError(Exception):
    """A body longer than allowed, as sent or once unpacked."""


class CutOffError(TooLargeError):
    """The client left in the middle of its body: refused like one too large, with nobody there to read the answer."""


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body of a request. Raises TooLargeError past `limit` bytes (the rest is not read), or CutOffError."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message.get("type") == "http.disconnect":
            raise CutOffError
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise TooLargeError
        if not message.get("more_body"):
            return b"".join(chunks)


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """A body without its Content-Encoding. Raises ValueError in the receiver's words, TooLargeError past `limit`."""
    if not encoding:
        return body
    if encoding not in {"gzip", "deflate", "zlib"}:
        raise ValueError(f"unsupported Content-Encoding: {encoding}")
    if not body:
        raise ValueError("EOF")
    plain = b""
    while body:
        unpacker = zlib.decompressobj(GZIP_OR_ZLIB)
        try:
            plain += unpacker.decompress(body, limit + 1 - len(plain))
        except zlib.error as error:
            fault = "invalid checksum" if "data check" in str(error) else "invalid header"
            raise ValueError("unexpected EOF" if len(body) < SHORTEST_GZIP else f"gzip: {fault}") from error
        if len(plain) > limit:
            raise TooLargeError
        if not unpacker.eof:
            raise ValueError("unexpected EOF")
        body = unpacker.unused_data if encoding == "gzip" else b""  # gzip files may follow each other
    return plain
