"""Slow close: the data comes at once, the goodbye late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.proxy.stream import Stub


@dataclass(frozen=True)
class SlowClose:
    """Delay the end of the stream by `delay` milliseconds. Data is not delayed."""

    NAME: ClassVar[str] = "slow_close"

    delay: int = 0

    async def pipe(self, stub: Stub) -> None:
        """Forward everything, then hold the end."""
        while chunk := await stub.head():
            await stub.forward()
        await stub.until(chunk.at + self.delay / 1000)
