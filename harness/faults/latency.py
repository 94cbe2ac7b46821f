"""Every chunk arrives later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.faults.base import LinkFault
from harness.ports import Linkable


@dataclass(frozen=True)
class Latency(LinkFault):
    """`milliseconds` in each direction that `stream` names (`downstream`: answers; `upstream`: requests), plus or minus
    `jitter`."""

    name: ClassVar[str] = "latency"
    milliseconds: int = 300
    jitter: int = 0
    stream: str = "downstream"

    def arm(self, link: Linkable) -> None:
        """Arm it."""
        link.poison("latency", self.stream, {"latency": self.milliseconds, "jitter": self.jitter})
