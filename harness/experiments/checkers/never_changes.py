"""What was read once is read always: a lock's holder, a leader in a control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.experiments.history import Operation, oks
from harness.experiments.verdicts import Finding
from harness.model import Verdict


@dataclass(frozen=True)
class NeverChanges:
    """Every acknowledged operation of one `kind` has the value of the first one of its key."""

    name: ClassVar[str] = "never-changes"
    kinds: ClassVar[tuple[str, ...]] = ()
    kind: str = "look"

    def check(self, operations: Sequence[Operation]) -> Finding:
        """The first change is told."""
        seen = sorted(oks(operations, self.kind), key=lambda item: item.started)
        if not seen:
            return Finding(self.name, Verdict.UNKNOWN, f"no {self.kind!r} was acknowledged")
        first = {item.key: item.value for item in reversed(seen)}
        changed = [item for item in seen if item.value != first[item.key]]
        details = {"reads": len(seen), "changed": len(changed)}
        if not changed:
            return Finding(self.name, Verdict.VALID, f"{len(seen)} reads, always the same", details)
        summary = f"{changed[0].key} was {first[changed[0].key]!r} and became {changed[0].value!r}"
        return Finding(self.name, Verdict.INVALID, summary, details)
