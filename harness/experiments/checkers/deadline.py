"""No call takes longer than its client allows, whatever the service does: the opposite of a hang."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.experiments.history import Operation
from harness.experiments.verdicts import Finding
from harness.model import Verdict


@dataclass(frozen=True)
class Deadline:
    """Every operation, however it ended, is over within `seconds`. Give the client's time-out and what a loaded
    machine needs to notice it."""

    name: ClassVar[str] = "deadline"
    kinds: ClassVar[tuple[str, ...]] = ()
    seconds: float = 1.0

    def check(self, operations: Sequence[Operation]) -> Finding:
        """The slowest is told."""
        if not operations:
            return Finding(self.name, Verdict.UNKNOWN, "no operation was tried")
        slowest = max(operations, key=lambda item: item.seconds)
        late = sum(item.seconds > self.seconds for item in operations)
        details = {"late": late, "slowest_seconds": round(slowest.seconds, 3)}
        summary = f"{late} of {len(operations)} operations over {self.seconds:g} s, slowest {slowest.seconds:.3f} s"
        return Finding(self.name, Verdict.INVALID if late else Verdict.VALID, summary, details, timed=True)
