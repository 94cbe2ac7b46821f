"""A counter: every read lies between what must have been counted and what may have been. After Jepsen's `counter`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.experiments.history import Operation, Result, oks
from harness.experiments.verdicts import Finding
from harness.model import Verdict


@dataclass(frozen=True)
class Counter:
    """`increment` operations carry a whole number, `read` operations what was read. `start` is the value before all."""

    name: ClassVar[str] = "counter"
    kinds: ClassVar[tuple[str, ...]] = ("increment", "read")
    start: int = 0

    def check(self, operations: Sequence[Operation]) -> Finding:
        """Each read against its own bounds; the first that lies outside is told."""
        tried = [item for item in operations if item.kind == "increment" and item.result is not Result.FAIL]
        reads = oks(operations, "read")
        wrong = [(read, *bounds) for read in reads if not _within(read, bounds := self._bounds(tried, read))]
        details = {"reads": len(reads), "wrong": len(wrong)}
        if not wrong:
            return Finding(self.name, Verdict.VALID, f"{len(reads)} reads, each within its bounds", details)
        read, low, high = wrong[0]
        summary = f"{len(wrong)} of {len(reads)} reads out of bounds: {read.value} where {low} to {high} was possible"
        return Finding(self.name, Verdict.INVALID, summary, {**details, "low": low, "high": high, "read": read.value})

    def _bounds(self, tried: Sequence[Operation], read: Operation) -> tuple[int, int]:
        """What was acknowledged before the read began must count; what began before it ended may."""
        low = high = self.start
        for item in tried:
            must = item.ok and item.ended <= read.started
            may = item.started < read.ended
            low += item.value if must else (min(item.value, 0) if may else 0)
            high += item.value if must else (max(item.value, 0) if may else 0)
        return low, high


def _within(read: Operation, bounds: tuple[int, int]) -> bool:
    return bounds[0] <= int(read.value) <= bounds[1]
