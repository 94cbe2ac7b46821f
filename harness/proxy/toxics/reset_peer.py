"""Reset peer: the connection breaks off without a goodbye."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.proxy.stream import Stub


@dataclass(frozen=True)
class ResetPeer:
    """Reset both sides (RST) `timeout` milliseconds after the first data or end of stream.

    It fires on data, so an idle connection stays until it is used. Until it fires nothing is lost: removing it in time
    delivers what was held.
    """

    NAME: ClassVar[str] = "reset_peer"

    timeout: int = 0

    async def pipe(self, stub: Stub) -> None:
        """Wait for something to happen, then for the delay, then reset."""
        first = await stub.head()
        await stub.until(first.at + self.timeout / 1000)
        stub.reset()
