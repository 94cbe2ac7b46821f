"""Latency: everything arrives later, nothing arrives slower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.proxy.stream import Stub


@dataclass(frozen=True)
class Latency:
    """Delay each chunk by `latency` milliseconds, plus or minus up to `jitter`, counted from its arrival.

    Chunks on their way at the same time do not wait for each other, as on a long wire; their order is kept, so a chunk
    with a small draw may wait for the one before it. The TCP handshake is not delayed, nor is the end of the stream.
    """

    NAME: ClassVar[str] = "latency"

    latency: int = 0
    jitter: int = 0

    async def pipe(self, stub: Stub) -> None:
        """Hold each chunk for what is left of its delay."""
        while chunk := await stub.head():
            spread = stub.rng.uniform(-self.jitter, self.jitter)
            await stub.until(chunk.at + (self.latency + spread) / 1000)
            await stub.forward()

    def buffer_size(self) -> int:
        """A long wire holds what is on its way: enough for 80 MB/s at 100 ms, and still bounded."""
        return 8 * 1024 * 1024
