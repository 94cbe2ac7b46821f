"""Another checker, on one key's operations only: where a workload does several things at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from harness.experiments.checkers.base import Checker, judge
from harness.experiments.checkers.set_full import SetFull
from harness.experiments.history import Operation
from harness.experiments.verdicts import Finding


@dataclass(frozen=True)
class OfKey:
    """`checker`, shown only what happened to `key`. The finding carries that checker's own name."""

    name: ClassVar[str] = "of-key"
    kinds: ClassVar[tuple[str, ...]] = ()
    key: str = ""
    checker: Checker = field(default_factory=SetFull)

    def check(self, operations: Sequence[Operation]) -> Finding:
        """The other checker's finding; its own minimum of acknowledged operations holds."""
        return judge(self.checker, [item for item in operations if item.key == self.key])
