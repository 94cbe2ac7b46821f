"""Limit data: a connection that breaks off after so many bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.proxy.stream import Stub


@dataclass(frozen=True)
class LimitData:
    """Forward `bytes` bytes on each connection, then close it. 0 closes at the first byte.

    Counted per connection from when the toxic met it; an update changes the limit and keeps the count.
    """

    NAME: ClassVar[str] = "limit_data"

    bytes: int = 0

    async def pipe(self, stub: Stub) -> None:
        """Forward up to the limit; what is beyond it is dropped by closing."""
        while chunk := await stub.head():
            left = max(0, self.bytes - stub.forwarded)
            if left > len(chunk.data):
                await stub.forward()
                continue
            if left:
                await stub.forward(left)
            return
