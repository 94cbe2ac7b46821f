"""A dependency that takes longer than a second: callers must hold their own deadlines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.faults.base import LinkFault
from harness.ports import Linkable


@dataclass(frozen=True)
class SlowDependency(LinkFault):
    """Answers come after 1.5 s, give or take 0.2 s."""

    name: ClassVar[str] = "slow_dependency"
    milliseconds: int = 1500
    jitter: int = 200

    def arm(self, link: Linkable) -> None:
        """Arm it."""
        link.poison("latency", "downstream", {"latency": self.milliseconds, "jitter": self.jitter})
