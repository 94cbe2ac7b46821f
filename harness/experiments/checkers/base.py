"""What a checker is: settings in a frozen dataclass, and one pure function from a history to a finding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from harness.experiments.history import Operation, oks
from harness.experiments.verdicts import Finding, guarded
from harness.model import Verdict


class Checker(Protocol):
    """Judges a finished history. Touches nothing, so it can be tried on a history made by hand."""

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    """The operations it reads. A history that acknowledges none of one of them is unknown, never a pass."""

    def check(self, operations: Sequence[Operation]) -> Finding:
        """Valid, invalid or unknown, with the reason."""
        ...


def judge(checker: Checker, operations: Sequence[Operation], least: int = 1) -> Finding:
    """A checker's finding; unknown when it crashes, or when a valid one rests on fewer than `least` acknowledged
    operations of a kind that it reads."""
    found = guarded(checker.name, lambda: checker.check(operations))
    for kind in checker.kinds if found.verdict is Verdict.VALID else ():
        count = len(oks(operations, kind))
        if count < least:
            reason = f"only {count} acknowledged {kind!r} operations, {least} needed to say anything"
            return Finding(checker.name, Verdict.UNKNOWN, reason, found.details)
    return found
