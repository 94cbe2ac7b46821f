"""Slicer: many small packets instead of few large ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from harness.proxy.stream import Stub


@dataclass(frozen=True)
class Slicer:
    """Cut data into slices of about `average_size` bytes, give or take `size_variation`, `delay` microseconds apart.

    `average_size` must be 1 or more and `size_variation` smaller than it: otherwise ValueError. The rate of slices is
    right on average; a delay far below a millisecond comes in bursts, since timers are no finer.
    """

    NAME: ClassVar[str] = "slicer"

    average_size: int = 0
    size_variation: int = 0
    delay: int = 0

    def __post_init__(self) -> None:
        if self.average_size < 1:
            raise ValueError(f"average_size must be 1 or more, not {self.average_size}")
        if self.size_variation >= self.average_size:
            raise ValueError(
                f"size_variation must be less than average_size ({self.average_size}), not {self.size_variation}"
            )

    async def pipe(self, stub: Stub) -> None:
        """Forward slice by slice; the last one of a chunk is followed by the delay too."""
        due = stub.now()
        while chunk := await stub.head():
            due = max(due, chunk.at)
            for size in self._sizes(len(chunk.data), stub.rng):
                await stub.forward(size)
                due += self.delay / 1_000_000
                await stub.until(due)

    def _sizes(self, size: int, rng: Random) -> Iterator[int]:
        """Halve, off centre by the variation, until each part is about the average: no odd piece at either end."""
        parts = [size]
        while parts:
            part = parts.pop()
            if part - self.average_size <= self.size_variation:
                yield part
                continue
            left = part // 2 + rng.randint(-self.size_variation, self.size_variation)
            parts += [part - left, left]
