"""One edge of several, one way: requests vanish (or answers do), everybody else still reaches the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.faults.base import LinkFault
from harness.ports import Linkable


@dataclass(frozen=True)
class PartialPartition(LinkFault):
    """`stream` is the way that is closed. `downstream`: requests arrive and are done, and no answer says so."""

    name: ClassVar[str] = "partial_partition"
    also: ClassVar[tuple[str, ...]] = ("partition",)
    stream: str = "upstream"

    def arm(self, link: Linkable) -> None:
        """Arm it."""
        link.poison("timeout", self.stream, {"timeout": 0})
