"""Timeout: a black hole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from harness.proxy.stream import Stub


@dataclass(frozen=True)
class Timeout:
    """Drop everything, and close the connection after `timeout` milliseconds of silence. 0 never closes it.

    Each chunk that arrives (and is dropped) starts the silence anew. Removing the toxic closes the connections that it
    struck, as upstream does: bytes are missing from their streams, so clients have to connect again.
    """

    NAME: ClassVar[str] = "timeout"

    timeout: int = 0

    async def pipe(self, stub: Stub) -> None:
        """Drop until silent for long enough, or until the stream ends by itself."""
        silence = self.timeout / 1000 if self.timeout else math.inf
        while await stub.head_before(stub.now() + silence):
            stub.drop()

    def cleanup(self, stub: Stub) -> None:
        """The stream has a hole, so it cannot go on."""
        stub.close()
