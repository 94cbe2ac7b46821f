"""Bandwidth: a thin wire."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from harness.proxy.stream import Stub

SLICE_SECONDS = 0.1
"""Large chunks go out in steps of this length, so that a slow link trickles rather than bursts."""


@dataclass(frozen=True)
class Bandwidth:
    """Let `rate` kilobytes (1000 bytes) a second through, as upstream counts them. A rate of 0 stalls the stream.

    A stalled stream loses nothing: raising the rate or removing the toxic delivers what was held.
    """

    NAME: ClassVar[str] = "bandwidth"

    rate: int = 0

    async def pipe(self, stub: Stub) -> None:
        """Forward each slice when the wire, busy since the slice before, would have carried it."""
        bytes_per_second = self.rate * 1000
        free_at = -math.inf
        while chunk := await stub.head():
            if not bytes_per_second:
                await stub.until(math.inf)
            size = min(len(chunk.data), max(1, int(bytes_per_second * SLICE_SECONDS)))
            # The moment is computed, not slept towards, so rounding of timers never adds up. An idle wire saves
            # nothing up: it starts from the chunk's arrival. After backlog elsewhere it starts from now.
            free_at = max(free_at, chunk.at, stub.now() - SLICE_SECONDS) + size / bytes_per_second
            await stub.until(free_at)
            await stub.forward(size)
